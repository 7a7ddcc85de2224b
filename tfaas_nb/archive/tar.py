"""Members of a tar, read within limits.

`tarfile` is not asked: headers can be made at which it recurses without end, or for hours looks
for a word among digits.

Source: POSIX's ``pax``, "ustar interchange format" and "pax header block"; GNU tar's manual,
"basic tar format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from tfaas_nb.archive.bounds import MOST_BYTES, MOST_MEMBERS, member, plain_path, too_large
from tfaas_nb.archive.content import Content
from tfaas_nb.errors import BundleError

#: Headers of all kinds, and of what stands before a member.
_MOST_HEADERS, _MOST_BEFORE = 8 * MOST_MEMBERS, 64 << 10
_BLOCK = 512
_FOLDER, _REGULAR = b"5", (b"0", b"\0", b"7")
_LONG_NAME, _RECORDS = b"L", b"x"
#: Kinds of headers that tell of the next one: also a long name of a link, and what holds for all.
_BEFORE = (_LONG_NAME, _RECORDS, b"K", b"g")
_OCTAL = re.compile(rb"[0-7]{1,12}")
_DIGITS = re.compile(r"[0-9]{1,18}")


def members(stream: Content) -> dict[PurePosixPath, bytes]:
    """The regular files of a tar by their path.

    Raises
    ------
    BundleError
        If a member is no regular file within it, or has no plain name.
    EOFError, ValueError
        If it is cut short or no tar.
    TooLarge
        If it holds too many or too large files.
    """
    found: dict[PurePosixPath, bytes] = {}
    for count, entry in enumerate(_entries(stream), start=1):
        if count > MOST_MEMBERS:
            raise too_large()
        plain_path(entry.name)
        if entry.kind == _FOLDER:
            continue
        # A sparse file is told to be regular, and as large as it likes for nothing.
        if entry.kind not in _REGULAR or entry.is_sparse:
            raise BundleError(f"the archive's member {entry.name!r} is not a regular file")
        found[member(entry.name, found)] = entry.content
    return found


class _Entry(NamedTuple):
    """A member, read."""

    name: str
    kind: bytes
    content: bytes
    is_sparse: bool


def _entries(stream: Content) -> Iterator[_Entry]:
    """All members, and what GNU's and POSIX's tar write before one: its long name or size."""
    told: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        header = stream.exactly(_BLOCK)
        if not any(header):
            return
        kind, size = header[156:157], _number(header[124:136])
        _check_sum(header)
        if kind in _BEFORE:
            if size > _MOST_BEFORE:
                raise too_large()
            content = _content(stream, size)
            if kind == _LONG_NAME:
                told["path"] = _text(content)
            elif kind == _RECORDS:
                told |= dict(_records(content))
            continue
        size = _decimal(told["size"]) if "size" in told else size
        if size > MOST_BYTES:
            raise too_large()
        content = _content(stream, size) if kind in _REGULAR else b""
        name = told.get("path") or _name(header)
        kind = _FOLDER if kind in _REGULAR and name.endswith("/") else kind
        yield _Entry(
            name.rstrip("/"), kind, content, any(key.startswith("GNU.sparse") for key in told)
        )
        told = {}
    raise too_large()


def _content(stream: Content, size: int) -> bytes:
    """The bytes after a header, which fill whole blocks."""
    content = stream.exactly(size)
    stream.exactly(-size % _BLOCK)
    return content


def _check_sum(header: bytes) -> None:
    if _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise ValueError("the sum of a header is wrong")


def _number(field: bytes) -> int:
    """An octal number, or from 8 GB on a binary one."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    if not _OCTAL.fullmatch(digits):
        raise ValueError(f"a header has {field!r} for a number")
    return int(digits, 8)


def _decimal(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"a size is {text[:20]!r}")
    return int(text)


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    is_posix = header[257:263] == b"ustar\0"  # GNU's has other fields there
    return f"{prefix}/{name}" if is_posix and prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """``LENGTH KEY=VALUE`` lines, where the length is that of the line."""
    while content:
        digits, _, _ = content[:8].partition(b" ")
        length = _decimal(digits.decode("latin-1"))
        line, content = content[:length], content[length:]
        key, equals, value = line[len(digits) + 1 : -1].partition(b"=")
        if len(line) < length or not equals or line[-1:] != b"\n":
            raise ValueError("a header's records cannot be read")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
