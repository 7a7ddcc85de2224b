"""Requests → answers: the server's addresses; no port and no thread of its own."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from importlib.metadata import version
from typing import Any

import orjson

from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import (
    BundleError,
    MethodNotAllowed,
    RequestError,
    RouteNotFound,
    ServerError,
    TfaasError,
)
from tfaas_nb.serving import forms, page
from tfaas_nb.serving.batching import Batcher
from tfaas_nb.serving.http import Call
from tfaas_nb.serving.messages import Done, Head, Request, Response
from tfaas_nb.serving.oip import LIVE, OpenInference
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Model, Service
from tfaas_nb.serving.tfserving import TensorFlowServing
from tfaas_nb.wire import arrow, tfaas
from tfaas_nb.wire.tfaas import NPY, PROTOBUF, Event, Query

#: The answer's ``Server`` header; clients know by it that they may use our additions.
SERVER = f"tfaas_nb/{version('tfaas-nb')}"

#: Larger bodies are decoded and computed in a thread, so that single events are not held up.
INLINE_BYTES = 32 * 1024

_MOST_UPLOAD = 512 << 20
_MOST_PREDICT = 128 << 20
_ARCHIVES = ("application/octet-stream", "application/gzip", "application/x-gzip")
_GZIP = b"\x1f\x8b"

#: Content type of an Arrow IPC stream.
ARROW = "application/vnd.apache.arrow.stream"

_OPEN = ("/health", LIVE)

_log = logging.getLogger("tfaas_nb")
_log.addHandler(logging.NullHandler())


class Counters:
    """What ``/status`` counts."""

    def __init__(self) -> None:
        self.started = time.time()
        self.requests = 0
        self.errors = 0


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
        self.counters = Counters()
        self._threads = threads
        self._batches = Batcher(threads)
        self._tasks: set[asyncio.Task[None]] = set()
        self._routes = self._route_table()
        self._named_routes = (
            Route.of("GET", r"/params/(?P<name>.+)", self._params),
            Route.of("DELETE", r"/delete/(?P<name>.+)", self._delete),
            *OpenInference(service, SERVER.partition("/")[2]).routes(),
            *TensorFlowServing(service).routes(),
        )

    def _route_table(self) -> dict[str, dict[str, Call]]:
        """Path → method → what answers; TFaaS's old names are second names."""
        table = {
            path: {"POST": Call(_MOST_PREDICT, answer)}
            for paths, answer in self._predictions().items()
            for path in paths
        }
        upload = Call(_MOST_UPLOAD, self._later(self._upload))
        table |= {path: {"POST": upload} for path in ("/upload", "/bundle")}
        others: dict[str, tuple[str, _Handler]] = {
            "/": ("GET", self._page),
            "/health": ("GET", self._health),
            "/models": ("GET", self._models),
            "/params": ("POST", self._params_posted),
            "/delete": ("DELETE", self._delete_posted),
            "/status": ("GET", self._status),
        }
        return table | {
            path: {method: Call(_MOST_PREDICT, self._later(handler))}
            for path, (method, handler) in others.items()
        }

    def _predictions(self) -> dict[tuple[str, str], Callable[[Request, Done], None]]:
        read_npy = functools.partial(tfaas.decode_npy, model=None)
        row = functools.partial(self._predict, tfaas.read_row, _predictions)
        frame = functools.partial(self._predict, tfaas.decode_dataframe, _predictions)
        return {
            ("/json", "/predict/json"): functools.partial(
                self._predict, tfaas.read_json, _json_scores
            ),
            ("/proto", "/predict/proto"): row,
            ("/dataframe", "/predict/dataframe"): frame,
            ("/npy", "/predict/npy"): functools.partial(self._predict, read_npy, _npy_scores),
            ("/arrow", "/predict/arrow"): functools.partial(
                self._predict, _read_arrow, _arrow_scores
            ),
        }

    # --- what a connection asks -----------------------------------------------------

    def admit(self, head: Head) -> Call:
        """What will answer a request.

        Raises
        ------
        RequestError
            If the client may not ask, or there is no such address or method.
        """
        self.counters.requests += 1
        if head.path not in _OPEN:
            self.access.check(head.headers, head.query)
        methods = self._routes.get(head.path) or self._named(head.path)
        if not methods:
            raise RouteNotFound(
                f"there is no address {head.path!r}; there are {sorted(self._routes)}"
            )
        call = methods.get("GET" if head.method == "HEAD" else head.method)
        if call is None:
            raise MethodNotAllowed(f"{head.path} takes {', '.join(methods)}, not {head.method}")
        return call

    def refuse(self, error: TfaasError) -> Response:
        """The answer that tells an error."""
        self.counters.errors += 1
        # A message may quote what a client sent, which need not be a string that UTF-8 can hold.
        message = str(error).encode("utf-8", "backslashreplace").decode()
        answer = {"error": message, "kind": type(error).__name__}
        return Response(orjson.dumps(answer), status=error.status)

    def _named(self, path: str) -> dict[str, Call]:
        """Method → what answers, for addresses that end in a name."""
        return {
            route.method: Call(
                _MOST_PREDICT,
                self._later(functools.partial(self._routed, route, found.groupdict())),
            )
            for route in self._named_routes
            if (found := route.pattern.fullmatch(path))
        }

    async def _routed(
        self, route: Route, names: Mapping[str, str | None], request: Request
    ) -> Response:
        answer = functools.partial(route.answer, request, **names)
        response: Response = await self._in_thread(answer)
        return response

    def _later(self, handler: _Handler) -> Callable[[Request, Done], None]:
        """Answer by a coroutine."""

        def answer(request: Request, done: Done) -> None:
            task = asyncio.get_running_loop().create_task(self._finish(handler, request, done))
            self._tasks.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(self._tasks.discard)

        return answer

    async def _finish(self, handler: _Handler, request: Request, done: Done) -> None:
        try:
            response = await handler(request)
        except TfaasError as error:
            response = self.refuse(error)
        except Exception as error:
            response = self.refuse(self._unexpected(request, error))
        done(response)

    def _unexpected(self, request: Request, error: Exception) -> ServerError:
        _log.error("%s %s failed", request.head.method, request.head.path, exc_info=error)
        return ServerError("the server failed on this request; see its log")

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    # --- predictions ----------------------------------------------------------------

    def _predict(
        self,
        read: Callable[[bytes], Event | Query],
        encode: Callable[[Any, bool, Model], Response],
        request: Request,
        done: Done,
    ) -> None:
        """A lone event joins the next batch; what may take longer is worked on in a thread."""
        if len(request.body) > INLINE_BYTES:
            self._later(lambda request: self._predict_in_thread(read, encode, request))(
                request, done
            )
            return
        try:
            found = read(request.body)
            model = self.service.loaded(found.model or _asked(request))
            if model is None or not isinstance(found, Event):
                self._later(lambda _: self._score_in_thread(found, encode, request))(request, done)
                return
            deliver = functools.partial(self._deliver, encode, model, request, done)
            self._batches.add(model, found, deliver)
        except TfaasError as error:
            done(self.refuse(error))
        except Exception as error:
            done(self.refuse(self._unexpected(request, error)))

    def _deliver(
        self,
        encode: Callable[[Any, bool, Model], Response],
        model: Model,
        request: Request,
        done: Done,
        result: Any,
    ) -> None:
        if isinstance(result, TfaasError):
            response = self.refuse(result)
        else:
            try:
                response = encode(result[None], True, model)
            except Exception as error:  # it must not cost the others of the batch their answers
                response = self.refuse(self._unexpected(request, error))
        done(response)

    async def _predict_in_thread(
        self,
        read: Callable[[bytes], Event | Query],
        encode: Callable[[Any, bool, Model], Response],
        request: Request,
    ) -> Response:
        found = await self._in_thread(read, request.body)
        return await self._score_in_thread(found, encode, request)

    async def _score_in_thread(
        self,
        found: Event | Query,
        encode: Callable[[Any, bool, Model], Response],
        request: Request,
    ) -> Response:
        def answer() -> Response:
            query = found.query() if isinstance(found, Event) else found
            model = self.service.model(query.model or _asked(request))
            return encode(model.score(query), query.single, model)

        response: Response = await self._in_thread(answer)
        return response

    # --- models ---------------------------------------------------------------------

    async def _upload(self, request: Request) -> Response:
        await self._in_thread(self._store, request)
        return Response(b"", "text/plain")

    def _store(self, request: Request) -> None:
        kind = request.head.header(b"content-type").partition(";")[0].strip().lower()
        # curl --data-binary calls whatever it sends a form.
        if kind in _ARCHIVES or request.body.startswith(_GZIP):
            bundle = Bundle.from_archive(request.body, request.head.option("name"))
        else:
            bundle = _form_bundle(request)
        self.service.upload(bundle)

    async def _models(self, request: Request) -> Response:
        return Response(orjson.dumps(await self._in_thread(self.service.models)))

    def _params(self, request: Request, name: str) -> Response:
        return Response(orjson.dumps(self.service.describe(name)))

    async def _params_posted(self, request: Request) -> Response:
        answer: Response = await self._in_thread(self._params, request, _posted_name(request))
        return answer

    def _delete(self, request: Request, name: str) -> Response:
        self.service.delete(name)
        return Response(b"", "text/plain")

    async def _delete_posted(self, request: Request) -> Response:
        answer: Response = await self._in_thread(self._delete, request, _posted_name(request))
        return answer

    # --- the server -----------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}')

    async def _status(self, request: Request) -> Response:
        names = [m.name for m in await self._in_thread(self.service.repository.models)]
        return Response(
            orjson.dumps(
                {
                    "server": SERVER,
                    "uptime": round(time.time() - self.counters.started, 3),
                    "requests": self.counters.requests,
                    "errors": self.counters.errors,
                    "models": names,
                }
            )
        )

    async def _page(self, request: Request) -> Response:
        models = await self._in_thread(self.service.models)
        host = request.head.header(b"host") or "localhost"
        shown = page.home(models, f"http://{host}", token=self.access.token is not None)
        return Response(shown.encode(), "text/html; charset=utf-8")


_Handler = Callable[..., Awaitable[Response]]


def _asked(request: Request) -> str | None:
    """The model that the address names."""
    return request.head.option("model") if request.head.query else None


def _json_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_scores_json(scores, single))


def _predictions(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_predictions(scores, model.labels), PROTOBUF)


def _read_arrow(body: bytes) -> Query:
    return Query(None, *arrow.decode(body), single=False)


def _arrow_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(arrow.encode_scores(scores, model.labels), ARROW)


def _npy_scores(scores: Any, single: bool, model: Model) -> Response:
    return Response(tfaas.encode_scores_npy(scores), NPY)


def _form_bundle(request: Request) -> Bundle:
    """The bundle in an upload form: fields ``name``, ``params``, ``model``, ``labels``."""
    parts = request.form()
    for needed in ("params", "model"):
        if needed not in parts:
            raise BundleError(
                f"the form has no part {needed!r}; it has {sorted(parts)}: send name, params, "
                "model and labels"
            )
    model = parts["model"]
    if request.head.header(b"content-encoding").strip().lower() == "base64":
        model = forms.decode_base64(model, "model")
    name = parts.get("name", b"").decode("utf-8", "replace").strip()
    return Bundle.from_parts(
        parts["params"], model, parts.get("labels", b""), parts.get("card", b""), name or None
    )


def _posted_name(request: Request) -> str:
    """The model that a form or a JSON object names."""
    fields: Mapping[str, Any]
    if request.body.lstrip()[:1] == b"{":
        try:
            fields = orjson.loads(request.body)
        except ValueError as error:
            raise RequestError(f"the body is not JSON: {error}") from error
    else:
        fields = {k: v.decode("utf-8", "replace") for k, v in request.form().items()}
    for key in ("model", "name"):
        if isinstance(fields.get(key), str) and fields[key]:
            return str(fields[key])
    raise RequestError("name the model in the field 'model'")
