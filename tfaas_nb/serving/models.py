"""The addresses that look after models in TFaaS's dialect: upload, list, describe, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tfaas_nb import foreign_file
from tfaas_nb.archive import plain_path
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import BundleError, RequestError
from tfaas_nb.model_file import Reader
from tfaas_nb.nearest import misspelt
from tfaas_nb.serving import downloads, forms
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import Share

MOST_UPLOAD = 512 << 20

#: The header that tells an uploader which version was stored; TFaaS's answer is empty.
VERSION = "X-Model-Version"

#: Bytes of a model from which on packing takes longer than sending what it saves.
_LARGE = 16 << 20

_ARCHIVES = (
    "application/octet-stream",
    *(f"application/{kind}" for kind in ("gzip", "x-gzip", "zip", "x-tar", "x-xz", "x-bzip2")),
)
#: Of a gzip, a zip or ``.keras`` file, an xz, a bzip2 and an ONNX model.
_STARTS = (b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zXZ", b"BZh", b"\x08")
_NOTHING = Response(b"", "text/plain")
_LABEL = "/models/(?P<name>[^/]+)/labels/(?P<label>[^/]+)"
#: Of an upload form; TFaaS's own client sends ``op`` besides.
_FIELDS = (
    *("name", "params", "model", "labels", "card", "reference_events", "features", "constants"),
    "op",
    "missing",
    "data",
)
_MOST_LABEL = 64 << 10


class Models:
    """Models in and out.

    Parameters
    ----------
    service : Service
        What keeps them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> tuple[Route, ...]:
        """All addresses; ``/bundle`` is an older name of the upload."""
        return (
            *(
                Route("POST", path, self._upload, MOST_UPLOAD, Share.UPLOADS, own_coding="base64")
                for path in ("/upload", "/bundle")
            ),
            Route("GET", "/bundle/(?P<name>.+)", self._bundle, share=Share.DOWNLOADS),
            Route("GET", "/models", self._models),
            Route("POST", "/params", self._params_posted),
            Route("GET", "/params/(?P<name>.+)", self._params),
            Route("DELETE", "/delete", self._delete_posted),
            Route("DELETE", "/delete/(?P<name>.+)", self._delete),
            Route("GET", "/models/(?P<name>[^/]+)/versions", self._versions),
            Route("PUT", _LABEL, self._label, _MOST_LABEL),
            Route("DELETE", _LABEL, self._unlabel),
        )

    def _upload(self, request: Request) -> Response:
        request.head.check_options("name", "signature", "features", "constants", "missing")
        kind = request.head.header(b"content-type").partition(";")[0].strip().lower()
        # curl --data-binary calls whatever it sends a form.
        if kind in _ARCHIVES or _is_file(request.body):
            option = request.head.option
            name, signature, features = option("name"), option("signature"), option("features")
            bundle = Bundle.from_upload(
                *(request.body, name, signature, self._service.admission, features or ""),
                constants=option("constants") or "",
                missing=option("missing") or "",
            )
        else:
            bundle = _form_bundle(request, self._service.admission)
        stored = self._service.upload(bundle)
        return _NOTHING._replace(headers=((VERSION, str(stored.version)),))

    def _bundle(self, request: Request, name: str) -> Response:
        model = self._service.model(name)
        large = len(model.bundle.graph.serialized) > _LARGE
        packed = model.bundle.tar() if large else model.bundle.archive()
        kind = "application/x-tar" if large else "application/gzip"
        headers = ((VERSION, str(model.stored.version)),)
        return downloads.answer(request.head, Response(packed, kind, headers=headers))

    def _models(self, request: Request) -> Response:
        return Response(orjson.dumps(self._service.models()))

    def _params(self, request: Request, name: str) -> Response:
        return Response(orjson.dumps(self._service.describe(name)))

    def _params_posted(self, request: Request) -> Response:
        return self._params(request, _posted_name(request))

    def _delete(self, request: Request, name: str) -> Response:
        self._service.delete(name)
        return _NOTHING

    def _delete_posted(self, request: Request) -> Response:
        return self._delete(request, _posted_name(request))

    def _versions(self, request: Request, name: str) -> Response:
        return Response(orjson.dumps(self._service.versions(name)))

    def _label(self, request: Request, name: str, label: str) -> Response:
        stored = self._service.label(name, label, _posted_version(request))
        return Response(orjson.dumps({"version": stored.version}))

    def _unlabel(self, request: Request, name: str, label: str) -> Response:
        self._service.unlabel(name, label)
        return _NOTHING


def _is_file(body: bytes) -> bool:
    """Return True if a body is a file and no form, by what it begins with."""
    return body.startswith(_STARTS) or bool(body and foreign_file.refusal(body))


def _form_bundle(request: Request, reader: Reader) -> Bundle:
    """The bundle in an upload form.

    Its fields are ``name``, ``params``, ``model``, ``labels``, ``features`` for the names of
    the features of a model that does not tell them, ``constants`` for placeholders that are no
    inputs (``keep_prob=1,phase=false`` or JSON), and ``data`` for the file of an ONNX model's
    weights; of several such files each has its own name for a field.
    """
    sent = request.parts()
    parts = {field: part.content for field, part in sent.items()}
    if wrong := misspelt(parts, _FIELDS):
        raise RequestError(f"the form has an {wrong}")
    if request.head.option("signature"):
        raise RequestError(
            "a signature is chosen of a SavedModel, which is uploaded as an archive, not in a form"
        )
    name, features, constants, missing = (
        _field(request.head, parts, field) for field in ("name", "features", "constants", "missing")
    )
    for needed in ("model",) if name else ("params", "model"):
        if needed not in parts:
            raise BundleError(
                f"the form has no part {needed!r}; it has {sorted(parts)}: send name, params, "
                "model and labels"
            )
    model = parts["model"]
    if request.head.header(b"content-encoding").strip().lower() == "base64":
        model = forms.decode_base64(model, "model")
    params, labels, card, events = (
        parts.get(part, b"") for part in ("params", "labels", "card", "reference_events")
    )
    return Bundle.from_parts(
        *(params, model, labels, card, name or None, events, reader, features),
        beside=_beside(sent),
        constants=constants,
    ).with_missing(missing.strip())


def _field(head: Head, parts: Mapping[str, bytes], field: str) -> str:
    """A field of a form that may stand in the address instead; empty if it is in neither."""
    sent = parts.get(field, b"").decode("utf-8", "replace").strip()
    asked = (head.option(field) or "").strip()
    if sent and asked and sent != asked:
        raise RequestError(
            f"the form's {field!r} is {sent[:100]!r}, the address's {asked[:100]!r}: give one"
        )
    return sent or asked


def _beside(parts: Mapping[str, forms.Part]) -> dict[str, bytes]:
    """Files of a form that are not its fields, by the names that the client has for them."""
    return {
        plain_path(_name_of(field, part)).as_posix(): part.content
        for field, part in parts.items()
        if part.file_name and field not in _FIELDS[:-1]
    }


def _name_of(field: str, part: forms.Part) -> str:
    """Name of a file, without the folders that it has on the client's machine."""
    if field != _FIELDS[-1]:
        return field
    return (part.file_name or "").replace("\\", "/").rpartition("/")[2]


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


def _posted_version(request: Request) -> int | None:
    """The version in ``{"version": 3}``; None, for the latest, if there is no body."""
    if not request.body.strip():
        return None
    try:
        fields = orjson.loads(request.body)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    version = fields.get("version") if isinstance(fields, dict) else None
    if type(version) is not int or version < 0:
        raise RequestError('send {"version": 3}, or no body for the latest version')
    return version
