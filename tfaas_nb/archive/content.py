"""Content of a tar, also of one that is compressed, up to a size.

Source: RFC 1952 (gzip); the manuals of bzip2 and xz.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import Protocol

from tfaas_nb.archive.bounds import MOST_BYTES, may_unpack_to, too_large, unpacks_too_much

_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
#: Bytes that xz may take to unpack: its highest level needs 65 MB.
_MOST_MEMORY = 256 << 20
_PIECE = 1 << 16


class Content:
    """The content of a tar, or of one compressed with gzip, bzip2 or xz, up to a size.

    Raises
    ------
    EOFError, OSError, ValueError, zlib.error
        When what is read turns out to be cut short or damaged.
    TooLarge
        When it turns out to be too large, or to unpack to far more than it is.
    """

    def __init__(self, data: bytes) -> None:
        self._stream = _unpacking(data)
        self._most = min(MOST_BYTES, may_unpack_to(len(data)))
        self._unpacked = 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; none at the end."""
        found = self._stream.read(size)
        self._unpacked += len(found)
        if self._unpacked > MOST_BYTES:
            raise too_large()
        if self._unpacked > self._most:
            raise unpacks_too_much()
        return found

    def exactly(self, size: int) -> bytes:
        """Read exactly `size` bytes, or raise that the archive is cut short."""
        found = self.read(size)
        if len(found) < size:
            raise EOFError("it is cut short")
        return found

    def drain(self) -> None:
        """Read to the end, where the checksum is."""
        while self.read(_PIECE):
            pass


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _unpacking(data: bytes) -> _Readable:
    raw = io.BytesIO(data)
    if data.startswith(_GZIP):
        return gzip.GzipFile(fileobj=raw)
    if data.startswith(_BZIP2):
        return bz2.BZ2File(raw)
    return _Xz(data) if data.startswith(_XZ) else raw


class _Xz:
    """The content of one stream of xz, within bounds of memory, which `LZMAFile` does not have."""

    def __init__(self, data: bytes) -> None:
        self._packed = data
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)

    def read(self, size: int) -> bytes:
        parts, left = [], size
        while left and not self._decoder.eof:
            try:
                part = self._decoder.decompress(self._packed, left)
            except lzma.LZMAError as error:
                raise ValueError(str(error)) from error
            self._packed = b""
            if not part and self._decoder.needs_input:
                raise EOFError("it is cut short")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
