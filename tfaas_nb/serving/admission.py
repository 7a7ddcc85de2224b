"""Admission of models: the tests that an uploaded model must pass before it is served.

An untrusted model is read, vetted, converted if need be and built in a process of its own, within
limits, and evaluated in another one for events of zeros and its reference events.  A model that
crashes TensorFlow, takes all memory or never ends does it there.  The server itself gets only the
result for a model that answered.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfaas_nb import isolation
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import Engine, open_engine
from tfaas_nb.errors import GraphError, TfaasError
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.graph_parts.inference_constants import Constants
from tfaas_nb.independence import check_independence
from tfaas_nb.model_file import NO_CONSTANTS, NOTHING, Graph, Here, Read
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.operations import ALLOWED
from tfaas_nb.reference_events import ReferenceEvents

#: Names, where it is read, of a model's file and of the folder of those beside it.
_FILE, _BESIDE = "model", "beside"
#: Answers that are remembered, and the bytes of the longest.
_MOST_ANSWERS, _MOST_BYTES = 256, 64 << 10
_FORMATS: Mapping[str, type[FrozenGraph] | type[OnnxGraph]] = {
    kind.platform: kind for kind in (FrozenGraph, OnnxGraph)
}


class _Answers:
    """Cache of the results of admission; a model that was admitted is not tried again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], bytes] = {}

    def get(self, asked: tuple[str, ...], find: Callable[[], bytes]) -> bytes:
        """The answer, remembered if it is short; a refusal is not."""
        key = tuple(hashlib.sha256(part.encode()).hexdigest() for part in asked)
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        answer = find()
        if len(answer) <= _MOST_BYTES:
            with self._lock:
                if len(self._known) >= _MOST_ANSWERS:
                    del self._known[next(iter(self._known))]
                self._known[key] = answer
        return answer


_answers = _Answers()


@dataclass(frozen=True)
class Admission:
    """Reads and tries models of strangers.

    Attributes
    ----------
    allowed : frozenset of str
        Operations that a TensorFlow graph may use.
    """

    allowed: frozenset[str] = ALLOWED

    @classmethod
    def allowing(cls, operations: Iterable[str]) -> Admission:
        """One that lets further operations pass."""
        return cls(ALLOWED | frozenset(operations))

    @property
    def here(self) -> Here:
        """Reader, in this process, of models that were admitted before; it has the same rules."""
        return Here(self.allowed)

    def read(
        self,
        content: bytes,
        input_node: str = "",
        output_node: str = "",
        beside: Mapping[str, bytes] = NOTHING,
        constants: Constants = NO_CONSTANTS,
    ) -> Read:
        """The model in a file, whatever the file is called.

        Parameters
        ----------
        content : bytes
            A frozen GraphDef, an ONNX model or a ``.keras`` file.
        input_node, output_node : str
            Ends of a GraphDef, if they are known.
        beside : mapping of str to bytes
            Files that came with it, by their path from its folder.
        constants : mapping of str to bool, int or float
            Placeholder of a GraphDef that is no input → its value.

        Raises
        ------
        GraphError
            If the model may not or cannot be served, or takes too much to try.
        MissingExtra
            If what reads its format is not installed.
        ServerError
            If there can be no process to try it in.
        """
        files = {f"{_BESIDE}/{name}": data for name, data in beside.items()}
        ends, values = [input_node, output_node], dict(constants)
        return self._admitted(content, {_FILE: content, **files}, ends=ends, constants=values)

    def read_saved_model(
        self,
        files: Mapping[str, bytes],
        signature: str | None = None,
        constants: Constants = NO_CONSTANTS,
    ) -> Read:
        """The model in a SavedModel's files, by their path in its folder.

        Raises
        ------
        GraphError, ServerError
            As `read`.
        """
        return self._admitted(b"", files, signature=signature, constants=dict(constants))

    def tried(self, bundle: Bundle) -> Bundle:
        """A bundle whose model answered its reference events, each for itself.

        One without reference events gets some.

        Raises
        ------
        BundleError
            If the scores of its reference events differ from those that it brings.
        GraphError
            If it cannot answer, takes too much to, or the score of an event depends on others.
        ServerError
            If there can be no process to try it in.
        """
        files = bundle.files()
        # Whatever it is called: what was tried is a graph with its ends, events and their ranges.
        asked = [
            bundle.graph.sha256,
            bundle.graph.input_node,
            bundle.graph.output_node,
            json.dumps([dict(feature) for feature in bundle.params.features], default=str),
            bundle.reference_events.to_json().decode() if bundle.reference_events else "",
            *self._more,
        ]
        answer = _answers.get(
            ("try", *asked), lambda: isolation.run(_try, files, *self._more, limits=_limits(files))
        )
        events = ReferenceEvents.from_json(answer) if answer else None
        return replace(bundle, reference_events=events)

    @property
    def _more(self) -> list[str]:
        """Operations allowed beyond those of the list."""
        return sorted(self.allowed - ALLOWED)

    def _admitted(self, content: bytes, files: Mapping[str, bytes], **wanted: Any) -> Read:
        told = json.dumps(wanted | {"more": self._more})
        hashes = [f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in files.items()]
        answer = _answers.get(
            ("read", told, *sorted(hashes)),
            lambda: isolation.run(_read, files, told, limits=_limits(files)),
        )
        return _understood(answer, content)


def _understood(answer: bytes, content: bytes) -> Read:
    """Parse the answer of the process that read a model, which a hostile file may have forged."""
    head, _, converted = answer.partition(b"\n")
    try:
        told = json.loads(head)
        kind = _FORMATS[told["format"]]
        graph: Graph = kind.from_values(converted or content, told["graph"])
        return Read(graph, dict(told["converted_from"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise GraphError(f"the process that read the model answered nonsense: {error}") from error


def _read(folder: Path, told: str) -> bytes:
    """In a process of its own: what `_understood` understands."""
    wanted = json.loads(told)
    reader = Here(ALLOWED | frozenset(wanted["more"]))
    if "ends" in wanted:
        beside = _files(folder / _BESIDE)
        source, sink = wanted["ends"]
        content = (folder / _FILE).read_bytes()
        read = reader.read(content, source, sink, beside, wanted["constants"])
    else:
        read = reader.read_saved_model(_files(folder), wanted["signature"], wanted["constants"])
    head = {
        "format": read.graph.platform,
        "graph": read.graph.to_values(),
        "converted_from": read.converted_from,
    }
    converted = read.graph.serialized if read.converted_from else b""
    return json.dumps(head).encode() + b"\n" + converted


def _try(folder: Path, *more: str) -> bytes:
    """In a process of its own: the reference events of a bundle that gives them their scores."""
    start = time.monotonic()
    bundle = Bundle.load(folder, Here(ALLOWED | frozenset(more)))
    engine = checked_engine(bundle)
    bundle = bundle.with_reference_events(engine=engine)
    check_independence(bundle, engine, time.monotonic() - start)
    engine.close()
    return bundle.reference_events.to_json() if bundle.reference_events else b""


def checked_engine(bundle: Bundle) -> Engine:
    """An engine that gives a bundle's reference events their scores.

    Raises
    ------
    BundleError
        If a score differs.
    GraphError
        If the model cannot answer.
    """
    engine = open_engine(bundle.graph)
    try:
        bundle.check(engine)
    except TfaasError:
        engine.close()
        raise
    return engine


def _limits(files: Mapping[str, bytes]) -> isolation.Limits:
    return isolation.Limits.of(sum(map(len, files.values())))


def _files(folder: Path) -> dict[str, bytes]:
    found: Sequence[Path] = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
