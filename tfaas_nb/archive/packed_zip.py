"""Members of a zip, read within limits.

`zipfile` is not asked: it reads a directory of any length, and asked for all of a member unpacks
it before it looks at its size.

Source: PKWARE's ``APPNOTE.TXT``, sections 4.3 and 4.4.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from tfaas_nb.archive.bounds import (
    MOST_BYTES,
    MOST_MEMBERS,
    may_unpack_to,
    member,
    too_large,
    unpacks_too_much,
)
from tfaas_nb.errors import BundleError

_LOCAL, _ENTRY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL_HEAD = struct.Struct("<4s5H3I2H")
_ENTRY_HEAD = struct.Struct("<4s6H3I5H2I")
_END_HEAD = struct.Struct("<4s4H2IH")
_MOST_COMMENT = 65535
#: Entries of a directory, of which folders and what file managers add are no members.
_MOST_ENTRIES = 16 * MOST_MEMBERS
_STORED, _DEFLATED = 0, 8
_IS_ENCRYPTED, _IS_UTF8 = 0x1, 0x800
_ZIP64 = 0xFFFFFFFF


class _Entry(NamedTuple):
    """A member as the directory tells of it."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    kind: int
    offset: int


def is_zip(data: bytes) -> bool:
    """Return True if bytes begin like a zip with something in it, or are an empty one."""
    return data.startswith((_LOCAL, _END))


def names(data: bytes) -> tuple[str, ...]:
    """Names of a zip's members, as far as its directory can be read."""
    try:
        return tuple(entry.name for entry in _entries(data))
    except (ValueError, struct.error):
        return ()


def members(data: bytes) -> dict[PurePosixPath, bytes]:
    """The regular files of a zip by their path.

    Raises
    ------
    BundleError
        If a member is no regular file within it, has no plain name, or is encrypted or packed as
        few programs do.
    TooLarge
        If it holds too many or too large files, or unpacks to far more than it is.
    ValueError, struct.error, zlib.error
        If it is cut short or damaged.
    """
    found: dict[PurePosixPath, bytes] = {}
    left = min(MOST_BYTES, may_unpack_to(len(data)))
    for entry in _entries(data):
        if entry.name.endswith("/"):
            continue
        path = member(entry.name, found)
        if len(found) == MOST_MEMBERS:
            raise too_large()
        _check(entry)
        left -= entry.size
        if left < 0:
            raise too_large() if entry.size > MOST_BYTES else unpacks_too_much()
        found[path] = _content(data, entry)
    return found


def _check(entry: _Entry) -> None:
    # 0 where it was not packed on Unix.
    if entry.kind not in (0, stat.S_IFREG):
        raise BundleError(f"the archive's member {entry.name!r} is not a regular file")
    if entry.flags & _IS_ENCRYPTED:
        raise BundleError(f"the archive's member {entry.name!r} is encrypted: pack it without")
    if entry.method not in (_STORED, _DEFLATED):
        raise BundleError(
            f"the archive's member {entry.name!r} is packed by method {entry.method}: pack it as "
            "usual (deflate), or as .tar.gz"
        )
    if _ZIP64 in (entry.packed, entry.size, entry.offset):
        raise too_large()


def _entries(data: bytes) -> Iterator[_Entry]:
    """Entries of the directory, which stands at the end."""
    at = data.rfind(_END, max(0, len(data) - _END_HEAD.size - _MOST_COMMENT))
    if at < 0:
        raise ValueError("it is cut short: a zip's directory stands at its end")
    _, _, _, _, count, _, start, _ = _END_HEAD.unpack_from(data, at)
    if count > _MOST_ENTRIES:
        raise too_large()
    for _ in range(count):
        if data[start : start + 4] != _ENTRY:
            raise ValueError("its directory is damaged")
        head = _ENTRY_HEAD.unpack_from(data, start)
        flags, method = head[3], head[4]
        crc, packed, size, length, extra, comment = head[7:13]
        start += _ENTRY_HEAD.size
        name = data[start : start + length].decode("utf-8" if flags & _IS_UTF8 else "cp437")
        kind = stat.S_IFMT(head[15] >> 16)
        yield _Entry(name, flags, method, crc, packed, size, kind, head[16])
        start += length + extra + comment


def _content(data: bytes, entry: _Entry) -> bytes:
    if data[entry.offset : entry.offset + 4] != _LOCAL:
        raise ValueError(f"its member {entry.name!r} is not where its directory says")
    head = _LOCAL_HEAD.unpack_from(data, entry.offset)
    start = entry.offset + _LOCAL_HEAD.size + head[9] + head[10]
    packed = data[start : start + entry.packed]
    content = packed if entry.method == _STORED else _inflated(packed, entry.size)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise ValueError(f"its member {entry.name!r} is damaged or cut short")
    return content


def _inflated(packed: bytes, size: int) -> bytes:
    """At most one byte more than there should be."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
