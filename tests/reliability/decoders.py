"""Whatever takes bytes of strangers apart: name → function of bytes, as one table.

Inputs that hold more than a body (a content type, the length of some JSON, a file name) have it in
a first line.  What an input must do is in `Decoder.tried`: be decoded, or be refused with an error
of the tree that tells 4xx; nothing else, no warning, no word in a log, and not for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import itertools
import json
import logging
import os
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.reliability import mutation
from tests.reliability.mutation import Mutate, either, lined
from tfaas_nb import archive, backend, bundle, keras_file, model_file, saved_model, vetting
from tfaas_nb.errors import GraphError, TfaasError
from tfaas_nb.features import TTBAR_ALL_HADRONIC
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.model_file import HERE, Read
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.reference import Reference
from tfaas_nb.reference_events import ReferenceEvents
from tfaas_nb.repository import Repository
from tfaas_nb.serving import admission, forms, request_id
from tfaas_nb.serving.access_log import Entry
from tfaas_nb.serving.app import App
from tfaas_nb.serving.counts import Counts, Scored
from tfaas_nb.serving.gathering import Gathering
from tfaas_nb.serving.heads import KnownHeads, ResponseHeads
from tfaas_nb.serving.http import Connection, Limits
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.room import Room
from tfaas_nb.serving.security import Access, host_name
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import all_in
from tfaas_nb.serving.snapshot import Snapshot
from tfaas_nb.signature import Signature, Tensor
from tfaas_nb.wire import arrow, image, json_body, oip, params, tfaas, tfserving

#: Seconds of processor that an input may take.
MOST_SECONDS = 2.0


class Finding(AssertionError):
    """An input that does what no input may."""


@dataclass(frozen=True)
class Decoder:
    """Something that takes bytes of strangers apart.

    Attributes
    ----------
    decode : callable
        Bytes → value; raises what it raises.
    seeds : callable
        Sound inputs.
    mutate : callable
        Makes further inputs out of others.
    again : callable, optional
        Given the value, asserts what must hold of it: above all that encoded it is decoded to
        the same.
    covers : tuple of str
        Functions that it calls, below `tfaas_nb`.
    share : float
        Of the inputs that others get unless a number is told, for one that is slow.
    """

    decode: Callable[[bytes], Any]
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate = mutation.plain
    again: Callable[[Any], None] | None = None
    covers: tuple[str, ...] = ()
    share: float = 1.0

    def tried(self, data: bytes) -> bool:
        """Decode an input; return False if it is refused.

        Raises
        ------
        Finding
            If it does anything else.
        """
        began = time.process_time()
        try:
            value = self.decode(data)
            if self.again:
                self.again(value)
        except TfaasError as error:
            if not 400 <= error.status < 500 or not str(error):
                raise Finding(f"{error!r} has status {error.status}: {_shown(data)}") from error
            return False
        except Exception as error:
            raise Finding(f"{type(error).__name__}: {error}: {_shown(data)}") from error
        finally:
            took = time.process_time() - began
            if took > MOST_SECONDS:
                raise Finding(f"took {took:.1f} s: {_shown(data)}")
        return True


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], None]]:
    """A function that raises `Finding` if something was warned of or logged since."""
    said: list[str] = []

    def note(record: logging.LogRecord) -> None:
        """Note a record if no handler of its own logger takes it: Python prints such a one."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None and logger is not logging.getLogger():
            if logger.handlers and not record.name.startswith("tfaas_nb"):
                return
            logger = logger.parent
        said.append(record.getMessage())

    handler = logging.Handler(logging.WARNING)
    handler.emit = note  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)

    def check() -> None:
        if said or found:
            told = [*said, *(str(one.message) for one in found)]
            said.clear()
            found.clear()
            raise Finding(f"said {told}")

    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            yield check
    finally:
        logging.getLogger().removeHandler(handler)


def _shown(data: bytes) -> str:
    return repr(data if len(data) < 1000 else data[:1000] + b"...")


def _same(first: Any, second: Any) -> None:
    if not _equal(first, second):
        raise Finding(f"{first!r} became {second!r}")


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return bool(
            first.shape == second.shape
            and first.dtype == second.dtype
            and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        )
    if isinstance(first, Mapping):
        keys = list(first) == list(second)
        return keys and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, tuple) and type(first) is type(second):
        return len(first) == len(second) and all(map(_equal, first, second))
    if hasattr(first, "__dataclass_fields__"):
        names = [field.name for field in fields(first) if field.compare]
        same = type(first) is type(second)
        return same and all(_equal(getattr(first, n), getattr(second, n)) for n in names)
    return bool(first == second) or (first != first and second != second)


# --- events -----------------------------------------------------------------------------

_KEYS = TTBAR_ALL_HADRONIC.names[:3]
_ROW = np.array([0.5, -1.25, 3e38], np.float32)
_ROWS = np.array([[1, 2, 3], [4, 5, 1e-40]], np.float32)


def _json(*values: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(value).encode() for value in values]


_TFAAS = _json(
    {"keys": ["a", "b", "c"], "values": [1, 2.5, -3e38], "model": "sum"},
    {"keys": ["a", "b"], "values": [[1, 2], [3, 4]], "name": "sum"},
    {"values": [1, 2], "keys": ["a", "b"], "key": "sum"},
    {"records": [{"a": 1, "b": 2.5}, {"b": 1, "a": 2}], "model": None},
    {"model": "m", "keys": ["a"], "values": [1], "more": {"x": [1]}},
)


def _read_json(body: bytes) -> Any:
    """In both ways: what follows known keys is read apart from them."""
    found = tfaas.read_json(body)
    at = body.find(b'"values"')
    if at > 0 and not isinstance(found, tfaas.Query):  # the slow way is another order of members
        whole = json_body.json_object(body)
        if "keys" in whole and "values" in whole and "records" not in whole:
            turned = json.dumps({"values": whole.pop("values"), **whole}).encode()
            _same(tfaas.read_json(turned), found)
    return found


def _again_json(found: Any) -> None:
    query = found.query() if isinstance(found, tfaas.Event) else found
    values = query.values[0] if query.single else query.values
    sent = tfaas.read_json(tfaas.encode_json(query.keys, values, query.model))
    _same(sent.query() if isinstance(sent, tfaas.Event) else sent, query)


_reader = tfaas.RowReader()


def _read_row(body: bytes) -> Any:
    """Twice, as rows known by their keys are read in another way; neither may differ."""
    first = tfaas.read_row(body)
    for _ in range(2):
        _same(_named(_reader(body)), _named(first))
    return first


def _named(event: Any) -> tuple[Any, ...]:
    """An event with its values as numbers: of those that are none there are many."""
    return event.model, event.keys, np.frombuffer(event.values, "<f4")


def _again_row(event: Any) -> None:
    values = np.frombuffer(event.values, "<f4")
    sent = tfaas.read_row(tfaas.encode_row(event.keys, values, event.model))
    _same(_named(sent), _named(event))


def _again_query(encode: Callable[..., bytes], decode: Callable[[bytes], Any], query: Any) -> None:
    _same(decode(encode(query.keys, query.values, query.model)), query)


def _npy(body: bytes) -> Any:
    return tfaas.decode_npy(body, None)


def _npy_of(values: Any, version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, version, allow_pickle=False)
    return stream.getvalue()


def _npy_seeds() -> list[bytes]:
    rows = _ROWS.view(tfaas.named_floats(_KEYS)).reshape(-1)
    named = [_npy_of(rows, version) for version in ((1, 0), (2, 0), (3, 0))]
    return [*named, tfaas.encode_npy(["ä", "€"], _ROWS[:, :2]), tfaas.encode_npy(_KEYS, _ROWS)]


_NPY_WORDS = mutation.text(
    "'descr':", "'<f4'", "'|O'", "(2,)", "-1", "True", "'\\d'", "L", "(" * 60
)


def _again_arrow(found: Any) -> None:
    _same(arrow.decode(arrow.encode(*found)), found)


def _arrow_seeds() -> list[bytes]:
    import pyarrow as pa

    def stream(columns: Mapping[str, Any]) -> bytes:
        batch = pa.record_batch([pa.array(c) for c in columns.values()], names=list(columns))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as written:
            written.write_batch(batch)
            written.write_batch(batch)
        return bytes(sink.getvalue().to_pybytes())

    mixed = {"a": np.array([1.5, 2]), "b": np.array([1, 2], np.int8)}
    return [arrow.encode(_KEYS, _ROWS), stream(mixed), stream({"a": pa.array([1.0, None])})]


# --- the Open Inference Protocol and TensorFlow Serving ---------------------------------


def _oip(decode: Callable[[bytes, int | None], Any], data: bytes) -> Any:
    first, _, body = data.partition(b"\n")
    return decode(body, int(first) if first.isdigit() and len(first) < 9 else None)


def _oip_seeds() -> list[bytes]:
    found = []
    for binary in (False, True):
        for keys, values in ((_KEYS, _ROWS), ((), _ROW[None])):
            body, length = oip.encode_infer(values, keys, request_id="7", binary=binary)
            found.append(b"%b\n%b" % (b"" if length is None else b"%d" % length, body))
    columns = [
        {"name": key, "shape": [2, 1][: 1 + i % 2], "datatype": kind, "data": [1, 2]}
        for i, (key, kind) in enumerate((("a", "FP64"), ("b", "INT32"), ("c", "UINT8")))
    ]
    for column in columns:
        column["shape"] = [2]
    wanted = [{"name": "y", "parameters": {"binary_data": True}}]
    nested = {"name": "x", "shape": [1, 2, 2], "datatype": "BOOL", "data": [[[True, False]] * 2]}
    empty = {"name": "x", "shape": [0, 3], "datatype": "FP16", "data": []}
    told = [{"inputs": columns, "outputs": wanted}, {"inputs": [nested]}, {"inputs": [empty]}]
    return found + [b"\n" + json.dumps(one).encode() for one in told]


def _again_infer(asked: Any) -> None:
    for binary in (False, True):
        sent = oip.encode_infer(asked.values, asked.keys, request_id=asked.id, binary=binary)
        found = oip.decode_infer(*sent)
        _same((found.id, found.keys, found.values), (asked.id, asked.keys, asked.values))
    names = [name for name, _ in asked.outputs] or ["y"]
    _answered(asked, dict.fromkeys(names, asked.values))


def _again_tensors(asked: Any) -> None:
    _answered(
        asked, {n: np.zeros((2, 1), np.float32) for n in [n for n, _ in asked.outputs] or "y"}
    )


def _answered(asked: Any, outputs: Mapping[str, Any]) -> None:
    """The answer to a request is one, too."""
    found = oip.decode_answer(*oip.encode_outputs(asked, "m", "1", outputs))
    _same((found.id, dict(found.outputs)), (asked.id, dict(outputs)))


def _repository(body: bytes) -> Any:
    asked = oip.decode_repository(body)
    oip.wants_ready(asked)
    oip.check_load(asked)


_TFSERVING = _json(
    {"instances": [[1, 2], [3, 4.5]], "signature_name": "serving_default"},
    {"instances": [{"a": 1, "b": [2]}, {"b": 1, "a": [2]}]},
    {"instances": [{"x": [1, 2]}]},
    {"inputs": {"a": [1, 2], "b": [[1], [2]]}},
    {"inputs": [[1, 2]]},
    {"inputs": {"x": [[1, 2], [3, 4]]}},
    {"examples": [{"a": 1}, {"a": [2]}], "context": {"b": 3}, "signature_name": "s"},
)


def _tensors_of_one(body: bytes) -> Any:
    for names in (("x",), ("a", "b")):
        found = tfserving.decode_tensors(body, names)
        signature = Signature(
            tuple(Tensor(name, "float32", (2,)) for name in found.inputs),
            (Tensor("y", "float32", ()),),
        )
        if found.inputs:
            with contextlib.suppress(TfaasError):
                signature.conformed(found.inputs)
    return found


# --- what tells of models ---------------------------------------------------------------

_PARAMS = {
    "name": "ttbar",
    "model": "model.pb",
    "labels": "labels.txt",
    "options": ["a"],
    "inputNode": "input",
    "output_node": "output",
    "img_channels": 3,
    "description": "ä",
    "timestamp": "2026",
    "features": ["a", {"name": "b", "unit": "GeV", "low": 0, "median": 1.5, "high": 2}],
    "working_points": [{"eps_s": 0.5, "eps_b": 0.1, "threshold": 0.3}],
    "sha256": "0" * 64,
}


def _params_seeds() -> list[bytes]:
    named = _PARAMS | {"feature_set": TTBAR_ALL_HADRONIC.to_dict(), "features": []}
    return _json(_PARAMS, {"name": "x"}, named)()


def _again_params(found: Any) -> None:
    _same(params.Params.from_json(found.to_json()), found)


_EVENTS = {"keys": ["a", "b"], "values": [[1, 2], [3, 4.5]], "scores": [[0.5], [1]]}


def _again_events(found: Any) -> None:
    _same(ReferenceEvents.from_json(found.to_json()), found)


def _again_labels(labels: Any) -> None:
    if labels and len({label for label, _ in labels}) == len(labels) <= 5:
        scores = np.array([score for _, score in labels], np.float64)
        with np.errstate(over="ignore"):
            scores = np.sort(scores.astype(np.float32))[::-1]
        names = [label for label, _ in labels]
        body = image.encode_labels("f", names, np.ascontiguousarray(scores))
        _same([name for name, _ in image.decode_labels(body)], names)


@lru_cache(maxsize=1)
def _snapshot() -> bytes:
    counts, scored = Counts(), Scored()
    counts.tally("/json", "POST").add(200, 0.01)
    counts.error("RequestError")
    return Snapshot.take(counts, scored).to_json()


def _read_snapshot(data: bytes) -> Any:
    try:
        return Snapshot.from_json(data)
    except ValueError:  # as it says; nobody but another worker writes them
        return None


# --- pictures ---------------------------------------------------------------------------


def _picture_seeds() -> list[bytes]:
    from PIL import Image

    found = []
    for form, mode in (
        *(("PNG", mode) for mode in ("1", "L", "P", "RGB", "RGBA", "I;16", "LA")),
        *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    ):
        stream = io.BytesIO()
        picture = Image.new(mode, (5, 4))
        options: dict[str, Any] = {"transparency": b"\0\1\2"} if mode == "P" else {}
        if mode == "RGB":
            exif = Image.Exif()
            exif[0x0112], exif[0x011A] = 6, 72.0
            options = {"exif": exif} | ({"quality": 50} if form == "JPEG" else {})
        picture.save(stream, form, **options)
        found.append(stream.getvalue())
    return found


_CANVASES = tuple(
    image.Canvas.of(Signature((Tensor("x", kind, shape),), (Tensor("y", "float32", (1,)),)))
    for kind, shape in (("float32", (None, None, 3)), ("uint8", (3, 2, 1)), ("float32", (4, 5)))
)


def _picture(data: bytes) -> Any:
    """For one of the canvases: tens of megapixels, which are allowed, take most of a second."""
    canvas = _CANVASES[zlib.crc32(data) % len(_CANVASES)]
    found = canvas.pixels(data)
    lengths = (1, *(length or found.shape[i + 1] for i, length in enumerate(canvas.tensor.shape)))
    _same(found.shape, lengths)
    return found


# --- forms ------------------------------------------------------------------------------


def _form(data: bytes) -> Any:
    first, _, body = data.partition(b"\n")
    head = Head("POST", "/upload", b"", {b"content-type": first})
    request = Request(head, body)
    found = request.parts()
    for part in found.values():
        part.text()
    _same(request.form(), {name: part.content for name, part in found.items()})
    return found


def _again_form(found: Any) -> None:
    """Check that a form which a client encodes is decoded to its parts."""
    import requests

    plain = {n: p for n, p in found.items() if n and n.isascii() and n.isprintable()}
    plain = {n: p for n, p in plain.items() if not set(n) & set('"\\')}
    if plain:
        files = {n: (None, p.content) for n, p in plain.items()}
        sent = requests.Request("POST", "http://localhost/", files=files).prepare()
        kind, body = sent.headers["Content-Type"], sent.body
        assert isinstance(body, bytes)
        _same(forms.parse(kind, body), {n: p.content for n, p in plain.items()})


def _form_seeds() -> list[bytes]:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nttbar\r\n'
        b'--x\r\nContent-Disposition: form-data; name="model"; filename="a/model.pb"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\0\1\2\r\n--x--\r\n"
    )
    packed = body.replace(b"octet-stream\r\n", b"x\r\nContent-Transfer-Encoding: base64\r\n")
    return [
        b"multipart/form-data; boundary=x\n" + body,
        b'multipart/form-data; boundary="x"\n' + packed.replace(b"\0\1\2", b"AAEC"),
        b"application/x-www-form-urlencoded\nmodel=ttbar&name=%C3%A4+b",
        b"multipart/form-data; boundary*=utf-8''x; charset=utf-7\n" + body,
    ]


_FORM_WORDS = ("--x", "--x--", "\r\n", "form-data;", 'name="', "filename=", "filename*=utf-8''%e4")
_FORM_WORDS += ("Content-Transfer-Encoding: quoted-printable", "boundary", "base64", "&", "=", "%")


def _base64(data: bytes) -> Any:
    import base64

    found = forms.decode_base64(data, "model")
    _same(forms.decode_base64(base64.encodebytes(found), "model"), found)
    return found


# --- requests and their heads -----------------------------------------------------------


class _Here(Executor):
    """Works at once."""

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class _Refusing(admission.Admission):
    """Takes no model, which others decoders are for: to try one takes a process."""

    def read(self, content: bytes, *ends: str, **more: object) -> Read:
        raise GraphError("no model is taken here")

    def read_saved_model(
        self, files: Mapping[str, bytes], signature: str | None = None, *more: object
    ) -> Read:
        raise GraphError("no model is taken here")


class _Noting(App):
    """Notes the status of every answer, in the order in which they are given."""

    statuses: list[int]

    def answered(self, request: Any, call: Any, response: Response, *more: Any) -> Response:
        self.statuses.append(response.status)
        if response.status >= 500 and response.status not in (503,):
            raise Finding(f"answered {response.status}: {response.body[:300]!r}")
        return super().answered(request, call, response, *more)


class _Pipe(asyncio.Transport):
    """Stand-in for a socket."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.protocol: Any = None
        self.written = bytearray()
        self.closed = self.ended = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return 0

    def feed(self, data: bytes) -> None:
        """Hand bytes over as an event loop does."""
        while data and not self.closed:
            if isinstance(self.protocol, asyncio.BufferedProtocol):
                place = self.protocol.get_buffer(-1)
                size = min(len(place), len(data))
                place[:size] = data[:size]  # type: ignore[index]
                self.protocol.buffer_updated(size)
                data = data[size:]
            else:
                self.protocol.data_received(data)
                return


class _Site:
    """A whole server but for its socket, with the model ``sum``."""

    TOKEN = "secret"

    def __init__(self) -> None:
        from tests.graphs import serialized, weighted_sum

        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._folder = tempfile.TemporaryDirectory(prefix="tfaas-nb-fuzz-", dir=memory)
        service = Service(Repository(Path(self._folder.name) / "models"))
        features = [{"name": name} for name in "abc"]
        graph = FrozenGraph.from_bytes(serialized(weighted_sum))
        self._bundle = bundle.Bundle.create("sum", graph, ["score"], features)
        self.service = service
        service.upload(self._bundle)
        service.model("sum")
        service.admission = _Refusing()
        here = _Here()
        self.app = _Noting(service, Access(self.TOKEN), all_in(here))
        self._loop = asyncio.new_event_loop()
        self._known, self._heads = KnownHeads(), ResponseHeads("test")

    def ask(self, parts: Sequence[bytes]) -> list[int]:
        """Statuses of the answers to what comes in some parts."""
        found = self._loop.run_until_complete(self._ask(parts))
        self.service.look()
        if self.service.loaded("sum") is None:
            self._restore()
        return found

    def _restore(self) -> None:
        try:
            self.service.load("sum")
        except TfaasError:
            self.service.upload(self._bundle)
        self.service.model("sum")

    async def _ask(self, parts: Sequence[bytes]) -> list[int]:
        self.app.statuses = []
        gathering = Gathering(set(), self.app.hold)
        open_now: set[Connection] = set()
        limits = Limits()
        connection = Connection(
            *(self.app, limits, open_now, self._known, self._heads, gathering),
            Room(limits.held_bytes),
        )
        pipe = _Pipe()
        pipe.protocol = connection
        connection.connection_made(pipe)
        for part in parts:
            pipe.feed(part)
            await asyncio.sleep(0)
        for _ in range(100):
            if pipe.closed or pipe.ended or not pipe.protocol.eof_received():
                break
            await asyncio.sleep(0)
        else:
            raise Finding("a request is never answered")
        connection.connection_lost(None)
        return self.app.statuses


_site = lru_cache(maxsize=1)(_Site)


def _http(data: bytes) -> Any:
    random = Random(zlib.crc32(data))
    cuts = sorted({0, len(data), *(random.randrange(len(data) + 1) for _ in range(4))})
    site = _site()
    whole = site.ask([data])
    again = site.ask([data])
    pieces = site.ask([data[i:j] for i, j in itertools.pairwise(cuts)])
    # Sorted: some answers are ready later, which leave in order nevertheless.
    if not sorted(whole) == sorted(again) == sorted(pieces):
        raise Finding(f"answered {whole}, then {again}, and in pieces {pieces}")
    return None


def _http_seeds() -> list[bytes]:
    _site()  # which takes longer than an input may
    start = b"POST /%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
    event = b'{"keys":["a","b","c"],"values":[1,2,3],"model":"sum"}'
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
    infer = oip.encode_infer(_ROWS, (), name="x")[0]
    bodies = {
        b"json": event,
        b"npy?model=sum": tfaas.encode_npy("abc", _ROWS),
        b"proto": tfaas.encode_row("abc", [1, 2, 3], "sum"),
        b"v2/models/sum/infer": infer,
        b"v2/repository/index": b"{}",
        b"v1/models/sum:predict": b'{"instances":[[1,2,3]]}',
        b"v1/models/sum/versions/0:classify": b'{"examples":[{"a":1,"b":2,"c":3}]}',
        b"params": b'{"model":"sum"}',
        b"upload?name=x": b"\n\x02",
    }
    posts = [
        (start % path) + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        for path, body in bodies.items()
    ]
    gets = [
        b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path
        for path in (b"health", b"models?token=secret", b"params/sum?token=secret")
    ]
    more = b"Inference-Header-Content-Length: 12\r\nExpect: 100-continue\r\nX-Request-ID: 7\r\n"
    odd = (start % b"v2/models/sum/infer") + more + b"Content-Length: 12\r\n\r\n{} " + b" " * 9
    picture, kind = _form_seeds()[0].partition(b"\n")[2], b"multipart/form-data; boundary=x"
    posted = b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(picture), picture)
    return [
        *posts,
        *gets,
        gets[0] * 3,
        (start % b"json") + chunked,
        posts[0] + (start % b"json") + chunked + gets[1],
        odd,
        (start % b"image?model=sum") + posted,
    ]


_HTTP_WORDS = (
    *("\r\n", "\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Host: ", "HEAD "),
    *("Expect: 100-continue\r\n", "Connection: close\r\n", "Upgrade: x\r\n", "GET ", "?model=sum"),
    *("DELETE ", "/v2/models/", "/v1/models/", "%2e%2e", "/../", "?token=", "&", "HTTP/1.0", "*"),
    *("http://localhost/", "[::1]:80", "CONNECT ", "0\r\n\r\n", "\0", "/netron/k/x/", "\t", " "),
    *("Inference-Header-Content-Length: ", "Content-Encoding: base64\r\n", "Origin: http://x\r\n"),
)


def _asked(data: bytes) -> Any:
    """Host, query and id of a request."""
    host, _, query = data.partition(b"\n")
    headers = {b"host": host, b"authorization": query[:40], b"x-request-id": query}
    headers |= {b"origin": b"http://" + host} if query.startswith(b"o") else {}
    head = Head("GET", query.decode("latin-1"), query, headers)
    for name in ("model", "token", "name"):
        head.option(name)
    host_name(host.decode("latin-1"))
    known = request_id.sent(headers)
    assert known is None or (known.isascii() and known.isprintable())
    Reference.parse(head.path)
    Access("secret").check(headers, query)


def _logged(data: bytes) -> Any:
    """A line of the access log is one line of JSON."""
    first, _, rest = data.partition(b"\n")
    path = rest.decode("utf-8", "surrogateescape")
    known = first.decode("latin-1")
    head = Head("GET", path, b"", {})
    noted = {"time": 1.0, "id": known, "client": known, "seconds": 0.1}
    line = Entry.of(Request(head, b""), Response(b""), path, **noted).line()
    found = json.loads(line)
    assert b"\n" not in line
    _same((found["id"], found["status"]), (known, 200))


# --- models -----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _graphs() -> tuple[bytes, ...]:
    from tests import hostile
    from tests.graphs import serialized, weighted_sum

    target = Path("/tmp/target")
    makers = (hostile.writes_in_a_nested_function, hostile.writes_in_a_serialized_graph)
    more = (hostile.writes_in_an_attribute, hostile.calls_an_operation)
    more += (hostile.writes_in_packed_strings, hostile.writes_in_numbers)
    found = [make(target) for make in (*makers, *more)]
    return (serialized(weighted_sum), *(data for data in found if len(data) < 8000))


def _vetted(data: bytes) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework.graph_pb2 import GraphDef

    try:
        graph_def = GraphDef.FromString(data)
    except DecodeError as error:  # as in `FrozenGraph.from_bytes`
        raise GraphError("no GraphDef") from error
    vetting.vet(graph_def)


@lru_cache(maxsize=1)
def _onnx_models() -> tuple[bytes, ...]:
    from onnx import helper

    from tests import hostile
    from tests.onnx_models import logistic, model, relu

    named = relu()
    named.metadata_props.add(key="feature_names", value='["a", "b"]')
    found = [relu(), named, model([helper.make_node("Relu", ["x"], ["y"], "n")])]
    made = [bytes(one.SerializeToString()) for one in found]
    return (
        *made,
        logistic(["a", "b"], True)[2],
        hostile.onnx_with_weights_in("/etc/passwd"),
        hostile.onnx_of_a_custom_domain(),
        hostile.onnx_with_a_default_elsewhere(),
    )


def _again_onnx(graph: Any) -> None:
    _same(OnnxGraph.from_values(graph.serialized, json.loads(json.dumps(graph.to_values()))), graph)
    graph.runnable()


@lru_cache(maxsize=1)
def _keras_seeds() -> tuple[bytes, ...]:
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}}
    own = {"module": None, "class_name": "Mine", "registered_name": "a>Mine", "config": {}}
    mark = {"class_name": "__tensor__", "config": {"value": [1]}}
    found = []
    for inner in (
        [layer],
        [layer, own],
        [mark, {"class_name": "Lambda", "module": "keras.layers"}],
    ):
        config = {"module": "keras", "class_name": "Sequential", "config": {"layers": inner}}
        for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", kind) as packed:
                for name, content in (("metadata.json", "{}"), ("config.json", json.dumps(config))):
                    packed.writestr(zipfile.ZipInfo(name), content, kind)
            found.append(stream.getvalue())
    return tuple(found)


def _odd_files() -> list[bytes]:
    backend.tensorflow()  # which takes longer than an input may
    return [b"\x89HDF\r\n\x1a\n", b"\x80\x04\x95", b"\x80\x02c", b"garbage", b""]


def _read_file(data: bytes) -> Any:
    """The choice of a format; the formats have decoders of their own."""
    model_file.is_model(data)
    starts = (b"PK\x03\x04", b"\x08\x01\x12", b"\x08", b"\n")
    if not data.startswith(starts):
        HERE.read(data)


@lru_cache(maxsize=1)
def _saved_models() -> tuple[bytes, ...]:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    from tests.graphs import graph_def, placeholder

    def build(tf: Any) -> None:
        x = placeholder(tf)
        weights = tf.raw_ops.VarHandleOp(dtype="float32", shape=[3, 1], shared_name="w", name="w")
        read = tf.raw_ops.ReadVariableOp(resource=weights, dtype="float32")
        tf.matmul(x, read, name="y")
        prefix = tf.constant("p", name="prefix")
        (value,) = tf.raw_ops.RestoreV2(
            prefix=prefix, tensor_names=["w"], shape_and_slices=[""], dtypes=["float32"]
        )
        assign = tf.raw_ops.AssignVariableOp(resource=weights, value=tf.identity(value))
        with tf.control_dependencies([assign]):
            tf.no_op(name="restore")

    model = SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.CopyFrom(graph_def(build))
    meta_graph.saver_def.restore_op_name = "restore"
    signature = meta_graph.signature_def["serving_default"]
    for ends, name, length in ((signature.inputs, "x", 3), (signature.outputs, "y", 1)):
        ends[name].name, ends[name].dtype = f"{name}:0", 1
        for size in (-1, length):
            ends[name].tensor_shape.dim.add(size=size)
    return (bytes(model.SerializeToString()),)


class _OneGraph:
    """Reads every file as the same graph, so that what stands around it is looked at."""

    def read(self, content: bytes, *ends: str, **more: object) -> Read:
        return Read(_site()._bundle.graph)

    def read_saved_model(
        self, files: Mapping[str, bytes], signature: str | None = None, *more: object
    ) -> Read:
        return Read(_site()._bundle.graph, {"format": "SavedModel", "signature": signature})


def _label_seeds() -> list[bytes]:
    _site()  # which takes longer than an input may
    return [b"a\nb\r\n", "ä\u2028b\x0b".encode(), b"\n \n"]


def _card_seeds() -> list[bytes]:
    _site()
    whole = {"training": [{"file": "a"}], "evaluation": {"auc": 0.9}}
    return _json(whole, {}, {"training": ["x"]})()


def _bundle(data: bytes) -> Any:
    return bundle.Bundle.from_archive(data, None, None, _OneGraph())


def _again_bundle(found: Any) -> None:
    for packed in (found.tar(), found.archive()):
        same = _bundle(packed)
        _same(same.files(), found.files())
    found._repr_html_()


def _tar(files: Mapping[str, bytes], form: int, **headers: str) -> bytes:
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.pax_headers = len(content), headers
            packed.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@lru_cache(maxsize=1)
def _tars() -> tuple[bytes, ...]:
    import tarfile

    made = _site()._bundle
    events = ReferenceEvents.of("abc", _ROWS[:1], lambda x: x[:, :1]).to_json()
    card = {"training": [{"file": "a"}], "evaluation": {"auc": 0.9}}
    files = made.files() | {
        "model_card.json": json.dumps(card).encode(),
        "reference_events.json": events,
        "labels.txt": b"score\n",
    }
    del files["model.pbtxt" if "model.pbtxt" in files else bundle.TEXT]
    named = {f"sum/{name}": content for name, content in files.items()}
    saved = {"evil/saved_model.pb": b"x", "evil/variables/variables.index": b"y"}
    plain = _tar(named, tarfile.GNU_FORMAT)
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    return (
        plain,
        gzip.compress(plain, mtime=0),
        gzip.compress(_tar(saved, tarfile.PAX_FORMAT, comment="ä" * 20), mtime=0),
        _tar({"a/b": b"1\n0\n3\nabc"}, tarfile.PAX_FORMAT, **sparse),
        _tar({"a/b": b"x"}, tarfile.PAX_FORMAT, **{"GNU.sparse.map": "0,1", "size": "1"}),
        _tar({"a/" + "b" * 150: b"x"}, tarfile.GNU_FORMAT),
    )


def _understood(data: bytes) -> Any:
    return admission._understood(data, _graphs()[0])


def _understood_seeds() -> list[bytes]:
    graph = FrozenGraph.from_bytes(_graphs()[0])
    head = {"format": graph.platform, "graph": graph.to_values(), "converted_from": {"a": "b"}}
    onnx = OnnxGraph.from_bytes(_onnx_models()[0])
    other = {"format": onnx.platform, "graph": onnx.to_values(), "converted_from": {}}
    return [json.dumps(one).encode() + b"\n" for one in (head, other)]


# --- the table --------------------------------------------------------------------------

_LINES_OF_JSON = mutation.json_text
_BODY = mutation.tail_of_json

DECODERS: dict[str, Decoder] = {
    "tfaas-json": Decoder(
        _read_json, _TFAAS, _LINES_OF_JSON, _again_json, ("wire.tfaas.read_json",)
    ),
    "json-object": Decoder(
        json_body.json_object, _TFAAS, _LINES_OF_JSON, covers=("wire.json_body.json_object",)
    ),
    "row": Decoder(
        _read_row,
        lambda: [tfaas.encode_row(_KEYS, _ROW, m) for m in ("m", None)] + [b"\n\1a\x15\0\0\0\0"],
        mutation.protobuf,
        _again_row,
        ("wire.tfaas.read_row", "wire.tfaas.RowReader", "wire.protobuf.Row"),
    ),
    "dataframe": Decoder(
        tfaas.decode_dataframe,
        lambda: [tfaas.encode_dataframe(_KEYS, _ROWS, m) for m in ("m", None)],
        mutation.protobuf,
        partial(_again_query, tfaas.encode_dataframe, tfaas.decode_dataframe),
        ("wire.tfaas.decode_dataframe", "wire.protobuf.DataFrame"),
    ),
    "npy": Decoder(
        _npy,
        _npy_seeds,
        _NPY_WORDS,
        partial(_again_query, lambda k, v, _: tfaas.encode_npy(k, v), _npy),
        (
            "wire.npy.array_in",
            "wire.tfaas.decode_npy",
        ),
    ),
    "arrow": Decoder(
        arrow.decode, _arrow_seeds, mutation.plain, _again_arrow, ("wire.arrow.decode",)
    ),
    "oip-infer": Decoder(
        partial(_oip, oip.decode_infer), _oip_seeds, _BODY, _again_infer, ("wire.oip.decode_infer",)
    ),
    "oip-tensors": Decoder(
        partial(_oip, oip.decode_tensors),
        _oip_seeds,
        _BODY,
        _again_tensors,
        ("wire.oip.decode_tensors",),
    ),
    "oip-names": Decoder(
        partial(_oip, oip.tensor_names), _oip_seeds, _BODY, None, ("wire.oip.tensor_names",)
    ),
    "oip-repository": Decoder(
        _repository,
        _json({}, {"ready": True}, {"parameters": {"config": "{}"}}, {"parameters": {}}),
        _LINES_OF_JSON,
        covers=("wire.oip.decode_repository", "wire.oip.wants_ready", "wire.oip.check_load"),
    ),
    "tfserving-predict": Decoder(
        tfserving.decode_predict,
        _TFSERVING,
        _LINES_OF_JSON,
        covers=("wire.tfserving.decode_predict", "wire.oip.matrix"),
    ),
    "tfserving-tensors": Decoder(
        _tensors_of_one, _TFSERVING, _LINES_OF_JSON, covers=("wire.tfserving.decode_tensors",)
    ),
    "tfserving-examples": Decoder(
        tfserving.decode_examples,
        _TFSERVING,
        _LINES_OF_JSON,
        covers=("wire.tfserving.decode_examples",),
    ),
    "params": Decoder(
        params.Params.from_json,
        _params_seeds,
        _LINES_OF_JSON,
        _again_params,
        ("wire.params.Params", "wire.params.working_points_in", "features.FeatureSet.from_dict"),
    ),
    "picture": Decoder(
        _picture,
        _picture_seeds,
        either(mutation.png, mutation.plain),
        covers=("wire.image.Canvas", "wire.picture.bare"),
        share=0.3,
    ),
    "form": Decoder(
        _form,
        _form_seeds,
        lined(mutation.text(*_FORM_WORDS), mutation.text(*_FORM_WORDS)),
        _again_form,
        ("serving.forms.parts", "serving.forms.parse"),
        0.5,
    ),
    "base64": Decoder(
        _base64,
        lambda: [b"AAEC", b"YWJj\r\nYWI=", b" / +"],
        mutation.text("=", "\n", "-", "_"),
        covers=("serving.forms.decode_base64",),
    ),
    "http": Decoder(
        _http,
        _http_seeds,
        mutation.text(*_HTTP_WORDS),
        covers=("serving.http.Connection", "serving.heads.KnownHeads", "serving.app.App"),
        share=0.2,
    ),
    "asked": Decoder(
        _asked,
        lambda: [b"localhost:80\ntoken=secret&model=sum", b"[::1]\no", b"x\nm/versions/3", b"y\na"],
        lined(
            mutation.text(":", "[", "]", "@", "localhost", ".", "/", "?", "#", "1"),
            mutation.text("&", "=", "%", ";", "+", "token=", "/versions/", "/labels/", "%c3%28"),
        ),
        covers=("serving.security.host_name", "serving.security.Access", "reference.Reference"),
    ),
    "access-log": Decoder(
        _logged,
        lambda: [b"7\n/json", b"\n/\xff\x80"],
        lined(mutation.plain, mutation.plain),
        covers=("serving.access_log.Entry",),
    ),
    "archive": Decoder(archive.members, _tars, mutation.tar, None, ("archive.members",), 0.3),
    "bundle": Decoder(_bundle, _tars, mutation.tar, _again_bundle, ("bundle.Bundle",), 0.1),
    "card": Decoder(
        lambda data: bundle.Bundle.from_parts(b"", b"x", b"", data, "sum", b"", _OneGraph()),
        _card_seeds,
        _LINES_OF_JSON,
        _again_bundle,
        ("bundle.Bundle.from_parts",),
        0.1,
    ),
    "labels": Decoder(
        lambda data: bundle.Bundle.from_parts(b"", b"x", data, b"", "sum", b"", _OneGraph()),
        _label_seeds,
        mutation.text("\n", "\r", "\u2028", "\x85", " "),
        None,
        ("bundle.LABELS",),
        0.5,
    ),
    "reference-events": Decoder(
        ReferenceEvents.from_json,
        _json(_EVENTS),
        _LINES_OF_JSON,
        _again_events,
        ("reference_events.ReferenceEvents",),
    ),
    "model-file": Decoder(
        _read_file,
        _odd_files,
        covers=("model_file.Here", "model_file.is_model"),
    ),
    "graph-vetting": Decoder(
        _vetted, _graphs, mutation.protobuf, covers=("vetting.vet",), share=0.3
    ),
    "graph": Decoder(
        lambda data: FrozenGraph.from_bytes(data),
        lambda: _graphs()[:1],
        mutation.protobuf,
        lambda graph: _same(FrozenGraph.from_bytes(graph.serialized), graph),
        ("graph.FrozenGraph",),
        0.05,
    ),
    "onnx": Decoder(
        OnnxGraph.from_bytes,
        _onnx_models,
        mutation.protobuf,
        _again_onnx,
        ("onnx_graph.OnnxGraph",),
        0.3,
    ),
    "keras": Decoder(
        keras_file.check,
        _keras_seeds,
        mutation.zipped("config.json", mutation.json_text),
        covers=("keras_file.check",),
        share=0.3,
    ),
    "saved-model": Decoder(
        saved_model.plan,
        _saved_models,
        mutation.protobuf,
        covers=("saved_model.plan",),
        share=0.1,
    ),
    "admission": Decoder(
        _understood,
        _understood_seeds,
        mutation.lined(mutation.json_text, mutation.plain),
        covers=("serving.admission.Admission",),
    ),
    # What clients read of servers.
    "answer-oip": Decoder(
        partial(_oip, oip.decode_answer),
        lambda: [
            b"\n" + json.dumps({"model_name": "m", "id": "7", "outputs": [out]}).encode()
            for out in (
                {"name": "y", "shape": [2, 1], "datatype": "FP32", "data": [0.5, 1]},
                {"name": "y", "shape": [1], "datatype": "INT64", "data": [1]},
            )
        ],
        _BODY,
        covers=("wire.oip.decode_answer",),
    ),
    "answer-json": Decoder(
        tfaas.decode_scores_json,
        _json([0.5], [[0.5], [1]]),
        _LINES_OF_JSON,
        covers=("wire.tfaas.decode_scores_json",),
    ),
    "answer-protobuf": Decoder(
        tfaas.decode_predictions,
        lambda: [tfaas.encode_predictions(_ROWS, ["a"])],
        mutation.protobuf,
        covers=("wire.tfaas.decode_predictions", "wire.protobuf.Predictions"),
    ),
    "answer-npy": Decoder(
        tfaas.decode_scores_npy,
        lambda: [tfaas.encode_scores_npy(_ROWS)],
        _NPY_WORDS,
        lambda scores: _same(tfaas.decode_scores_npy(tfaas.encode_scores_npy(scores)), scores),
        ("wire.tfaas.decode_scores_npy",),
    ),
    "answer-arrow": Decoder(
        arrow.decode_scores, _arrow_seeds, covers=("wire.arrow.decode_scores",)
    ),
    "answer-image": Decoder(
        image.decode_labels,
        _json({"filename": "a.png", "labels": [{"label": "a", "probability": 0.5}]}),
        _LINES_OF_JSON,
        _again_labels,
        ("wire.image.decode_labels",),
    ),
    "snapshot": Decoder(
        _read_snapshot,
        lambda: [_snapshot()],
        _LINES_OF_JSON,
        covers=("serving.snapshot.Snapshot",),
    ),
}
