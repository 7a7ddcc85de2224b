"""A folder that is written whole, and replaced only while it is what was written.

The file ``.tfaas_nb.json`` in it tells the format and the hash of every other file, so that
neither a folder of somebody else nor a file that was edited in it is ever lost.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tfaas_nb.errors import BundleError

MANIFEST = ".tfaas_nb.json"


def write(path: Path, files: Mapping[str, bytes], form: str, version: int | None = None) -> Path:
    """Write a folder, in the place of an earlier one of the same format.

    Parameters
    ----------
    path : Path
        The folder; those above it are made.
    files : mapping of str to bytes
        Path within the folder → content.  A path that ends with ``/`` is an empty folder.
    form : str
        The format.
    version : int, optional
        The folder has one for each version, named by its number, and this is the one to write:
        the others stay, whoever put them there.

    Raises
    ------
    BundleError
        If something is there that was not written so, or was changed since.
    """
    others = _other_versions(path, version)
    before = _check_ours(path, form, others)
    hashes = {name: _sha256(content) for name, content in files.items()}
    hashes |= {name: sha for name, sha in before.items() if name.partition("/")[0] in others}
    written = {name: sha for name, sha in sorted(hashes.items()) if not name.endswith("/")}
    told = {"format": form, "sha256": written}
    manifest = json.dumps(told, indent=2).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as beside:
        fresh, former = Path(beside) / "fresh", Path(beside) / "former"
        fresh.mkdir()
        for name, content in {**files, MANIFEST: manifest}.items():
            _put(fresh / name, None if name.endswith("/") else content)
        for other in others:
            shutil.copytree(path / other, fresh / other)
        if path.exists():
            path.rename(former)
        try:
            fresh.rename(path)
        except OSError:
            if former.exists():
                former.rename(path)
            raise
    return path


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _other_versions(path: Path, version: int | None) -> set[str]:
    """Names of the folders of other versions."""
    if version is None or not path.is_dir():
        return set()
    found = (p.name for p in path.iterdir() if p.is_dir())
    return {name for name in found if name.isdecimal() and name != str(version)}


def _check_ours(path: Path, form: str, others: set[str]) -> dict[str, str]:
    """Hashes of the earlier export; refuse to replace what is none, or was changed since."""
    if not path.exists():
        return {}
    try:
        told = json.loads((path / MANIFEST).read_bytes())
        wrote, hashes = told["format"], dict(told["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        wrote, hashes = None, {}
    if wrote != form:
        raise BundleError(
            f"{path} exists and is no earlier export as {form!r}: remove it, or choose another "
            "directory"
        )
    mine = [name for name in _files(path) if name.partition("/")[0] not in others]
    changed = [name for name in mine if hashes.get(name) != _sha256_of(path / name)]
    if changed:
        raise BundleError(
            f"{path} was changed since it was exported ({', '.join(changed[:5])}): move it "
            "away, or choose another directory"
        )
    return hashes


def _files(path: Path) -> list[str]:
    found = (p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    return sorted(name for name in found if name != MANIFEST)


def _sha256_of(path: Path) -> str:
    return _sha256(path.read_bytes())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
