"""The addresses that tell of the server itself: a page for people, status, metrics, liveness."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import orjson

from tfaas_nb.bundle import LABELS, MODEL
from tfaas_nb.errors import FeatureError
from tfaas_nb.repository import Stored
from tfaas_nb.serving import machine, netron, page, prometheus
from tfaas_nb.serving.counts import SECONDS, Counts
from tfaas_nb.serving.messages import ENDING, Request, Response
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shared_counts import SharedCounts
from tfaas_nb.serving.snapshot import Snapshot
from tfaas_nb.wire.image import Canvas
from tfaas_nb.wire.tfaas import JSON

#: The home page is another for other kinds of clients.
_BY_ACCEPT = (("vary", "Accept"),)


class Overview:
    """Pages about the server itself: home page, status, metrics and health.

    Parameters
    ----------
    service : Service
        Whose models it tells of.
    counts : Counts
        What was counted.
    shared : SharedCounts or None
        Where other worker processes' counts are.
    server : str
        Name and version of the server.
    token : str or None
        What clients have to show.
    ready : callable
        Whether requests should be sent here.
    scheme : str
        Of the server's own addresses.
    """

    def __init__(
        self,
        service: Service,
        counts: Counts,
        shared: SharedCounts | None,
        server: str,
        token: str | None,
        ready: Callable[[], bool],
        scheme: str = "http",
    ) -> None:
        self._service, self._counts, self._shared = service, counts, shared
        self._is_ready = ready
        self._server, self._token, self._scheme = server, token, scheme
        self._machine = machine.Machine()

    def routes(self) -> tuple[Route, ...]:
        """All addresses."""
        return (
            Route("GET", "/", self._home),
            Route("GET", "/health", self._health),
            Route("GET", "/status", self._status),
            Route("GET", "/metrics", self._metrics),
        )

    def own_snapshot(self) -> Snapshot:
        """Take a snapshot of this process: its counters, and its models in memory."""
        return Snapshot.take(
            self._counts,
            self._service.scored,
            self._service.in_memory,
            self._machine.rss(),
            self._machine.cpu_seconds(),
        )

    def _snapshot(self) -> Snapshot:
        """Sum of the snapshots of all worker processes."""
        return self._shared.sum(self.own_snapshot) if self._shared else self.own_snapshot()

    def _health(self, request: Request) -> Response:
        if self._is_ready():
            return Response(b'{"status":"ok"}')
        return Response(b'{"status":"ending"}', status=503, headers=ENDING)

    def _metrics(self, request: Request) -> Response:
        names = [stored.name for stored in self._service.repository.models()]
        return Response(prometheus.exposition(self._snapshot().only_models(names)), prometheus.TEXT)

    def _status(self, request: Request) -> Response:
        found = self._snapshot()
        told = {
            "server": self._server,
            "uptime": round(time.time() - found.started, 3),
            "requests": found.requests(),
            "getRequests": found.requests("GET"),
            "postRequests": found.requests("POST"),
            "responses": found.responses(),
            "errors": sum(found.errors.values()),
            "events": sum(found.events.values()),
            "bounds": SECONDS,
            "seconds": {path: spread.buckets for path, spread in found.seconds.items()},
            "models": [stored.name for stored in self._service.repository.models()],
            "loaded": found.held.models,
            "workers": found.held.workers,
            "cpu": self._machine.cpu(),
            "memory": self._machine.memory(),
            "load": self._machine.load(),
            "versions": machine.versions(self._server.rpartition("/")[2]),
        }
        return Response(orjson.dumps(told))

    def _home(self, request: Request) -> Response:
        """A page for people, or what it tells for a program that accepts only JSON."""
        if not request.head.accepts_only(JSON):
            return self._page(request)
        models = [stored.name for stored in self._service.repository.models()]
        told = {"server": self._server, "models": models}
        return Response(orjson.dumps(told), headers=_BY_ACCEPT)

    def _page(self, request: Request) -> Response:
        host = request.head.header(b"host") or "localhost"
        stored = {found.name: found for found in self._service.repository.models()}
        models = [
            {**model, **self._shown(model, stored.get(model["name"]))}
            for model in self._service.models()
        ]
        shown = page.home(models, f"{self._scheme}://{host}", token=self._token is not None)
        return Response(
            shown.encode(), "text/html; charset=utf-8", headers=(*page.HEADERS, *_BY_ACCEPT)
        )

    def _shown(self, model: Mapping[str, Any], stored: Stored | None) -> dict[str, Any]:
        """Fields that the home page shows of a model in addition to its description."""
        if stored is None or "error" in model:
            return {}
        file = PurePosixPath(model.get("model") or MODEL).name
        return {
            "outputs": _outputs(stored),
            **self._inputs(stored.name),
            "graph": netron.address(stored.name, stored.version, self._token, file),
        }

    def _inputs(self, name: str) -> dict[str, Any]:
        """Kind of input of a model in memory: a number of values, or a picture."""
        model = self._service.loaded(name)
        if model is None:
            return {}
        signature = model.engine.signature
        with contextlib.suppress(FeatureError):
            Canvas.of(signature, model.bundle.params.img_channels)
            return {"takes_picture": True}
        return {"width": signature.width} if signature.is_matrix else {}


def _outputs(stored: Stored) -> list[str]:
    """Names of a model's outputs as its uploader gave them."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = (stored.path / LABELS).read_text("utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return []
