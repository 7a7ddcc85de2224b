"""Paths as a person types them: several in one field, completed on the way."""

from __future__ import annotations

import os
from pathlib import Path

from tfaas_nb.data.files import is_remote

_ENDING = ".root"
_MOST = 40


def split(text: str) -> list[str]:
    """The paths in a field, between commas, each once."""
    return list(dict.fromkeys(path.strip() for path in text.split(",") if path.strip()))


def completions(text: str) -> list[str]:
    """Completions of a field of paths: folders and ROOT files that begin like its last path.

    Returns
    -------
    list of str
        Whole contents of the field; of a folder with several ROOT files also all of them, as
        a glob.
    """
    before, comma, last = text.rpartition(",")
    typed = last.lstrip()
    if is_remote(typed):
        return []
    start = before + comma + last[: len(last) - len(typed)]
    return [start + path for path in _beginning(typed)]


def _beginning(typed: str) -> list[str]:
    shown, name = os.path.split(typed)
    folder = Path(os.path.expanduser(shown or "."))
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, _is_folder(entry)) for entry in entries]
    except OSError:  # not there, or not ours to see
        return []
    fitting = sorted(
        (own, is_folder)
        for own, is_folder in found
        if own.startswith(name)
        and (is_folder or own.endswith(_ENDING))
        and (name.startswith(".") or not own.startswith("."))
    )
    files = [own for own, is_folder in fitting if not is_folder]
    every = [f"{name}*{_ENDING}"] if len(files) > 1 else []
    listed = [f"{own}/" if is_folder else own for own, is_folder in fitting[:_MOST]]
    prefix = typed.removesuffix(name) if name else typed
    return [prefix + own for own in (*every, *listed)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
