"""Requests → answers, as an ASGI application; no port and no thread of its own."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs

import orjson

from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import (
    BundleError,
    MethodNotAllowed,
    RequestError,
    RouteNotFound,
    ServerError,
    TfaasError,
    TooLarge,
)
from tfaas_nb.serving import forms, page
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Model, Service
from tfaas_nb.wire import tfaas
from tfaas_nb.wire.tfaas import JSON, NPY, PROTOBUF, Query

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: The answer's ``Server`` header; clients know by it that they may use our additions.
SERVER = f"tfaas_nb/{version('tfaas-nb')}"

#: Larger bodies are decoded and computed in a thread, so that single events are not held up.
INLINE_BYTES = 32 * 1024

_ARCHIVES = ("application/octet-stream", "application/gzip", "application/x-gzip")
_GZIP = b"\x1f\x8b"
_MOST_UPLOAD = 512 << 20
_MOST_PREDICT = 128 << 20

_log = logging.getLogger("tfaas_nb")
_log.addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Request:
    """A whole request: headers lower-case, body read."""

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes

    def header(self, name: bytes) -> str:
        """A header's value, empty if it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def option(self, name: str) -> str | None:
        """An option from the address, as in ``?model=NAME``."""
        values = parse_qs(self.query.decode("utf-8", "replace")).get(name)
        return values[0] if values else None

    def form(self) -> dict[str, bytes]:
        """Fields and files of a posted form."""
        return forms.parse(self.header(b"content-type"), self.body)


@dataclass(frozen=True, eq=False)
class Response:
    """Status, content type and body."""

    body: bytes
    content_type: str = JSON
    status: int = 200


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
        self._routes = self._route_table()
        self._patterns: tuple[tuple[str, re.Pattern[str], _Handler], ...] = (
            ("GET", re.compile(r"/params/(.+)"), self._params),
            ("DELETE", re.compile(r"/delete/(.+)"), self._delete_named),
        )

    def _route_table(self) -> dict[str, dict[str, _Handler]]:
        """Path → method → handler; TFaaS's old names are second names."""
        predict = {
            ("/json", "/predict/json"): self._predict_json,
            ("/proto", "/predict/proto"): self._predict_row,
            ("/dataframe", "/predict/dataframe"): self._predict_dataframe,
            ("/npy", "/predict/npy"): self._predict_npy,
        }
        table: dict[str, dict[str, _Handler]] = {
            path: {"POST": handler} for paths, handler in predict.items() for path in paths
        }
        table |= {path: {"POST": self._upload} for path in ("/upload", "/bundle")}
        return table | {
            "/": {"GET": self._page},
            "/health": {"GET": self._health},
            "/models": {"GET": self._models},
            "/params": {"POST": self._params_posted},
            "/delete": {"DELETE": self._delete_posted},
            "/status": {"GET": self._status},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        self.counters.requests += 1
        try:
            response = await self._answer(scope, receive)
        except TfaasError as error:
            response = _error(error)
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            response = _error(ServerError("the server failed on this request; see its log"))
        if response.status >= 400:
            self.counters.errors += 1
        await _send(send, response)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        path = scope["path"]
        if path != "/health":
            self.access.check(headers, scope["query_string"])
        handler, name = self._find(scope["method"], path)
        most = _MOST_UPLOAD if path in ("/upload", "/bundle") else _MOST_PREDICT
        body = await _body(headers, receive, most)
        request = Request(scope["method"], path, scope["query_string"], headers, body)
        return await (handler(request, name) if name is not None else handler(request))

    def _find(self, method: str, path: str) -> tuple[_Handler, str | None]:
        methods = self._routes.get(path)
        if methods is None:
            named = [(m, found, h) for m, p, h in self._patterns if (found := p.fullmatch(path))]
            for verb, found, handler in named:
                if verb == method:
                    return handler, found.group(1)
            methods = {m: h for m, _, h in named}
        if not methods:
            raise RouteNotFound(f"there is no address {path!r}; there are {sorted(self._routes)}")
        if method not in methods:
            raise MethodNotAllowed(f"{path} takes {', '.join(methods)}, not {method}")
        return methods[method], None

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    # --- predictions ----------------------------------------------------------------

    async def _predict_json(self, request: Request) -> Response:
        return await self._predict(request, tfaas.decode_json, _json_scores)

    async def _predict_row(self, request: Request) -> Response:
        return await self._predict(request, tfaas.decode_row, _predictions)

    async def _predict_dataframe(self, request: Request) -> Response:
        return await self._predict(request, tfaas.decode_dataframe, _predictions)

    async def _predict_npy(self, request: Request) -> Response:
        decode = functools.partial(tfaas.decode_npy, model=None)
        return await self._predict(request, decode, _npy_scores)

    async def _predict(
        self,
        request: Request,
        decode: Callable[[bytes], Query],
        encode: Callable[[Any, Query, Model], Response],
    ) -> Response:
        asked = request.option("model") if request.query else None

        def answer() -> Response:
            query = decode(request.body)
            model = self.service.model(query.model or asked)
            return encode(model.score(query), query, model)

        if len(request.body) > INLINE_BYTES:
            response: Response = await self._in_thread(answer)
            return response
        query = decode(request.body)
        model = self.service.loaded(query.model or asked)
        if model is None:
            model = await self._in_thread(self.service.model, query.model or asked)
        return encode(model.score(query), query, model)

    # --- models ---------------------------------------------------------------------

    async def _upload(self, request: Request) -> Response:
        await self._in_thread(self._store, request)
        return Response(b"", "text/plain")

    def _store(self, request: Request) -> None:
        kind = request.header(b"content-type").partition(";")[0].strip().lower()
        # curl --data-binary calls whatever it sends a form.
        if kind in _ARCHIVES or request.body.startswith(_GZIP):
            bundle = Bundle.from_archive(request.body, request.option("name"))
        else:
            bundle = _form_bundle(request)
        self.service.upload(bundle)

    async def _models(self, request: Request) -> Response:
        return Response(orjson.dumps(await self._in_thread(self.service.models)))

    async def _params(self, request: Request, name: str) -> Response:
        return Response(orjson.dumps(await self._in_thread(self.service.describe, name)))

    async def _params_posted(self, request: Request) -> Response:
        return await self._params(request, _posted_name(request))

    async def _delete_named(self, request: Request, name: str) -> Response:
        await self._in_thread(self.service.delete, name)
        return Response(b"", "text/plain")

    async def _delete_posted(self, request: Request) -> Response:
        return await self._delete_named(request, _posted_name(request))

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
        host = request.header(b"host") or "localhost"
        return Response(page.home(models, f"http://{host}").encode(), "text/html; charset=utf-8")


_Handler = Callable[..., Awaitable[Response]]


def _json_scores(scores: Any, query: Query, model: Model) -> Response:
    return Response(tfaas.encode_scores_json(scores, query.single))


def _predictions(scores: Any, query: Query, model: Model) -> Response:
    return Response(tfaas.encode_predictions(scores, model.labels), PROTOBUF)


def _npy_scores(scores: Any, query: Query, model: Model) -> Response:
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
    if request.header(b"content-encoding").strip().lower() == "base64":
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


async def _body(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> bytes:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > most:
        raise TooLarge(f"the body has {int(length)} bytes, more than {most}")
    message = await receive()
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    chunks, size = [message["body"]], len(message["body"])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("the client went away before its request was whole")
        size += len(message.get("body", b""))
        if size > most:
            raise TooLarge(f"the body has more than {most} bytes")
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


def _error(error: TfaasError) -> Response:
    # A message may quote what a client sent, which need not be a string that UTF-8 can hold.
    message = str(error).encode("utf-8", "backslashreplace").decode()
    answer = {"error": message, "kind": type(error).__name__}
    return Response(orjson.dumps(answer), status=error.status)


async def _send(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
        (b"server", SERVER.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
