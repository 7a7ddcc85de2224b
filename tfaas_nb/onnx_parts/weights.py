"""Weights that an ONNX model keeps in files beside it, taken into the model.

PyTorch's exporter writes ``model.onnx`` and ``model.onnx.data``.  A model can name any file of
a machine.  So no file is opened here: a name counts only among the contents that came with the
model.

Source: ``TensorProto.external_data`` in ``onnx.proto3``, and ONNX's "External Data".
"""

from __future__ import annotations

import hashlib
import importlib
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tfaas_nb.errors import GraphError, TooLarge
from tfaas_nb.onnx_parts.walk import all_tensors

_EXTERNAL = 1
#: Bytes that the weights may have beyond those of their files, as some share theirs.
_MAY_REPEAT = 32 << 20
#: Bytes of a file of protobuf's, less what is not weights.
_MOST_BYTES = (2 << 30) - (64 << 20)
_NUMBER = re.compile(r"[0-9]{1,15}")
_DIGEST = re.compile(r"[0-9a-fA-F]{40}")
_ONE_FILE = (
    "torch.onnx.export(..., external_data=False), or in Python "
    "onnx.save(onnx.load('model.onnx'), 'one_file.onnx')"
)


def take_in(model: Any, files: Mapping[str, bytes]) -> bool:
    """Put weights from other files into the model; return True if there were any.

    Parameters
    ----------
    model : ModelProto
        The model, which is changed.
    files : mapping of str to bytes
        Contents of the files that came with it, by their path from the model's folder.

    Raises
    ------
    GraphError
        If a file did not come with it, or does not hold what the model says.
    TooLarge
        If the model takes far more from the files than they hold.
    """
    found = False
    most = left = min(_MAY_REPEAT + sum(map(len, files.values())), _MOST_BYTES)
    digests: dict[str, str] = {}
    for tensor in all_tensors(model):
        if tensor.data_location != _EXTERNAL:
            continue
        told = _description(tensor)
        content = _part(tensor, told, files, digests)
        left -= len(content)
        if left < 0:
            raise TooLarge(
                f"the ONNX model takes more than {most >> 20} MB of weights from the files beside "
                f"it, which hold {sum(map(len, files.values())) >> 20} MB"
            )
        _put(tensor, content)
        found = True
    return found


def refuse_outside(model: Any) -> None:
    """Refuse weights that are not in the model itself.

    Raises
    ------
    GraphError
        Naming the file that the model asks for, and how to bring it.
    """
    for tensor in all_tensors(model):
        if tensor.external_data or tensor.data_location != 0:
            raise _missing(tensor.name, _description(tensor).get("location", ""), {})


def locations(model: Any) -> tuple[str, ...]:
    """Plain names of the files within the model's folder that hold its weights, as it says."""
    named = {
        _description(tensor).get("location", "")
        for tensor in all_tensors(model)
        if tensor.data_location == _EXTERNAL
    }
    return tuple(sorted({PurePosixPath(one).as_posix() for one in named if is_plain(one)}))


def is_plain(location: str) -> bool:
    """Return True if a name is that of a file in the model's folder or below."""
    path = PurePosixPath(location)
    is_inside = not path.is_absolute() and ".." not in path.parts and "\0" not in location
    return bool(path.parts) and is_inside


def _description(tensor: Any) -> dict[str, str]:
    """File, offset, length and digest of a tensor's numbers, as the model tells them."""
    return {_text(entry.key): _text(entry.value) for entry in tensor.external_data}


def _text(value: str | bytes) -> str:
    """A text of protobuf, which leaves one that is no UTF-8 as bytes."""
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")


def _part(
    tensor: Any, told: Mapping[str, str], files: Mapping[str, bytes], digests: dict[str, str]
) -> bytes:
    """The bytes of a tensor, out of the file that it names."""
    location = told.get("location", "")
    name = PurePosixPath(location).as_posix() if is_plain(location) else ""
    if name not in files:
        raise _missing(tensor.name, location, files)
    whole = files[name]
    size = _size(tensor)
    start = _number(told, "offset", 0, tensor.name)
    length = _number(told, "length", len(whole) - start if size is None else size, tensor.name)
    if size is not None and length != size:
        raise GraphError(
            f"the weights {tensor.name!r} have {length} bytes in {location!r}, their type and "
            f"shape need {size}: export the model again"
        )
    if start + length > len(whole):
        raise GraphError(
            f"the weights {tensor.name!r} end at byte {start + length} of {location!r}, which has "
            f"{len(whole)}: was it cut short, or is it another model's?"
        )
    if _DIGEST.fullmatch(told.get("checksum", "")):
        _check_sum(told["checksum"], location, whole, digests)
    return whole[start : start + length]


def _missing(name: str, location: str, files: Mapping[str, bytes]) -> GraphError:
    bring = ""
    if is_plain(location):
        came = f" (with the model came {', '.join(sorted(files)[:5])})" if files else ""
        bring = (
            f", or bring {location!r} with it{came}: both in one archive, as .tar.gz or .zip, or "
            "in the form's field 'data'"
        )
    return GraphError(
        f"the weights {name!r} are in another file: save the model as one file ({_ONE_FILE}){bring}"
    )


def _number(told: Mapping[str, str], key: str, default: int, name: str) -> int:
    text = told.get(key, str(default))
    if not _NUMBER.fullmatch(text):
        raise GraphError(f"the weights {name!r} have {text[:20]!r} for their {key}")
    return int(text)


def _size(tensor: Any) -> int | None:
    """Bytes of a tensor's numbers; None where several share a byte or the type is not known."""
    helper = importlib.import_module("onnx.helper")
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, ValueError, TypeError):
        return None
    if dtype.kind not in "biufc" or min(tensor.dims, default=0) < 0:
        return None
    return int(math.prod(tensor.dims) * dtype.itemsize)


def _check_sum(digest: str, location: str, content: bytes, known: dict[str, str]) -> None:
    """Compare the file with the SHA-1 that the model may tell of it."""
    if location not in known:
        known[location] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if known[location] != digest.lower():
        raise GraphError(
            f"the file {location!r} is not the one that the ONNX model describes: its SHA-1 is "
            f"{known[location][:12]}…, expected {digest.lower()[:12]}…; was it damaged on the way?"
        )


def _put(tensor: Any, content: bytes) -> None:
    tensor.raw_data = content
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
