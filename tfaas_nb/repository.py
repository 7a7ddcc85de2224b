"""Bundles on disk: names, versions, labels, and never half of one.

Layout, below the repository's directory::

    NAME/versions/3/        params.json model.pb labels.txt model_card.json … manifest.json
    NAME/labels/production  the number of the version that the label is on
    NAME/.unloaded          there while the model is not to be served
    NAME/.deleted           all versions up to this number are deleted
    .incoming/              what is being written or removed; nothing reads it
    .changed                another file after every change, so that processes notice it

A version is written beside the others, flushed to the disk, and renamed into place; the
highest number is the latest.  A deleted version leaves an empty directory with a file
``.deleted-…``, so that its number is never given again.  A label on a deleted version is no
label.  A plain TFaaS model directory ``NAME/params.json`` that somebody copied here is served
too, as version 0.

Several processes, on several machines, may use the directory.  Nothing is locked (network
file systems cannot be trusted with that): every change is one creation or rename, and where
two changes may contradict each other, each is made first and then looks for the other.  What
is being written is called after its writer (``tfaas_nb/writer.py``), so that who comes later
knows what a killed process left.

No change depends on the time of day, but that uploads are told it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tfaas_nb import durable, writer
from tfaas_nb.bundle import PARAMS, TEXT, Bundle, check_name
from tfaas_nb.errors import (
    BundleError,
    GraphError,
    ModelNotFound,
    RepositoryError,
    RepositoryFull,
    RepositoryUnreachable,
)
from tfaas_nb.model_file import HERE, Reader
from tfaas_nb.reference import Reference
from tfaas_nb.wire.params import Params

#: Servers look for each other's changes so often, if they are asked so often.
LOOK_SECONDS = 1e-3

#: A network file system is asked itself so often, rather than this machine's memory of it.
REREAD_SECONDS = 0.25

MANIFEST = "manifest.json"

_VERSIONS, _LABELS = "versions", "labels"
_INCOMING, _CHANGED = ".incoming", ".changed"
_DELETED, _UNLOADED = ".deleted", ".unloaded"
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_MOST_TRIES = 100
_ABANDONED_SECONDS = 3600.0
_STAMP_BYTES = 4096

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_THERE = (FileNotFoundError, NotADirectoryError)

P = ParamSpec("P")
T = TypeVar("T")

#: A label called so would make an address ambiguous to people.
_NO_LABELS = (_VERSIONS, _LABELS)


def _readable(
    method: Callable[Concatenate[Repository, P], T],
) -> Callable[Concatenate[Repository, P], T]:
    """Tell in this package's words what the system said, which is never taken for an absence."""

    @functools.wraps(method)
    def told(self: Repository, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except OSError as error:
            place = error.filename or self.directory
            raise RepositoryUnreachable(f"{place} cannot be read: {error.strerror}") from error

    return told


@dataclass(frozen=True, order=True)
class Stored:
    """A version of a model on disk; later uploads compare greater.

    Attributes
    ----------
    uploaded : int
        Nanoseconds since 1970, and more than those of uploads before it, whatever the clock did;
        0 for a directory that was copied here.
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
        self._changed = self.directory / _CHANGED
        self._was_there = False
        self._reread = -REREAD_SECONDS
        self._swept = time.monotonic()

    # --- what is there ------------------------------------------------------------------

    @_readable
    def models(self) -> tuple[Stored, ...]:
        """The latest version of every model, by name.

        One whose own directory cannot be read is among them, as version 0.

        Raises
        ------
        RepositoryUnreachable
            If the directory exists but cannot be read, or is there no more.
        """
        self._check_there()
        if not self.directory.exists():
            return ()
        names = sorted(p.name for p in self.directory.iterdir() if not p.name.startswith("."))
        found = []
        for name in names:
            try:
                found.append(self._latest(name))
            except OSError:
                found.append(self._stored(name, 0))
        return tuple(stored for stored in found if stored)

    @_readable
    def find(self, reference: str | Reference) -> Stored:
        """The version that a reference means, for a plain name the latest.

        Raises
        ------
        ModelNotFound
            If there is no such model, version or label; the message names those there are.
        RepositoryUnreachable
            If that cannot be told.
        """
        wanted = Reference.parse(reference) if isinstance(reference, str) else reference
        # Checked first: a name is part of a path.
        latest = self._latest(wanted.name) if _is_name(wanted.name) else None
        if latest is None:
            self._check_there()
            names = [model.name for model in self.models()]
            raise ModelNotFound(
                f"there is no model {wanted.name!r}; there are {names or 'none yet'}"
            )
        version = wanted.version
        if wanted.label is not None:
            version = self._labelled(wanted.name, wanted.label)
        return latest if version is None else self._numbered(wanted.name, version)

    @_readable
    def versions(self, name: str) -> tuple[Stored, ...]:
        """All versions of a model, the latest last.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        return tuple(self._stored(name, version) for version in self.numbers(name))

    @_readable
    def numbers(self, name: str) -> tuple[int, ...]:
        """Numbers of all versions of a model, the latest last; their files are not looked into.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        self.find(Reference(name))
        return tuple(sorted(self._live(name)))

    @_readable
    def labels(self, name: str) -> dict[str, int]:
        """Label → version, by label.

        Raises
        ------
        ModelNotFound
            If there is no model of that name.
        """
        self.find(Reference(name))
        return self._labels(name)

    def last_uploaded(self) -> Stored | None:
        """The model whose latest version came last, of those that are not unloaded."""
        loaded = (stored for stored in self.models() if not self.is_unloaded(stored.name))
        return max(loaded, default=None)

    @_readable
    def is_unloaded(self, name: str) -> bool:
        """Return True if a model is marked as not to be served."""
        return (self.directory / name / _UNLOADED).exists()

    @_readable
    def is_stored(self, stored: Stored) -> bool:
        """Return True if a version is still there, and has not been deleted."""
        if not stored.version:
            return (stored.path / PARAMS).is_file()
        return stored.version > self._deleted_up_to(stored.name) and not _is_deleted(stored.path)

    @_readable
    def identity(self, stored: Stored) -> tuple[object, ...]:
        """Return a key that changes when the files of a version change.

        Versions never change; but a directory that somebody copied here may be copied again.
        """
        if stored.version:
            return (stored,)
        return (stored, *sorted((path.name, _stamp_of(path)) for path in self._copied(stored.name)))

    def stamp(self) -> object:
        """Return a stamp that differs after every change by a repository, also in another process.

        One `os.stat`; every `REREAD_SECONDS` the file is opened, which asks a network file
        system's server rather than this machine's memory of it.  None before the first change,
        and while the directory is not there.
        """
        now = time.monotonic()
        reread = now - self._reread >= REREAD_SECONDS
        if reread:
            self._reread = now
        found = _stamp_of(self._changed, reread)
        self._was_there |= found is not None
        return found

    # --- reading ------------------------------------------------------------------------

    def load(self, stored: Stored, reader: Reader = HERE) -> Bundle:
        """Read a version, every file checked against its hash; `reader` reads the model.

        Raises
        ------
        RepositoryError
            If a file is missing or damaged.
        """
        try:
            self._check_hashes(stored)
            return Bundle.load(stored.path, reader).renamed(stored.name)
        except (OSError, BundleError, GraphError) as error:
            raise _damaged(stored, error) from error

    def check(self, stored: Stored) -> None:
        """Compare every file of a version with its hash.

        Raises
        ------
        RepositoryError
            If a file is missing or damaged.
        """
        try:
            self._check_hashes(stored)
        except (OSError, BundleError) as error:
            raise _damaged(stored, error) from error
        self.params(stored)

    def params(self, stored: Stored) -> Params:
        """Return the ``params.json`` of a version, without loading its graph.

        Raises
        ------
        RepositoryError
            If the file is missing or unreadable.
        """
        try:
            return Params.from_json(_content(stored.path / PARAMS), stored.name)
        except (OSError, BundleError) as error:
            raise _damaged(stored, error) from error

    @_readable
    def size(self, stored: Stored) -> int:
        """Bytes of the files that are read when a version is loaded; 0 when it is gone."""
        top = self._copied(stored.name) if not stored.version else _entries(stored.path)
        files = (file for path in top for file in (path.rglob("*") if path.is_dir() else (path,)))
        total = 0
        for file in files:
            with contextlib.suppress(OSError):
                total += file.stat().st_size if file.name != TEXT else 0
        return total

    # --- changes ------------------------------------------------------------------------

    def store(self, bundle: Bundle) -> Stored:
        """Write a new version; when this returns, it survives a crash of the machine.

        An unloaded model is served again.

        Raises
        ------
        RepositoryError
            If the directory cannot be written.
        RepositoryFull
            If there is no room.
        RepositoryUnreachable
            If the directory was there and is no more: what is stored in its place would be lost
            when it comes back.
        """
        self._check_there()
        home = self.directory / bundle.name
        try:
            incoming = self._incoming()
        except OSError as error:
            raise self._not_stored(bundle.name, error) from error
        try:
            uploaded = self._time_of_upload()
            incoming.mkdir()
            self._write(bundle.files(), incoming, uploaded)
            version = self._rename_to_next(incoming, bundle.name)
        except OSError as error:
            shutil.rmtree(incoming, ignore_errors=True)
            raise self._not_stored(bundle.name, error) from error
        path = home / _VERSIONS / str(version)
        try:
            (home / _UNLOADED).unlink(missing_ok=True)
            for directory in (home / _VERSIONS, home, self.directory):
                durable.flush(directory)
            self._tell_change()
        except OSError as error:
            with contextlib.suppress(OSError):  # who is told of a failure shall not find it served
                _mark_deleted(path)
            raise self._not_stored(bundle.name, error) from error
        if time.monotonic() - self._swept > _ABANDONED_SECONDS:
            self._sweep()
        return Stored(uploaded, bundle.name, version, path)

    def delete(self, reference: str | Reference) -> None:
        """Remove a model with all its versions and labels, or one version.

        It is gone at once or not at all.  With its last version a model is gone.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        RepositoryError
            If the directory cannot be written.
        BundleError
            If the version carries a label.

        Notes
        -----
        Deletion needs no room but for an empty file.  On a full disk a model may lose its
        versions one by one, the latest last.
        """
        wanted = Reference.parse(reference) if isinstance(reference, str) else reference
        stored = self.find(wanted)
        try:
            (self.directory / _INCOMING).mkdir(exist_ok=True)
            if wanted == Reference(wanted.name):
                self._delete_model(wanted.name)
            else:
                self._delete_version(stored)
            self._tell_change()
        except OSError as error:
            raise RepositoryError(
                f"{str(wanted)!r} could not be deleted: {error.strerror}"
            ) from error

    def label(self, name: str, label: str, version: int | None = None) -> Stored:
        """Put a label on a version (by default the latest), or move it there.

        Raises
        ------
        BundleError
            If a label cannot be called so.
        ModelNotFound
            If there is no such model or version; the label then stays where it was.
        RepositoryError
            If the directory cannot be written.
        """
        _check_label(label)
        stored = self.find(Reference(name, version))
        labels = self.directory / name / _LABELS
        former = self._labels(name).get(label)
        try:
            (self.directory / _INCOMING).mkdir(exist_ok=True)
            labels.mkdir(exist_ok=True)
            durable.flush(labels.parent)
            self._write_label(labels / label, stored.version)
            if not self.is_stored(stored):  # another process deleted it, and saw no label
                if self._read_label(labels / label) == stored.version:
                    self._write_label(labels / label, former)
                raise ModelNotFound(f"version {stored.version} of {name!r} is being deleted")
            self._tell_change()
        except OSError as error:
            raise RepositoryError(
                f"the label {label!r} could not be written: {error.strerror}"
            ) from error
        return stored

    def unlabel(self, name: str, label: str) -> None:
        """Remove a label; the version that it was on stays.

        Raises
        ------
        ModelNotFound
            If there is no such model or label.
        RepositoryError
            If the directory cannot be written.
        """
        self.find(Reference(name, label=label))
        try:
            (self.directory / name / _LABELS / label).unlink(missing_ok=True)
            durable.flush(self.directory / name / _LABELS)
            self._tell_change()
        except OSError as error:
            raise RepositoryError(
                f"the label {label!r} could not be removed: {error.strerror}"
            ) from error

    def set_unloaded(self, name: str, unloaded: bool) -> None:
        """Say that a model is not to be served by any process, or that it is again.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        RepositoryError
            If the directory cannot be written.
        """
        self.find(Reference(name))
        if unloaded == self.is_unloaded(name):
            return
        marker = self.directory / name / _UNLOADED
        try:
            if unloaded:
                marker.touch()
            else:
                marker.unlink(missing_ok=True)
            durable.flush(marker.parent)
            self._tell_change()
        except OSError as error:
            what = "unloaded" if unloaded else "loaded"
            raise RepositoryError(f"{name!r} could not be {what}: {error.strerror}") from error

    def tidy(self) -> None:
        """Remove what processes left that were killed, and what is left of deleted models.

        For the start of a server; `store` does it again now and then.  What is being written,
        here or elsewhere, stays.
        """
        self._sweep()
        with contextlib.suppress(OSError, RepositoryError):
            for name in [p.name for p in _entries(self.directory) if _is_name(p.name)]:
                deleted = self._deleted_up_to(name)
                for number in _numbers(self.directory / name / _VERSIONS):
                    if number <= deleted:
                        _empty(self.directory / name / _VERSIONS / str(number))

    # --- numbers ------------------------------------------------------------------------

    def _latest(self, name: str) -> Stored | None:
        version = next(self._live(name), None)
        return None if version is None else self._stored(name, version)

    def _live(self, name: str) -> Iterator[int]:
        """Numbers of the versions that are not deleted, the latest first."""
        home = self.directory / name
        versions = os.fspath(home / _VERSIONS)
        # In this order: a number that is missing because it was deleted is known as deleted.
        numbers = sorted(_numbers(versions), reverse=True)
        deleted = self._deleted_up_to(name)
        for number in numbers:
            if number > deleted and not _is_deleted(f"{versions}/{number}"):
                yield number
        if (home / PARAMS).is_file():
            yield 0

    def _deleted_up_to(self, name: str) -> int:
        return _read_number(self.directory / name / _DELETED) or 0

    def _stored(self, name: str, version: int) -> Stored:
        home = self.directory / name
        if not version:
            return Stored(0, name, 0, home)
        path = home / _VERSIONS / str(version)
        return Stored(_uploaded(path), name, version, path)

    def _numbered(self, name: str, version: int) -> Stored:
        stored = self._stored(name, version)
        if not self.is_stored(stored):
            raise ModelNotFound(
                f"there is no version {version} of {name!r}; "
                f"there are {sorted(self._live(name)) or 'none'}"
            )
        return stored

    def _rename_to_next(self, incoming: Path, name: str) -> int:
        """Rename to the next free number; another process may take one at the same time."""
        versions = self.directory / name / _VERSIONS
        for _ in range(_MOST_TRIES):
            versions.mkdir(parents=True, exist_ok=True)
            given = max(_numbers(versions), default=0)
            version = max(given, self._deleted_up_to(name)) + 1
            path = versions / str(version)
            own = _content(incoming / MANIFEST)
            try:
                incoming.rename(path)
            except OSError:
                # A network file system may ask twice, and tell that the second was refused.
                if not incoming.exists() and _has(path / MANIFEST, own):
                    return version
                if versions.exists() and not path.exists():
                    raise
                continue
            return version
        raise OSError(0, "no free version number", str(versions))

    # --- labels -------------------------------------------------------------------------

    def _labels(self, name: str) -> dict[str, int]:
        home = self.directory / name / _LABELS
        found = {path.name: self._read_label(path) for path in _entries(home)}
        return {
            label: version
            for label, version in sorted(found.items())
            if version is not None and self.is_stored(self._stored(name, version))
        }

    def _labelled(self, name: str, label: str) -> int:
        labels = self._labels(name)
        if label not in labels:
            raise ModelNotFound(
                f"model {name!r} has no label {label!r}; it has {list(labels) or 'none'}"
            )
        return labels[label]

    def _read_label(self, path: Path) -> int | None:
        return _read_number(path) if _is_name(path.name) else None

    def _write_label(self, path: Path, version: int | None) -> None:
        if version is None:
            path.unlink(missing_ok=True)
        else:
            durable.replace(path, b"%d\n" % version, self.directory / _INCOMING)

    # --- deletion -----------------------------------------------------------------------

    def _delete_model(self, name: str) -> None:
        home = self.directory / name
        self._remove_copied(name)
        highest = max(_numbers(home / _VERSIONS), default=0)
        if highest > self._deleted_up_to(name):
            try:
                durable.replace(home / _DELETED, b"%d\n" % highest, self.directory / _INCOMING)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
        for number in sorted(_numbers(home / _VERSIONS)):
            if number <= highest:
                path = home / _VERSIONS / str(number)
                _mark_deleted(path)
                _empty(path)
        (home / _UNLOADED).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it goes unless it has to remember numbers
            home.rmdir()

    def _delete_version(self, stored: Stored) -> None:
        self._refuse_labelled(stored)
        if not stored.version:
            self._remove_copied(stored.name)
            return
        marker = _mark_deleted(stored.path)
        try:
            # Again: who puts a label on it now sees the mark.
            self._refuse_labelled(stored, marked=True)
        except BundleError:
            marker.unlink()
            raise
        durable.flush(stored.path)
        _empty(stored.path)

    def _refuse_labelled(self, stored: Stored, marked: bool = False) -> None:
        home = self.directory / stored.name / _LABELS
        labels = [p.name for p in _entries(home) if self._read_label(p) == stored.version]
        if labels:
            raise BundleError(
                f"version {stored.version} of {stored.name!r} is not deleted, as it carries the "
                f"label {sorted(labels)[0]!r}: move or remove the label first"
            )

    def _remove_copied(self, name: str) -> None:
        """Remove version 0; without ``params.json``, which goes first, the rest is no model."""
        copied = self._copied(name)
        if not copied:
            return
        trash = self._incoming()
        trash.mkdir()
        for path in sorted(copied, key=lambda path: path.name != PARAMS):
            path.rename(trash / path.name)
        durable.flush(self.directory / name)
        shutil.rmtree(trash, ignore_errors=True)

    def _copied(self, name: str) -> list[Path]:
        """The files and folders of version 0, which lie beside those that are ours."""
        return [
            path
            for path in _entries(self.directory / name)
            if path.name not in (_VERSIONS, _DELETED, _UNLOADED)
            and not (path.name == _LABELS and path.is_dir())
        ]

    # --- files --------------------------------------------------------------------------

    def _tell_change(self) -> None:
        """Rename a file into place that differs from the last one.

        Clocks may be coarse, and inodes are used again: time and size are set to differ.
        """
        written, now = self._incoming(), time.time_ns()
        written.touch()
        os.truncate(written, secrets.randbelow(_STAMP_BYTES))  # which takes no room
        os.utime(written, ns=(now, now))
        written.replace(self._changed)
        self._was_there = True
        # Whoever learns now that something changed finds that every server has noticed it.
        time.sleep(2 * LOOK_SECONDS)

    def _sweep(self) -> None:
        """Remove what writers left that were killed.

        Of those of other machines the age tells, by the file system's clock.  What is removed is
        renamed first: were it still written, it could not be put in place any more, nor half.
        """
        self._swept = time.monotonic()
        with contextlib.suppress(OSError):
            for left in _entries(self.directory / _INCOMING):
                alive = writer.is_alive(left.name)
                if alive is None:
                    alive = self._now() - _last_written(left) < _ABANDONED_SECONDS
                if not alive:
                    self._remove(left)

    def _remove(self, left: Path) -> None:
        trash = self._incoming()
        with contextlib.suppress(OSError):  # another process removes it
            left.rename(trash)
            shutil.rmtree(trash) if trash.is_dir() else trash.unlink()

    def _now(self) -> float:
        """The time of the file system, which may be another machine's."""
        probe = self._incoming()
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()

    def _incoming(self) -> Path:
        """Return a path to write to before the result is renamed into place."""
        directory = self.directory / _INCOMING
        durable.make(directory)
        return directory / writer.named()

    def _check_there(self) -> None:
        if self._was_there and self.stamp() is None:
            raise RepositoryUnreachable(
                f"the directory {self.directory} was there and is no more: bring it back, or "
                "restart the server to begin with an empty one"
            )

    def _not_stored(self, name: str, error: OSError) -> RepositoryError:
        told = f"{name!r} could not be stored in {self.directory}: {error.strerror}"
        if error.errno in _NO_ROOM:
            return RepositoryFull(f"{told}; delete models or versions that nobody asks for")
        return RepositoryError(told)

    def _time_of_upload(self) -> int:
        return max((time.time_ns(), *(stored.uploaded + 1 for stored in self.models())))

    def _write(self, files: Mapping[str, bytes], directory: Path, uploaded: int) -> None:
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = json.dumps({"uploaded": uploaded, "sha256": hashes}, indent=2).encode()
        for name, content in (*files.items(), (MANIFEST, manifest)):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write(path, content)
        for folder in (*(path for path in directory.rglob("*") if path.is_dir()), directory):
            durable.flush(folder)

    def _check_hashes(self, stored: Stored) -> None:
        if not stored.version:
            return
        for name, expected in _manifest(stored.path)["sha256"].items():
            found = hashlib.sha256(_content(stored.path / name)).hexdigest()
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


def _check_label(label: str) -> None:
    if not _is_name(label) or label.isdecimal() or label in _NO_LABELS:
        raise BundleError(
            f"{label!r} cannot name a label: use up to 100 letters, digits, '_', '-' or '.', the "
            f"first a letter, digit or '_', not digits only, and not {' or '.join(_NO_LABELS)}"
        )


def _entries(directory: Path) -> list[Path]:
    """List a directory; nothing if it is none."""
    try:
        return list(directory.iterdir())
    except _NOT_THERE:
        return []


def _content(path: Path) -> bytes:
    """Read a file; refuse other kinds (a pipe), which might never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _has(path: Path, content: bytes) -> bool:
    try:
        return _content(path) == content
    except OSError:
        return False


def _numbers(versions: str | Path) -> list[int]:
    """All numbers that were given, also those of deleted versions."""
    # No paths: there may be thousands, and of each part of a path Python keeps a table, which it
    # then makes anew, 8 MB at a time, in memory of whichever thread comes to it.
    try:
        names = os.listdir(versions)
    except _NOT_THERE:
        return []
    return [int(name) for name in names if _NUMBER.fullmatch(name)]


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_bytes())
    except (*_NOT_THERE, IsADirectoryError, ValueError):
        return None


def _is_deleted(version: str | Path) -> bool:
    try:
        return any(name.startswith(_DELETED) for name in os.listdir(version))
    except FileNotFoundError:
        return True
    except OSError:  # to read it will tell
        return False


def _mark_deleted(version: Path) -> Path:
    """Mark a version as deleted by a file of one's own, to be taken back without others' marks."""
    marker = version / f"{_DELETED}-{uuid.uuid4().hex}"
    marker.touch()
    return marker


def _empty(version: Path) -> None:
    """Remove a deleted version's files; the directory stays, and with it the number."""
    for path in _entries(version):
        if not path.name.startswith(_DELETED):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _last_written(left: Path) -> float:
    files = left.rglob("*") if left.is_dir() else ()
    return max(float(path.stat().st_mtime) for path in (left, *files))


def _stamp_of(path: Path, reread: bool = False) -> tuple[int, int, int, int] | None:
    try:
        found = _opened(path) if reread else path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _opened(path: Path) -> os.stat_result:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _damaged(stored: Stored, error: Exception) -> RepositoryError:
    return RepositoryError(
        f"model {stored.name!r} is damaged on disk: {error} (version {stored.version})"
    )


def _manifest(path: Path) -> dict[str, dict[str, str]]:
    try:
        manifest: dict[str, dict[str, str]] = json.loads(_content(path / MANIFEST))
        manifest["sha256"].items()
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BundleError(f"{path / MANIFEST} is damaged; upload the model again") from error
    return manifest


def _uploaded(path: Path) -> int:
    try:
        return int(json.loads(_content(path / MANIFEST))["uploaded"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
