"""Archives of strangers: a model's folder as ``.tar`` or ``.tar.gz``, read within limits.

Nothing is written to disk, and only regular files are taken.  `tarfile` is not asked: headers can
be made at which it recurses without end, or for hours looks for a word among digits.

Source: POSIX's ``pax``, "ustar interchange format" and "pax header block"; GNU tar's manual,
"basic tar format".
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from tfaas_nb.errors import BundleError, TooLarge

#: Unpacked bytes per packed one, once there are more than a sound archive may repeat.
MOST_RATIO = 100

_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 64
_MOST_BYTES = 512 << 20
_MAY_REPEAT = 32 << 20
_MOST_PATH = 255
#: Headers of all kinds, and of what stands before a member.
_MOST_HEADERS, _MOST_BEFORE = 8 * _MOST_MEMBERS, 64 << 10
_BLOCK = 512
_FOLDER, _REGULAR = b"5", (b"0", b"\0", b"7")
_LONG_NAME, _RECORDS = b"L", b"x"
#: Kinds of headers that tell of the next one: also a long name of a link, and what holds for all.
_BEFORE = (_LONG_NAME, _RECORDS, b"K", b"g")
_OCTAL = re.compile(rb"[0-7]{1,12}")
_DIGITS = re.compile(r"[0-9]{1,18}")
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
        found = _regular(stream)
        stream.drain()
    except (ValueError, EOFError, zlib.error, OSError) as error:
        raise BundleError(f"the upload is not a whole .tar or .tar.gz: {error}") from error
    folders = {path.parts[0] if len(path.parts) > 1 else "" for path in found}
    folder = folders.pop() if len(folders) == 1 else ""
    depth = 1 if folder else 0
    return folder, {"/".join(path.parts[depth:]): content for path, content in found.items()}


def may_unpack_to(packed: int) -> int:
    """Bytes that an archive of a size may hold, of any kind."""
    return max(_MAY_REPEAT, MOST_RATIO * packed)


def plain_path(name: str) -> PurePosixPath:
    """The path of a member within its archive.

    Raises
    ------
    BundleError
        If it leads out of the archive or is no plain name.
    """
    path = PurePosixPath(name)
    if ".." in path.parts or path.is_absolute():
        raise BundleError(f"the archive's member {name!r} points outside of it")
    if len(name) > _MOST_PATH or not all(map(_PART.fullmatch, path.parts)):
        raise BundleError(
            f"the archive's member {name[:_MOST_PATH]!r} has no plain name: use letters, digits "
            "and _ . , @ = + -"
        )
    return path


class _Limited(io.RawIOBase):
    """The content of a tar or tar.gz, up to a size."""

    def __init__(self, data: bytes) -> None:
        raw = io.BytesIO(data)
        self._stream = gzip.GzipFile(fileobj=raw) if data.startswith(_GZIP) else raw
        self._most = min(_MOST_BYTES, may_unpack_to(len(data)))
        self._unpacked = 0

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._unpacked += len(found)
        if self._unpacked > _MOST_BYTES:
            raise _too_large()
        if self._unpacked > self._most:
            raise TooLarge(
                f"the archive unpacks to more than {MOST_RATIO} times its size: send it unpacked, "
                "as .tar"
            )
        return found

    def exactly(self, size: int) -> bytes:
        """Read exactly `size` bytes, or raise that the archive is cut short."""
        found = self.read(size)
        if len(found) < size:
            raise EOFError("it is cut short")
        return found

    def drain(self) -> None:
        """Read to the end, where gzip's checksum is."""
        while self.read(1 << 16):
            pass


def _too_large() -> TooLarge:
    return TooLarge(
        f"the archive holds more than {_MOST_MEMBERS} members or {_MOST_BYTES >> 20} MB"
    )


def _regular(stream: _Limited) -> dict[PurePosixPath, bytes]:
    found: dict[PurePosixPath, bytes] = {}
    for count, entry in enumerate(_entries(stream), start=1):
        if count > _MOST_MEMBERS:
            raise _too_large()
        path = plain_path(entry.name)
        if entry.kind == _FOLDER:
            continue
        # A sparse file is told to be regular, and as large as it likes for nothing.
        if entry.kind not in _REGULAR or entry.is_sparse:
            raise BundleError(f"the archive's member {entry.name!r} is not a regular file")
        if path in found:
            raise BundleError(f"the archive has two members {entry.name!r}")
        found[path] = entry.content
    return found


class _Entry(NamedTuple):
    """A member, read."""

    name: str
    kind: bytes
    content: bytes
    is_sparse: bool


def _entries(stream: _Limited) -> Iterator[_Entry]:
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
                raise _too_large()
            content = _content(stream, size)
            if kind == _LONG_NAME:
                told["path"] = _text(content)
            elif kind == _RECORDS:
                told |= dict(_records(content))
            continue
        size = _decimal(told["size"]) if "size" in told else size
        if size > _MOST_BYTES:
            raise _too_large()
        content = _content(stream, size) if kind in _REGULAR else b""
        name = told.get("path") or _name(header)
        kind = _FOLDER if kind in _REGULAR and name.endswith("/") else kind
        yield _Entry(
            name.rstrip("/"), kind, content, any(key.startswith("GNU.sparse") for key in told)
        )
        told = {}
    raise _too_large()


def _content(stream: _Limited, size: int) -> bytes:
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
