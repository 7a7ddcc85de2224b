"""A bundle's model in the formats of others, with the same scores.

Every format is a function from a `Content` and a path to a file or folder; `FORMATS` names them.
``onnx`` and ``saved_model`` write the path itself, the others a folder ``NAME`` in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tfaas_nb.errors import BundleError
from tfaas_nb.export.cmssw import cmssw
from tfaas_nb.export.content import Content, Graph
from tfaas_nb.export.kserve import kserve
from tfaas_nb.export.onnx import onnx_file, onnx_model
from tfaas_nb.export.saved_model import saved_model
from tfaas_nb.export.tfaas import tfaas
from tfaas_nb.export.tfserving import tfserving
from tfaas_nb.export.triton import triton

__all__ = ["FORMATS", "Content", "Graph", "onnx_model", "write"]

#: Format → what writes it, from a model to a path.
FORMATS: Mapping[str, Callable[[Content, Path], Path]] = {
    "onnx": onnx_file,
    "saved_model": saved_model,
    "cmssw": cmssw,
    "triton": triton,
    "kserve": kserve,
    "tfserving": tfserving,
    "tfaas": tfaas,
}


#: Formats of which a folder holds several versions.
_VERSIONED = ("triton", "tfserving")


def write(content: Content, form: str, path: Path) -> Path:
    """Write a model in another format and return the path of what was written.

    Raises
    ------
    BundleError
        If the format is unknown, has no such version, or the path cannot be written.
    GraphError
        If the model cannot be written in it.
    """
    if not isinstance(form, str) or form not in FORMATS:
        raise BundleError(f"there is no format {form!r}; there are {', '.join(FORMATS)}")
    if content.version != 1 and form not in _VERSIONED:
        raise BundleError(f"{form!r} has no versions; {' and '.join(_VERSIONED)} have")
    try:
        return FORMATS[form](content, path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}") from error
