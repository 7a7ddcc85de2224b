"""Requests → answers: who may ask, and which address answers; no port, no thread of its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from concurrent.futures import Executor
from importlib.metadata import version

from tfaas_nb.errors import MethodNotAllowed, RouteNotFound, TfaasError
from tfaas_nb.serving.counts import Counts
from tfaas_nb.serving.http import Call
from tfaas_nb.serving.images import Images
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.models import Models
from tfaas_nb.serving.oip import LIVE, OpenInference
from tfaas_nb.serving.overview import Overview
from tfaas_nb.serving.predictions import Predictions
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.tfserving import TensorFlowServing
from tfaas_nb.serving.work import Work

#: The answer's ``Server`` header; clients know by it that they may use our additions.
SERVER = f"tfaas_nb/{version('tfaas-nb')}"

_OPEN = ("/health", LIVE)


class App:
    """The server's addresses.

    Parameters
    ----------
    service : Service
        What answers.
    access : Access
        Who may ask.
    threads : concurrent.futures.Executor
        Where uploads and large requests are worked on.
    """

    def __init__(self, service: Service, access: Access, threads: Executor) -> None:
        self.service = service
        self.access = access
        self.counts = Counts()
        self._work = Work(threads, self.counts)
        routes = (
            *Models(service).routes(),
            *Images(service).routes(),
            *Overview(service, self.counts, SERVER, access.token is not None).routes(),
            *OpenInference(service, SERVER.partition("/")[2]).routes(),
            *TensorFlowServing(service).routes(),
        )
        self._calls: dict[str, dict[str, Call]] = {
            path: {"POST": call} for path, call in Predictions(service, self._work).calls().items()
        }
        for route in routes:
            if route.is_plain:
                self._calls.setdefault(route.pattern, {})[route.method] = self._call(route)
        self._named = tuple(route for route in routes if not route.is_plain)

    @property
    def addresses(self) -> list[str]:
        """All addresses without names in them."""
        return sorted(self._calls)

    def admit(self, head: Head) -> Call:
        """What will answer a request.

        Raises
        ------
        RequestError
            If the client may not ask, or there is no such address or method.
        """
        self.counts.requests += 1
        if head.path not in _OPEN:
            self.access.check(head.headers, head.query)
        methods = self._calls.get(head.path) or self._named_calls(head.path)
        if not methods:
            raise RouteNotFound(f"there is no address {head.path!r}; there are {self.addresses}")
        call = methods.get("GET" if head.method == "HEAD" else head.method)
        if call is None:
            raise MethodNotAllowed(f"{head.path} takes {', '.join(methods)}, not {head.method}")
        return call

    def refuse(self, error: TfaasError) -> Response:
        """The answer that tells an error."""
        return self._work.refuse(error)

    def _named_calls(self, path: str) -> dict[str, Call]:
        """Method → what answers, for addresses with names in them."""
        return {
            route.method: self._call(route, names)
            for route in self._named
            if (names := route.names(path)) is not None
        }

    def _call(self, route: Route, names: Mapping[str, str | None] | None = None) -> Call:
        def answer(request: Request) -> Response:
            return route.answer(request, **(names or {}))

        return Call(route.most_bytes, functools.partial(self._work.in_thread, answer))
