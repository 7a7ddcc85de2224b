"""Files on their way from a browser: part by part, in order, checked, within limits.

They are kept in temporary files that have no name, so that nothing stays behind however their
way ends, a killed kernel included.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from tfaas_nb.errors import BundleError, RequestError, TooLarge

_MOST_FILES = 8
#: Bytes up to which a file stays in memory.
_SMALL = 8 << 20


@dataclass(frozen=True)
class Arrived:
    """A file that arrived whole.

    Attributes
    ----------
    name : str
        As the person's machine calls it, without folders.
    content : bytes
        All of it.
    sha256 : str
        Hash of `content`.
    is_checked : bool
        Whether the browser sent hashes along and every part had its own; it can only where
        the page is secure (https, or this machine).
    """

    name: str
    content: bytes
    sha256: str
    is_checked: bool


class Arrival:
    """Files that were announced together and arrive one after another.

    Parameters
    ----------
    files : sequence of (str, int)
        Name and size of each.
    most_bytes : int
        What they may take together.

    Raises
    ------
    TooLarge
        If they are too large or too many.
    BundleError
        If two have the same name.
    """

    def __init__(self, files: Sequence[tuple[str, int]], most_bytes: int) -> None:
        self.total = sum(announced for _, announced in files)
        if len(files) > _MOST_FILES:
            raise TooLarge(f"{len(files)} files are too many: choose one model, at most with its "
                           "params.json and labels")  # fmt: skip
        if self.total > most_bytes:
            raise TooLarge(too_large(self.total, most_bytes))
        names = [name for name, _ in files]
        if len(set(names)) != len(names):
            raise BundleError("two of the files have the same name")
        self.received = 0
        self._files = [_File(name, announced) for name, announced in files]

    @property
    def is_whole(self) -> bool:
        """True if all bytes have arrived."""
        return self.received == self.total

    def take(self, file: int, offset: int, part: bytes, sha256: str | None = None) -> None:
        """Take the next part.

        Parameters
        ----------
        file, offset : int
            Where it belongs: the file's position in the list, and the bytes before it.
        part : bytes
            The part.
        sha256 : str, optional
            Its hash, if the sender can make one.

        Raises
        ------
        RequestError
            If it is not the next one, or was damaged.
        BundleError
            If it cannot be kept, for instance on a full disk.
        """
        if not 0 <= file < len(self._files) or offset != self._files[file].received:
            raise RequestError("a part of the file came out of order: send it once more")
        self._files[file].take(part, sha256)
        self.received += len(part)

    def contents(self) -> tuple[Arrived, ...]:
        """The files, when all have arrived."""
        return tuple(file.arrived() for file in self._files)

    def close(self) -> None:
        """Drop what has arrived."""
        for file in self._files:
            file.close()


class _File:
    def __init__(self, name: str, announced: int) -> None:
        self.received = 0
        self._name, self._size = name, announced
        self._hash, self._checked = hashlib.sha256(), announced > 0
        self._kept: IO[bytes] = tempfile.SpooledTemporaryFile(_SMALL)  # noqa: SIM115

    def take(self, part: bytes, sha256: str | None) -> None:
        if self.received + len(part) > self._size:
            raise RequestError(f"more bytes of {self._name} came than were announced")
        if sha256 is not None and hashlib.sha256(part).hexdigest() != sha256:
            raise RequestError(f"a part of {self._name} was damaged on its way: send it once more")
        try:
            self._kept.write(part)
        except (OSError, ValueError) as error:
            raise BundleError(f"{self._name} cannot be kept on this machine: {error}") from error
        self._checked = self._checked and sha256 is not None
        self._hash.update(part)
        self.received += len(part)

    def arrived(self) -> Arrived:
        self._kept.seek(0)
        return Arrived(self._name, self._kept.read(), self._hash.hexdigest(), self._checked)

    def close(self) -> None:
        self._kept.close()


def size(count: int) -> str:
    """A number of bytes, for people."""
    return f"{-(-count // 1000)} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def too_large(count: int, most: int) -> str:
    """Message for a user whose model is larger than a server takes."""
    return (
        f"{size(count)} are too much: a server takes models of up to {size(most)}. "
        "Give it fewer weights, or copy its folder into the server's directory of models"
    )
