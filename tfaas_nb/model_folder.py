"""The model among the files of a folder, and the files beside a model.

People pack ``NAME/`` as it stands on their disk: with a folder per version, as TensorFlow Serving
and Triton want them, or with a lone ``.onnx`` and its weights.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from tfaas_nb import archive, foreign_file, saved_model
from tfaas_nb.errors import BundleError, TooLarge
from tfaas_nb.onnx_graph import files_beside

PARAMS = "params.json"
#: Endings of a model's file that stands alone.
LONE = (".onnx", ".keras")

_ONNX = b"\x08"
#: File at the top of the zip that a ``.keras`` file is.
_KERAS = "config.json"
_MOST_BYTES = 2 << 30
_SHOWN = 5


def is_archive(data: bytes) -> bool:
    """Return True if bytes are a zip of a model's folder, and not one that is a model itself."""
    if not archive.is_zip(data):
        return False
    names = archive.zip_names(data)
    return any(map(_is_mark, names)) and _KERAS not in names


def inner(folder: str, files: Mapping[str, bytes]) -> tuple[str, Mapping[str, bytes]]:
    """Name of the folder that holds the model, and its files by their path within.

    Of several versions, which are folders called by numbers, the highest is taken.

    Parameters
    ----------
    folder : str
        Name of the outermost folder.
    files : mapping of str to bytes
        Path within it → content.

    Raises
    ------
    BundleError
        If several folders hold a model.
    """
    while not _holds_model(files):
        holding = {path.partition("/")[0] for path in files if _is_mark(path) and "/" in path}
        if not holding:
            break
        step = _step(holding)
        folder = folder if step.isdecimal() else step
        files = {
            path.partition("/")[2]: content
            for path, content in files.items()
            if path.startswith(f"{step}/")
        }
    return folder, files


def foreign(files: Mapping[str, bytes]) -> str:
    """Words on the first file of another known kind in a folder without a model; may be empty."""
    for path, content in files.items():
        if found := foreign_file.refusal(content):
            return f"; of {path}, {found}"
    return ""


def lone(files: Iterable[str]) -> str | None:
    """The only model's file at the top of a folder; None if there is none, or no only one."""
    models = [path for path in files if _is_lone(path) and "/" not in path]
    return models[0] if len(models) == 1 else None


def beside(files: Mapping[str, bytes], model: str) -> dict[str, bytes]:
    """The other files of a folder by their path from the model's, if it may need them."""
    if not files[model].startswith(_ONNX):
        return {}
    home = PurePosixPath(model).parent
    return {
        PurePosixPath(path).relative_to(home).as_posix(): content
        for path, content in files.items()
        if path != model and PurePosixPath(path).is_relative_to(home)
    }


def read_beside(model: Path, content: bytes) -> dict[str, bytes]:
    """Contents of the files in a model's folder that hold its weights, as it says.

    Files that are not there are left out; reading the model then refuses it.

    Parameters
    ----------
    model : path
        The model's file.
    content : bytes
        What is in it.

    Raises
    ------
    BundleError
        If one is a link or no regular file: a model may name files in its folder only.
    GraphError
        If the model cannot be read.
    OSError
        If one cannot be read.
    TooLarge
        If they are larger than an ONNX model can be.
    """
    if not content.startswith(_ONNX):
        return {}
    found, size = {}, len(content)
    for name in files_beside(content):
        path = model.parent / name
        if not os.path.lexists(path):
            continue
        _check_regular(model.parent, name)
        size += path.stat().st_size
        if size > _MOST_BYTES:
            raise TooLarge(f"{path}: with its weights the model is over {_MOST_BYTES >> 30} GB")
        found[name] = path.read_bytes()
    return found


def latest(folder: Path) -> Path:
    """The folder of a model, or among those of its versions that of the highest number.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if not folder.is_dir() or _holds_model(entry.name for entry in folder.iterdir()):
        return folder
    versions = {
        int(entry.name): entry
        for entry in folder.iterdir()
        if entry.name.isdecimal()
        and entry.is_dir()
        and _holds_model(one.name for one in entry.iterdir())
    }
    return versions[max(versions)] if versions else folder


def _check_regular(folder: Path, name: str) -> None:
    """Refuse a file that is reached through a link, or is none."""
    parts = PurePosixPath(name).parts
    for depth in range(1, len(parts) + 1):
        path = folder.joinpath(*parts[:depth])
        kind = stat.S_IFMT(path.lstat().st_mode)
        if kind != (stat.S_IFREG if depth == len(parts) else stat.S_IFDIR):
            raise BundleError(
                f"{path}, which the model names for its weights, is a link or no regular file: "
                "copy the file itself into the model's folder"
            )


def _holds_model(names: Iterable[str]) -> bool:
    """Return True if a model's file is among names, not in folders below."""
    return any(_is_mark(name) and "/" not in name for name in names)


def _is_mark(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in (PARAMS, saved_model.FILE) or _is_lone(name)


def _is_lone(path: str) -> bool:
    return path.lower().endswith(LONE)


def _step(folders: set[str]) -> str:
    """The folder to look into."""
    if all(map(str.isdecimal, folders)):
        return max(folders, key=int)
    if len(folders) > 1:
        shown = ", ".join(sorted(folders)[:_SHOWN]) + (" …" if len(folders) > _SHOWN else "")
        raise BundleError(f"the archive holds several models, in the folders {shown}: upload each "
                          "by itself")  # fmt: skip
    return folders.pop()
