"""Reading of the files that a user chose: a model, its description, labels and the like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tfaas_nb import archive, foreign_file
from tfaas_nb.bundle import CARD, Bundle, name_from
from tfaas_nb.errors import BundleError, GraphError, TooLarge
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.model_folder import latest, read_beside
from tfaas_nb.reference_events import FILE as REFERENCE_EVENTS
from tfaas_nb.serving.admission import Admission
from tfaas_nb.serving.models import MOST_UPLOAD
from tfaas_nb.signature import Tensor
from tfaas_nb.table import Table
from tfaas_nb.widgets.arrival import size, too_large

#: What a server takes, less what is packed around a model.
MOST_BYTES = MOST_UPLOAD - (4 << 20)

#: Of a model's own file, which is named after it; the others are archives.
_LONE = (".pb", ".onnx", ".keras")
#: Of a model whose weights may be in files beside it.
_WITH_WEIGHTS = ".onnx"
#: How a model begins that is what its name says.
_STARTS = {".onnx": ("ONNX", b"\x08"), ".keras": ("Keras", b"PK\x03\x04")}
ENDINGS = (*_LONE, *archive.ENDINGS)
#: Beside a model: its description and its labels.
BESIDE = (".json", ".txt")

#: In a model's folder for people, or for the repository.
_PASSED_OVER = ("model.pb.txt", "manifest.json", ".tfaas_nb.json")
#: What a JSON file is by its name; another one is ``params.json``, whatever it is called.
_NAMED = {CARD: "card", REFERENCE_EVENTS: "reference events"}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
_MOST_NAMES = 60
#: What is chosen may be a stranger's: it is looked at in a process of its own, as a server does.
_READER = Admission()


def read(files: Mapping[str, bytes], constants: str = "") -> Bundle:
    """The bundle in some files: an archive, or a model with or without what tells of it.

    Parameters
    ----------
    files : mapping of str to bytes
        Name → content.
    constants : str
        Values of placeholders that are no inputs, ``keep_prob=1,phase=false`` or JSON.

    Raises
    ------
    BundleError
        If there is not one model among them, or the parts contradict each other.
    GraphError
        If the model may not be served.
    """
    models = [name for name in files if name.lower().endswith(ENDINGS)]
    others = [name for name in files if name not in models and name not in _PASSED_OVER]
    if not models:
        _refuse_foreign(files)
    if len(models) != 1:
        shown = ", ".join(models or files) or "nothing"
        number = "no model" if not models else "more than one model"
        raise BundleError(f"{shown} is {number}: choose one file ending in {', '.join(ENDINGS)}")
    (model,) = models
    if model.lower().endswith(archive.ENDINGS):
        if others:
            raise BundleError(
                f"{model} is a whole model: choose it without {', '.join(others)}, "
                "or put them into it"
            )
        stem = name_from(model.partition(".")[0])
        return Bundle.from_archive(
            files[model], reader=_READER, file_name=stem, constants=constants
        )
    weights = {}
    if model.lower().endswith(_WITH_WEIGHTS):
        weights = {name: files[name] for name in others if not name.lower().endswith(BESIDE)}
        others = [name for name in others if name not in weights]
    params, labels, card, events = (
        _beside(others, role, files) for role in ("params", "labels", "card", "reference events")
    )
    name = _name(model, params)
    try:
        return Bundle.from_parts(
            *(params, files[model], labels, card, name, events, _READER),
            beside=weights,
            constants=constants,
        )
    except GraphError as error:
        form, start = _STARTS.get(Path(model).suffix.lower(), ("", b""))
        if files[model].startswith(start):
            raise
        # Bytes that begin like nothing known are tried as a graph, which they are not called.
        raise GraphError(
            f"{model} is no {form} model: it is damaged or of another format; save it again"
        ) from error


def _refuse_foreign(files: Mapping[str, bytes]) -> None:
    """Say of a file, of which the name does not tell, what it is and what makes a model of it."""
    for name, content in files.items():
        refusal = foreign_file.refusal(content) if content else None
        if refusal and not name.lower().endswith(BESIDE):
            raise GraphError(f"{name} is no model: {refusal}")


def read_path(path: str, constants: str = "") -> Bundle:
    """The bundle in a file or folder of this machine.

    Raises
    ------
    BundleError, GraphError, TooLarge
        As `read`, or if it cannot be read.
    """
    place = Path(path.strip()).expanduser()
    if not path.strip():
        raise BundleError("write the path of a model's file or folder first")
    try:
        if place.is_dir():
            folder = latest(place)
            if (folder / "saved_model.pb").exists() and not (folder / "params.json").exists():
                name = _plain(place.resolve().name)
                return Bundle.from_saved_model(folder, name, reader=_READER, constants=constants)
            return Bundle.load(folder, _READER, constants)
        bytes_there = place.stat().st_size
        if bytes_there > MOST_BYTES:
            raise TooLarge(f"{place}: {too_large(bytes_there, MOST_BYTES)}")
        content = place.read_bytes()
        lone = place.name.lower().endswith(_WITH_WEIGHTS)
        beside = read_beside(place, content) if lone else {}
        return read({**beside, place.name: content}, constants)
    except OSError as error:
        raise BundleError(f"{place} cannot be read on this kernel's machine: "
                          f"{error.strerror}") from error  # fmt: skip


def inside(bundle: Bundle) -> Table:
    """Table of a bundle's contents, for a user to check before the model is served."""
    graph = bundle.graph
    names = bundle.features or ()
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    form = "TensorFlow graph" if isinstance(graph, FrozenGraph) else "ONNX"
    converted = bundle.card.get("converted_from")
    origin = converted.get("format") if isinstance(converted, Mapping) else None
    values = converted.get("constants") if isinstance(converted, Mapping) else None
    rows = (
        ("may be served", "yes: every operation is on the list of those that only compute"),
        ("format", f"{form}, converted from {origin}" if origin else form),
        ("size", size(len(graph.serialized))),
        ("inputs", "; ".join(map(_tensor, graph.signature.inputs))),
        *((("placeholders of the training", _told(values)),) if values else ()),
        ("features", f"{len(names)}: {shown}" if names else "not named"),
        ("outputs", "; ".join(map(_tensor, graph.signature.outputs))),
        ("labels", ", ".join(bundle.labels) or "none"),
        ("description", bundle.params.description or "none"),
        ("sha256", graph.sha256),
    )
    return Table(("part", "content"), rows)


def _told(constants: object) -> str:
    values = constants.items() if isinstance(constants, Mapping) else ()
    return ", ".join(f"{name} = {str(value).lower()}" for name, value in values)


def _tensor(tensor: Tensor) -> str:
    shape = ", ".join("any" if n is None else str(n) for n in tensor.shape)
    return f"{tensor.name}: {tensor.dtype} ({shape}) per event"


def _beside(names: list[str], role: str, files: Mapping[str, bytes]) -> bytes:
    """The content of the file with a role; empty when there is none."""
    found = [name for name in names if _role(name) == role]
    if len(found) > 1:
        raise BundleError(f"{' and '.join(found)} may both be the {role}: choose one of them")
    return files[found[0]] if found else b""


def _role(name: str) -> str:
    if name.lower().endswith(".json"):
        return _NAMED.get(name, "params")
    if name.lower().endswith(".txt"):
        return "labels"
    raise BundleError(
        f"{name} is no part of a model: choose a model's file ({', '.join(_LONE)}), with its "
        "params.json and its labels.txt if there are"
    )


def _name(model: str, params: bytes) -> str | None:
    """Name for a model without ``params.json``: that of its file; None if there is one."""
    ending = next(e for e in _LONE if model.lower().endswith(e))
    return None if params else _plain(model[: -len(ending)])


def _plain(name: str) -> str:
    """A name that a model can have, as near as may be to a file's."""
    return _NOT_IN_NAMES.sub("_", name).lstrip(".-")[:100] or "model"
