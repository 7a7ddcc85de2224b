"""The addresses that tell of the server itself: a page for people, status, liveness."""

from __future__ import annotations

import time

import orjson

from tfaas_nb.serving import page
from tfaas_nb.serving.counts import Counts
from tfaas_nb.serving.messages import Request, Response
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.service import Service


class Overview:
    """What a server tells of itself.

    Parameters
    ----------
    service : Service
        Whose models it tells of.
    counts : Counts
        What was counted.
    server : str
        Name and version of the server.
    token : bool
        Whether clients have to show one.
    """

    def __init__(self, service: Service, counts: Counts, server: str, token: bool) -> None:
        self._service, self._counts = service, counts
        self._server, self._token = server, token

    def routes(self) -> tuple[Route, ...]:
        """All addresses."""
        return (
            Route("GET", "/", self._page),
            Route("GET", "/health", self._health),
            Route("GET", "/status", self._status),
        )

    def _health(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}')

    def _status(self, request: Request) -> Response:
        found = {
            "server": self._server,
            "uptime": round(time.time() - self._counts.started, 3),
            "requests": self._counts.requests,
            "errors": self._counts.errors.total(),
            "models": [stored.name for stored in self._service.repository.models()],
        }
        return Response(orjson.dumps(found))

    def _page(self, request: Request) -> Response:
        host = request.head.header(b"host") or "localhost"
        shown = page.home(self._service.models(), f"http://{host}", token=self._token)
        return Response(shown.encode(), "text/html; charset=utf-8")
