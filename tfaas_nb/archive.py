"""Archives of strangers: a model's folder as ``.tar`` or ``.tar.gz``, read within limits.

Nothing is written to disk, and only regular files are taken.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from pathlib import PurePosixPath

from tfaas_nb.errors import BundleError, TooLarge

_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 64
_MOST_BYTES = 512 << 20
#: Unpacked bytes per packed one, once there are more than a sound archive may repeat.
_MOST_RATIO = 100
_MAY_REPEAT = 32 << 20
_MOST_PATH = 255
#: A part of a member's path; `..` is told apart.
_PART = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.,@=+ -]{0,127}")


def members(data: bytes) -> tuple[str, dict[str, bytes]]:
    """The folder that an archive holds, empty if none, and its files by their path within.

    Raises
    ------
    BundleError
        If it is no whole archive, or a member is no regular file within it, or has no plain name.
    TooLarge
        If it holds too many or too large files, or unpacks to far more than it is.
    """
    stream = _Limited(data)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            found = _regular(tar)
        stream.drain()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BundleError(f"the upload is not a whole .tar or .tar.gz: {error}") from error
    folders = {path.parts[0] if len(path.parts) > 1 else "" for path in found}
    folder = folders.pop() if len(folders) == 1 else ""
    depth = 1 if folder else 0
    return folder, {"/".join(path.parts[depth:]): content for path, content in found.items()}


class _Limited(io.RawIOBase):
    """The content of a tar or tar.gz, up to a size.

    Counted here and not by the members' sizes: `tarfile` reads what precedes a member
    (long names, PAX headers) whole, however much it unpacks to.
    """

    def __init__(self, data: bytes) -> None:
        raw = io.BytesIO(data)
        self._stream = gzip.GzipFile(fileobj=raw) if data.startswith(_GZIP) else raw
        self._most = min(_MOST_BYTES, max(_MAY_REPEAT, _MOST_RATIO * len(data)))
        self._unpacked = 0

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._unpacked += len(found)
        if self._unpacked > _MOST_BYTES:
            raise _too_large()
        if self._unpacked > self._most:
            raise TooLarge(
                f"the archive unpacks to more than {_MOST_RATIO} times its size: send it unpacked, "
                "as .tar"
            )
        return found

    def drain(self) -> None:
        """Read to the end, where gzip's checksum is."""
        while self.read(1 << 16):
            pass


def _too_large() -> TooLarge:
    return TooLarge(
        f"the archive holds more than {_MOST_MEMBERS} members or {_MOST_BYTES >> 20} MB"
    )


def _regular(tar: tarfile.TarFile) -> dict[PurePosixPath, bytes]:
    found: dict[PurePosixPath, bytes] = {}
    for count, entry in enumerate(tar, start=1):
        if count > _MOST_MEMBERS or entry.size > _MOST_BYTES:
            raise _too_large()
        path = _path(entry.name)
        if entry.isdir():
            continue
        # A sparse file is told to be regular, and as large as it likes for nothing.
        if not entry.isreg() or entry.issparse():
            raise BundleError(f"the archive's member {entry.name!r} is not a regular file")
        if path in found:
            raise BundleError(f"the archive has two members {entry.name!r}")
        stream = tar.extractfile(entry)
        found[path] = stream.read() if stream else b""
    return found


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if ".." in path.parts or path.is_absolute():
        raise BundleError(f"the archive's member {name!r} points outside of it")
    if len(name) > _MOST_PATH or not all(map(_PART.fullmatch, path.parts)):
        raise BundleError(
            f"the archive's member {name[:_MOST_PATH]!r} has no plain name: use letters, digits "
            "and _ . , @ = + -"
        )
    return path
