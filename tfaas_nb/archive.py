"""Archives of strangers: a model's folder as ``.tar`` or ``.tar.gz``, read within limits.

Nothing is written to disk, and only regular files are taken.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from tfaas_nb.errors import BundleError, TooLarge

_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 64
_MOST_BYTES = 512 << 20


def members(data: bytes) -> tuple[str, dict[str, bytes]]:
    """The folder that an archive holds, empty if none, and its files by their path within.

    Raises
    ------
    BundleError
        If it is no whole archive, or a member is no regular file within it.
    TooLarge
        If it holds too many or too large files.
    """
    stream = _Limited(data)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            found = dict(_regular(tar))
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
        self._left = _MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise _too_large()
        return found

    def drain(self) -> None:
        """Read to the end, where gzip's checksum is."""
        while self.read(1 << 16):
            pass


def _too_large() -> TooLarge:
    return TooLarge(
        f"the archive holds more than {_MOST_MEMBERS} members or {_MOST_BYTES >> 20} MB"
    )


def _regular(tar: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, bytes]]:
    for count, entry in enumerate(tar, start=1):
        if count > _MOST_MEMBERS or entry.size > _MOST_BYTES:
            raise _too_large()
        path = PurePosixPath(entry.name)
        if ".." in path.parts or path.is_absolute():
            raise BundleError(f"the archive's member {entry.name!r} points outside of it")
        if entry.isdir():
            continue
        if not entry.isreg():
            raise BundleError(f"the archive's member {entry.name!r} is not a regular file")
        stream = tar.extractfile(entry)
        yield path, stream.read() if stream else b""
