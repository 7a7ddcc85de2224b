"""Bundles on disk: names, versions, and never half of one.

Layout, below the repository's directory::

    NAME/versions/3/    params.json model.pb labels.txt model_card.json … manifest.json
    .incoming/          uploads that are being written; nothing reads it

A version is written beside the others, flushed to the disk, and renamed into place; the
highest number is served.  A plain TFaaS model directory ``NAME/params.json`` that somebody
copied here is served too, as version 0.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfaas_nb.bundle import PARAMS, Bundle, check_name
from tfaas_nb.errors import BundleError, GraphError, ModelNotFound, RepositoryError
from tfaas_nb.wire.params import Params

MANIFEST = "manifest.json"

_VERSIONS = "versions"
_INCOMING = ".incoming"
_MOST_TRIES = 100
_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True, order=True)
class Stored:
    """A version of a model on disk; later uploads compare greater.

    Attributes
    ----------
    uploaded : int
        Nanoseconds since 1970; 0 for a directory that was copied here.
    name : str
        Model.
    version : int
        Counts from 1; 0 for a directory that was copied here.
    path : Path
        Its directory.
    """

    uploaded: int
    name: str
    version: int
    path: Path


class Repository:
    """The models in a directory.

    Parameters
    ----------
    directory : path
        Made at the first upload when it does not exist.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def models(self) -> tuple[Stored, ...]:
        """The latest version of every model, by name.

        Raises
        ------
        RepositoryError
            If the directory exists but cannot be read.
        """
        if not self.directory.exists():
            return ()
        try:
            names = sorted(p.name for p in self.directory.iterdir() if not p.name.startswith("."))
        except OSError as error:
            raise RepositoryError(f"{self.directory} cannot be read: {error.strerror}") from error
        found = (self._latest(name) for name in names)
        return tuple(stored for stored in found if stored)

    def find(self, name: str) -> Stored:
        """The latest version of a model.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        # Checked first: a name is part of a path.
        stored = self._latest(name) if _is_name(name) else None
        if stored is None:
            names = [model.name for model in self.models()]
            raise ModelNotFound(f"there is no model {name!r}; there are {names or 'none yet'}")
        return stored

    def last_uploaded(self) -> Stored | None:
        """The model whose latest version came last; None in an empty repository."""
        return max(self.models(), default=None)

    def store(self, bundle: Bundle) -> Stored:
        """Write a new version; when this returns, it survives a crash of the machine.

        Raises
        ------
        RepositoryError
            If the directory cannot be written; nothing is changed then.
        """
        self._sweep()
        versions = self.directory / bundle.name / _VERSIONS
        incoming = self.directory / _INCOMING / uuid.uuid4().hex
        try:
            incoming.mkdir(parents=True)
            versions.mkdir(parents=True, exist_ok=True)
            uploaded = self._write(bundle.files(), incoming)
            version, path = _rename_to_next(incoming, versions)
            for directory in (versions, versions.parent, self.directory):
                _flush(directory)
        except OSError as error:
            shutil.rmtree(incoming, ignore_errors=True)
            raise RepositoryError(
                f"{bundle.name!r} could not be stored in {self.directory}: {error.strerror}"
            ) from error
        return Stored(uploaded, bundle.name, version, path)

    def load(self, stored: Stored) -> Bundle:
        """Read a version, every file checked against its hash.

        Raises
        ------
        RepositoryError
            If a file is missing or damaged.
        """
        try:
            self._check_hashes(stored)
            return Bundle.load(stored.path).renamed(stored.name)
        except (OSError, BundleError, GraphError) as error:
            raise RepositoryError(f"model {stored.name!r} is damaged on disk: {error}") from error

    def params(self, stored: Stored) -> Params:
        """What ``params.json`` says of a version, without loading its graph.

        Raises
        ------
        RepositoryError
            If the file is missing or unreadable.
        """
        try:
            return Params.from_json((stored.path / PARAMS).read_bytes(), stored.name)
        except (OSError, BundleError) as error:
            raise RepositoryError(f"model {stored.name!r} is damaged on disk: {error}") from error

    def delete(self, name: str) -> None:
        """Remove a model with all its versions; it is gone at once or not at all.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        RepositoryError
            If the directory cannot be written.
        """
        self.find(name)
        trash = self.directory / _INCOMING / uuid.uuid4().hex
        try:
            trash.parent.mkdir(exist_ok=True)
            (self.directory / name).rename(trash)
            _flush(self.directory)
        except OSError as error:
            raise RepositoryError(f"{name!r} could not be deleted: {error.strerror}") from error
        shutil.rmtree(trash, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what uploads left that were killed; the age spares those still being written."""
        incoming = self.directory / _INCOMING
        for left in incoming.iterdir() if incoming.is_dir() else ():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(left)

    def _latest(self, name: str) -> Stored | None:
        home = self.directory / name
        try:
            numbers = [int(p.name) for p in (home / _VERSIONS).iterdir() if p.name.isdecimal()]
        except OSError:
            numbers = []
        if numbers:
            version = max(numbers)
            path = home / _VERSIONS / str(version)
            return Stored(_uploaded(path), name, version, path)
        return Stored(0, name, 0, home) if (home / PARAMS).is_file() else None

    def _write(self, files: Mapping[str, bytes], directory: Path) -> int:
        uploaded = time.time_ns()
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = json.dumps({"uploaded": uploaded, "sha256": hashes}, indent=2).encode()
        for name, content in (*files.items(), (MANIFEST, manifest)):
            with (directory / name).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        _flush(directory)
        return uploaded

    def _check_hashes(self, stored: Stored) -> None:
        if not stored.version:
            return
        for name, expected in _manifest(stored.path)["sha256"].items():
            found = hashlib.sha256((stored.path / name).read_bytes()).hexdigest()
            if found != expected:
                raise BundleError(
                    f"{stored.path / name} has sha256 {found[:12]}…, expected {expected!s:.12}…; "
                    "upload the model again"
                )

    def __repr__(self) -> str:
        return f"Repository({str(self.directory)!r}, {len(self.models())} models)"


def _is_name(name: str) -> bool:
    try:
        return bool(check_name(name))
    except BundleError:
        return False


def _rename_to_next(incoming: Path, versions: Path) -> tuple[int, Path]:
    """Rename to the next free number; another process may take one at the same time."""
    for _ in range(_MOST_TRIES):
        numbers = [int(p.name) for p in versions.iterdir() if p.name.isdecimal()]
        version = max(numbers, default=0) + 1
        try:
            incoming.rename(versions / str(version))
        except OSError:
            if not (versions / str(version)).exists():
                raise
            continue
        return version, versions / str(version)
    raise OSError(0, "no free version number", str(versions))


def _manifest(path: Path) -> dict[str, dict[str, str]]:
    try:
        manifest: dict[str, dict[str, str]] = json.loads((path / MANIFEST).read_bytes())
        manifest["sha256"].items()
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BundleError(f"{path / MANIFEST} is damaged; upload the model again") from error
    return manifest


def _uploaded(path: Path) -> int:
    try:
        return int(json.loads((path / MANIFEST).read_bytes())["uploaded"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _flush(directory: Path) -> None:
    """Make renames within a directory durable; Windows has no such call."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
