"""``.keras`` files: looked through as data, loaded and frozen once in a process of their own.

Keras builds what a file's configuration names.  So before Keras sees the file, every object in
the configuration has to be one of Keras's own layers, operations or settings; code of others
(Lambda layers, custom classes) is refused.  Then Keras loads it in its safe mode.

Source: ``keras/src/saving/saving_lib.py`` and ``serialization_lib.py`` of Keras 3.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfaas_nb import archive, backend, isolation
from tfaas_nb.errors import BundleError, GraphError, TfaasError, TooLarge
from tfaas_nb.foreign_words import first_line, reason
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.operations import ALLOWED

FILE = "model.keras"
FORMAT = "keras"

_CONFIG = "config.json"
_MOST_MEMBERS = 1000
_MOST_BYTES = 2 << 30
_MOST_CONFIG = 64 << 20
_PIECE = 4096
#: Modules of Keras whose objects only compute.
_MODULES = (
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "models"),
    *("ops", "random", "regularizers"),
)
_RUN_CODE = {
    "Lambda": "a Lambda layer, which is Python code: replace it with layers or keras.ops",
    "__lambda__": "a Python lambda: replace it with a function of keras.ops",
    "TFSMLayer": "a TFSMLayer, which runs another file: upload the SavedModel itself",
    "JaxLayer": "a JaxLayer, which runs foreign code: export the model as ONNX",
    "FlaxLayer": "a FlaxLayer, which runs foreign code: export the model as ONNX",
    "TorchModuleWrapper": "a TorchModuleWrapper, which runs pickled code: export it as ONNX",
}


def frozen(content: bytes, allowed: Collection[str] = ALLOWED) -> FrozenGraph:
    """The model in a ``.keras`` file as a frozen graph.

    Parameters
    ----------
    content : bytes
        The file.
    allowed : collection of str
        Operations that it may use.

    Raises
    ------
    GraphError
        If it is no such file, holds code, or may not or cannot be served.
    BundleError
        If a member is no regular file, or has no plain name.
    TooLarge
        If it unpacks to too much.
    """
    check(content)
    more = sorted(frozenset(allowed) - ALLOWED)
    limits = isolation.Limits.of(len(content))
    data = isolation.run(_freeze, {FILE: content}, *more, limits=limits)
    return FrozenGraph.from_bytes(data, allowed=allowed)


def check(content: bytes) -> None:
    """Refuse a file that is no ``.keras`` file or names more than Keras's own layers.

    Raises
    ------
    GraphError
        Naming what is wrong.
    BundleError
        If a member is no regular file, or has no plain name.
    TooLarge
        If it unpacks to too much, or to far more than it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            _check_members(packed)
            _check_sizes(packed, len(content))
            config = json.loads(_config(packed))
    except TfaasError:
        raise
    except (ValueError, RecursionError) as error:
        raise GraphError(f"the .keras file's {_CONFIG} cannot be read: {reason(error)}") from error
    except Exception as error:  # each way of packing has errors of its own
        raise GraphError(f"the .keras file is not a whole zip archive: {reason(error)}") from error
    for found in _objects(config):
        _check_object(found)


def _check_members(packed: zipfile.ZipFile) -> None:
    names = packed.namelist()
    if _CONFIG not in names:
        if any(name.endswith("data.pkl") for name in names):
            raise GraphError(
                "a PyTorch file holds pickled code: export the model with torch.onnx.export"
            )
        raise GraphError(
            f"the zip archive is no .keras file: it has no {_CONFIG}, but {sorted(names)[:5]}"
        )
    found = set()
    for entry in packed.infolist():
        path = archive.plain_path(entry.orig_filename)  # the other one ends at a zero
        kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where it was not packed on Unix
        if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
            raise BundleError(f"the archive's member {entry.filename!r} is not a regular file")
        if path in found:
            raise BundleError(f"the archive has two members {entry.filename!r}")
        found.add(path)


def _check_sizes(packed: zipfile.ZipFile, size: int) -> None:
    sizes = {entry.filename: entry.file_size for entry in packed.infolist()}
    if len(sizes) > _MOST_MEMBERS or sum(sizes.values()) > _MOST_BYTES:
        raise TooLarge(
            f"the .keras file holds more than {_MOST_MEMBERS} members or {_MOST_BYTES >> 30} GB"
        )
    if sizes[_CONFIG] > _MOST_CONFIG:
        raise TooLarge(f"the .keras file's {_CONFIG} is over {_MOST_CONFIG >> 20} MB")
    if sum(sizes.values()) > archive.may_unpack_to(size):
        raise TooLarge(
            f"the .keras file unpacks to more than {archive.MOST_RATIO} times its size: "
            "save it with Keras, which does not compress"
        )


def _config(packed: zipfile.ZipFile) -> bytes:
    """The configuration, in pieces: asked for all, `zipfile` unpacks it before it cuts it."""
    with packed.open(_CONFIG) as stream:
        return b"".join(iter(lambda: stream.read(_PIECE), b""))


def _objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that Keras would build from a configuration, but for the training setup."""
    pending = [config]
    while pending:
        found = pending.pop()
        if isinstance(found, list):
            pending += found
        elif isinstance(found, dict):
            if "class_name" in found:
                yield found
            pending += [value for key, value in found.items() if key != "compile_config"]


def _check_object(found: Mapping[str, Any]) -> None:
    name, module = str(found["class_name"]), found.get("module")
    if name in _RUN_CODE:
        raise GraphError(f"the model has {_RUN_CODE[name]}")
    if module is None and name.startswith("__"):  # Keras's marks for slices, tensors …
        return
    words = str(module).replace("keras.src", "keras", 1).split(".")
    if words[0] != "keras" or (len(words) > 1 and words[1] not in _MODULES):
        raise GraphError(
            f"the model has an object of its own, {found.get('registered_name') or name!r}: "
            "only Keras's own layers can be served; export the model as a SavedModel "
            "(model.export) or ONNX"
        )


def _freeze(folder: Path, *more: str) -> bytes:
    keras = backend.keras()
    try:
        _check_weights((folder / FILE).read_bytes())
        model = keras.saving.load_model(folder / FILE, compile=False, safe_mode=True)
    except GraphError:
        raise
    except Exception as error:  # Keras raises what its layers raise
        raise GraphError(f"Keras cannot load the model: {_innermost(error)}") from error
    return FrozenGraph.freeze(model, allowed=ALLOWED | frozenset(more)).serialized


def _check_weights(content: bytes) -> None:
    """Refuse weights that are in other files of this machine: HDF5 can refer to them."""
    import h5py

    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        for name in packed.namelist():
            if name.endswith(".h5"):
                with h5py.File(io.BytesIO(packed.read(name)), "r") as weights:
                    _check_group(h5py, weights)


def _check_group(h5py: Any, group: Any) -> None:
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise GraphError(f"the weights {name!r} are a link: only weights in the file are read")
        found = group[name]
        if isinstance(found, h5py.Group):
            _check_group(h5py, found)
        elif found.external or found.is_virtual:
            raise GraphError(f"the weights {name!r} are in another file")


def _innermost(error: Exception) -> str:
    """The reason within Keras's nested messages, each of which repeats the configuration."""
    return first_line(str(error).rpartition("Exception encountered: ")[2]) or type(error).__name__
