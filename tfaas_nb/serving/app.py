"""Requests → answers: who may ask, and which address answers; no port."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping
from importlib.metadata import version

import orjson

from tfaas_nb.errors import Forbidden, MethodNotAllowed, RouteNotFound, TfaasError, Unauthorized
from tfaas_nb.serving import codings, netron, request_id
from tfaas_nb.serving.access_log import AccessLog, Entry
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.codings import CONTENT_ENCODING, LEAST_PACKED
from tfaas_nb.serving.counts import OTHER, Counts, Tally
from tfaas_nb.serving.images import Images
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.models import Models
from tfaas_nb.serving.netron import Netron
from tfaas_nb.serving.oip import OpenInference
from tfaas_nb.serving.openapi import document as openapi
from tfaas_nb.serving.overview import Overview
from tfaas_nb.serving.packed_bodies import PackedBodies
from tfaas_nb.serving.predictions import Predictions
from tfaas_nb.serving.rate import Rate, Rates
from tfaas_nb.serving.roles import OPEN, Role, role_of
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.security import Access, Caller
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shared_counts import SharedCounts
from tfaas_nb.serving.shares import Threads
from tfaas_nb.serving.tfserving import TensorFlowServing
from tfaas_nb.serving.work import Work

#: The answer's ``Server`` header; clients know by it, or by ``X-Tfaas-Nb`` where a proxy rewrites
#: it, that they may use our additions.
SERVER = f"tfaas_nb/{version('tfaas-nb')}"

#: Answers of more bytes are packed in the thread that makes them, or not at all.
_MOST_PACKED_AT_ONCE = 128 * 1024


class App:
    """The server's addresses.

    Parameters
    ----------
    service : Service
        What answers.
    access : Access
        Who may ask.
    threads : mapping of Share to concurrent.futures.Executor
        Where requests are worked on that would hold up the event loop.
    shared : SharedCounts, optional
        Where counts are added up with those of other worker processes.
    access_log : AccessLog, optional
        Where every answer is noted down.
    rate : Rate, optional
        How often each token may ask.
    scheme : str
        Of the server's own addresses.

    Attributes
    ----------
    described : tuple of openapi.Address
        All that it answers.
    """

    def __init__(
        self,
        service: Service,
        access: Access,
        threads: Threads,
        shared: SharedCounts | None = None,
        access_log: AccessLog | None = None,
        rate: Rate | None = None,
        scheme: str = "http",
    ) -> None:
        self.service = service
        self.access = access
        self.counts = Counts()
        self._shared, self._access_log = shared, access_log
        self._retired = False
        ready = self._is_ready
        self._overview = Overview(service, self.counts, shared, SERVER, access.token, ready, scheme)
        self._work = Work(threads, self.counts)
        self._packed_bodies = PackedBodies(self._work)
        self._rates = Rates(rate, self._work.refuse) if rate else None
        routes = (
            *Models(service).routes(),
            *Images(service).routes(),
            *self._overview.routes(),
            *Netron(service, access.token).routes(),
            *OpenInference(service, SERVER.partition("/")[2], ready).routes(),
            *TensorFlowServing(service).routes(),
        )
        routes = (*routes, Route("GET", openapi.ADDRESS, self._description))
        predictions = Predictions(service, self._work)
        self.hold = predictions.hold
        self._calls: dict[str, dict[str, Call]] = {
            path: {"POST": self._counted("POST", path, call)}
            for path, call in predictions.calls().items()
        }
        for route in routes:
            if route.is_plain:
                self._calls.setdefault(route.pattern, {})[route.method] = self._call(route)
        self._named = tuple(route for route in routes if not route.is_plain)
        self.described = (
            *(openapi.Address(r.method, r.shown, r.most_bytes) for r in routes),
            *(openapi.Address("POST", p, c.most_bytes) for p, c in predictions.calls().items()),
        )

    def start(self) -> None:
        """Begin to write the access log and the shared counts, if there are any.

        Raises
        ------
        ServerError
            If the access log cannot be written.
        """
        if self._access_log:
            self._access_log.start()
        if self._shared:
            self._shared.start(self._overview.own_snapshot)

    def retire(self) -> None:
        """Say from now on that requests should be sent elsewhere; they are still answered."""
        self._retired = True

    def _is_ready(self) -> bool:
        return not self._retired

    def stop(self) -> None:
        """End what `start` began; what is counted and logged by then is written."""
        if self._shared:
            self._shared.stop()
        if self._access_log:
            self._access_log.stop()

    def _description(self, request: Request) -> Response:
        return Response(orjson.dumps(openapi.document(self.described, SERVER.partition("/")[2])))

    @property
    def addresses(self) -> list[str]:
        """All addresses without names in them."""
        return sorted(self._calls)

    @property
    def methods(self) -> list[tuple[str, str]]:
        """Method and address of all there is, as `Route.shown` writes it."""
        plain = {(method, path) for path, calls in self._calls.items() for method in calls}
        return sorted(plain | {(route.method, route.shown) for route in self._named})

    def admit(self, head: Head) -> Call:
        """Return the call that will answer a request.

        Raises
        ------
        RequestError
            If the client may not ask, or there is no such address or method.
        """
        path = _without_slash(head.path)
        caller = None if head.path in OPEN else self._caller(head)
        methods = self._calls.get(path) or self._named_calls(path)
        if not methods:
            raise RouteNotFound(f"there is no address {head.path!r}; there are {self.addresses}")
        call = methods.get("GET" if head.method == "HEAD" else head.method)
        if call is None:
            allowed = [*methods, *(["HEAD"] if "GET" in methods else [])]
            told = f"{head.path} takes {', '.join(methods)}, not {head.method}"
            raise MethodNotAllowed(told, allowed)
        if caller is None:
            return call
        if caller.role < call.role:
            raise Forbidden(
                f"{head.method} {head.path} is for admins: this token or certificate may only "
                "predict and look; use the admins' token"
            )
        if CONTENT_ENCODING in head.headers:
            call = self._packed_bodies.read(head, call)
        return self._rates.limited(call, caller.name) if self._rates else call

    def refuse(self, error: TfaasError) -> Response:
        """The answer that tells an error."""
        return self._work.refuse(error)

    def answered(
        self,
        request: Request | None,
        call: Call | None,
        response: Response,
        since: float,
        client: str,
    ) -> Response:
        """Count an answer, note it down if there is a log, and echo the request's id."""
        if LEAST_PACKED < len(response.body) <= _MOST_PACKED_AT_ONCE and request is not None:
            response = codings.pack(request.head, response)
        tally = call.tally if call else None
        seconds = time.perf_counter() - since
        (tally or self._refused(request)).add(response.status, seconds)
        log = self._access_log
        if log is None and (request is None or request_id.READ not in request.head.headers):
            return response
        known = request_id.sent(request.head.headers) if request else None
        if log is None and known is None:
            return response
        known = known or request_id.made()
        response = response._replace(headers=(*response.headers, (request_id.WRITTEN, known)))
        if log is not None:
            path = netron.without_key(request.head.path) if request else ""
            noted = {"time": time.time(), "id": known, "client": client, "seconds": seconds}
            log.add(Entry.of(request, response, path, **noted))
        return response

    def _caller(self, head: Head) -> Caller:
        """Return the caller: the owner of a token or certificate, or Netron's page with its key."""
        access = self.access
        try:
            return access.check(head.headers, head.query, head.subject)
        except Unauthorized:
            if (
                access.token is None
                or not access.is_certified(head.subject)
                or not netron.is_opened(head, access.token)
            ):
                raise
            return Caller("netron", Role.READER)

    def _refused(self, request: Request | None) -> Tally:
        """Return the tally that counts an answer to a request that was not admitted."""
        if request is None:
            return self.counts.tally(OTHER, OTHER)
        path = _without_slash(request.head.path)
        if path not in self._calls:
            found = (r.shown for r in self._named if r.names(path) is not None)
            path = next(found, OTHER)
        return self.counts.tally(path, request.head.method)

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

        in_thread = functools.partial(self._work.in_thread, answer, share=route.share)
        call = Call(route.most_bytes, in_thread, own_coding=route.own_coding)
        return self._counted(route.method, route.shown, call)

    def _counted(self, method: str, address: str, call: Call) -> Call:
        """Return a call with the tally that counts its answers and the role that may ask it."""
        tally, role = self.counts.tally(address, method), role_of(method, address)
        return dataclasses.replace(call, tally=tally, role=role)


def _without_slash(path: str) -> str:
    """A path without slashes at its end, which mean nothing but to Netron's relative addresses."""
    if not path.endswith("/") or path.startswith(netron.ROOT):
        return path
    return path.rstrip("/") or "/"
