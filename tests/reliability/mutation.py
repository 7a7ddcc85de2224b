"""Inputs made from other inputs: changed at random, but as their format is built.

A byte changed anywhere in an archive is found by its checksum, and one in JSON makes it no JSON:
such inputs reach little.  So every format is taken apart, changed within and put together again,
and only some of the time changed as bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutate = Callable[[Random, bytes], bytes]

#: No input grows beyond this.
MOST_BYTES = 16 << 10

_INTERESTING = (0, 1, 2, 7, 8, 100, 127, 128, 255, 256, 1023, 4301, 32767, 65535, 2**31 - 1)
_INTERESTING += (2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -1, -128, -(2**31))
_TEXTS = ("", "a", "\0", "\n", "ä", "€", "\U0001f600", "\udc80", "../", "/", "%", "%00", "None")
_TEXTS += ("0", "-1", "1e999", "NaN", "x" * 300, "9" * 4400, "{}", "[]", '"', "\\", "\ufeff", ";")
_VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], [None], "", 0.0, -0.0, 1e-320, 3.5e38, 1e39, 1e300, 1.5),
    *(float("nan"), float("inf"), -float("inf"), 10**40, 10**400, {"a": 1}, [1, [2]], [[1], [2]]),
    *_INTERESTING,
    *_TEXTS,
)


# --- bytes ------------------------------------------------------------------------------


def plain(random: Random, data: bytes, words: tuple[bytes, ...] = ()) -> bytes:
    """Bytes flipped, put in, taken out, repeated or set to odd numbers."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(found) + 1)
        end = min(len(found), at + 1 + int(random.expovariate(0.2)))
        random.choice(_EDITS + (_word,) * bool(words))(random, found, at, end, words)
    return bytes(found[:MOST_BYTES])


def _flip(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    if at < len(found):
        found[at] ^= random.choice((1, 2, 4, 8, 16, 32, 64, 128, random.randrange(256)))


def _remove(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    del found[at:end]


def _insert(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    found[at:at] = random.randbytes(1 + random.randrange(8))


def _repeat(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    found[at:at] = found[at:end] * random.choice((1, 1, 2, 3, 30))


def _copy(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    found[at:end] = found[:at][-(end - at) :]


def _number(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    size = random.choice((1, 2, 4, 8))
    number = (random.choice(_INTERESTING) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    found[at : at + size] = number if random.random() < 0.5 else number[::-1]


def _odd_text(
    random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]
) -> None:
    odd = random.choice(_TEXTS).encode("utf-8", "surrogateescape")
    found[at : at + random.choice((0, len(odd)))] = odd


def _word(random: Random, found: bytearray, at: int, end: int, words: tuple[bytes, ...]) -> None:
    found[at : random.choice((at, end))] = random.choice(words)


_EDITS = (_flip, _flip, _remove, _insert, _repeat, _copy, _number, _odd_text)


def text(*words: str) -> Mutate:
    """Text in which some words mean something."""
    known = tuple(word.encode() for word in words)
    return lambda random, data: plain(random, data, known)


# --- JSON -------------------------------------------------------------------------------


def json_text(random: Random, data: bytes) -> bytes:
    """JSON with a value, a key or a part of a list changed; sometimes the text."""
    if random.random() < 0.15:
        return plain(random, data, (b"[", b"{", b"}", b",", b":", b"NaN", b"-Infinity", b"1e999"))
    try:
        tree = [json.loads(data)]
    except (ValueError, RecursionError):
        return plain(random, data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _change(random, tree)
    with contextlib.suppress(ValueError, RecursionError):  # of numbers with too many digits
        written = json.dumps(tree[0], ensure_ascii=random.random() < 0.3)
        return written.encode("utf-8", "surrogateescape")[: 2 * MOST_BYTES]
    return data


def _change(random: Random, tree: list[Any]) -> None:
    places = _places(tree)
    holder, key = random.choice(places)
    other_holder, other_key = random.choice(places)
    choice = random.randrange(8)
    if choice <= 2 or holder is tree:
        holder[key] = _copied(random.choice(_VALUES))
    elif choice == 3:
        del holder[key]
    elif choice == 4:
        holder[key] = _copied(other_holder[other_key])
    elif choice == 5 and isinstance(holder, list):
        holder[key:key] = [_copied(holder[key])] * random.choice((1, 2, 50))
    elif choice == 5:
        holder[random.choice(_TEXTS)] = holder.pop(key)
    elif choice == 6:
        holder[key] = [holder[key]] if random.random() < 0.5 else {"a": holder[key]}
    elif isinstance(holder[key], (int, float)):
        with contextlib.suppress(OverflowError):
            holder[key] = random.choice((-1, 2, 0.5, 1e30)) * holder[key]


def _places(tree: list[Any]) -> list[tuple[Any, Any]]:
    """Positions of values in JSON: the list or object, and the place in it."""
    places: list[tuple[Any, Any]] = []
    pending: list[Any] = [tree]
    while pending and len(places) < 500:
        found = pending.pop()
        pairs = found.items() if isinstance(found, dict) else enumerate(found)
        for key, value in pairs:
            places.append((found, key))
            if isinstance(value, (dict, list)):
                pending.append(value)
    return places


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, (dict, list)) else value


# --- protobuf ---------------------------------------------------------------------------

_Field = tuple[int, int, int | bytes]


def protobuf(random: Random, data: bytes) -> bytes:
    """A message with fields changed, repeated, moved or left out, at any depth."""
    fields = _fields(data)
    if not fields or random.random() < 0.1:
        return plain(random, data)
    for _ in range(1 + random.randrange(2)):
        at = random.randrange(len(fields))
        number, kind, value = fields[at]
        choice = random.randrange(8)
        if choice == 0 and len(fields) > 1:
            del fields[at]
        elif choice == 1:
            fields[at:at] = [fields[at]] * random.choice((1, 1, 2, 40))
        elif choice == 2:
            fields.insert(random.randrange(len(fields) + 1), fields[at])
        elif choice == 3:
            fields[at] = (1 + random.randrange(20), kind, value)
        elif isinstance(value, bytes):
            fields[at] = (number, kind, _within(random, value))
        else:
            size = {0: 64, 1: 64, 5: 32}[kind]
            changed = random.choice((random.choice(_INTERESTING), value ^ 1, value + 1))
            fields[at] = (number, kind, changed & ((1 << size) - 1))
    return b"".join(map(_written, fields))[: 4 * MOST_BYTES]


def _within(random: Random, value: bytes) -> bytes:
    if _fields(value) and random.random() < 0.8:
        return protobuf(random, value)
    if random.random() < 0.3:
        return random.choice(_TEXTS).encode("utf-8", "surrogateescape")
    return plain(random, value)


def _fields(data: bytes) -> list[_Field]:
    """The fields of a message; none if it is not one."""
    found: list[_Field] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            kind = tag & 7
            if kind == 0:
                value: int | bytes
                value, at = _varint(data, at)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                (value,) = struct.unpack_from("<Q" if kind == 1 else "<I", data, at)
                at += size
            elif kind == 2:
                length, at = _varint(data, at)
                value = data[at : at + length]
                if len(value) != length:
                    return []
                at += length
            else:
                return []
            if not tag >> 3:
                return []
            found.append((tag >> 3, kind, value))
    except (IndexError, struct.error):
        return []
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise IndexError


def _written(field: _Field) -> bytes:
    number, kind, value = field
    tag = _as_varint(number << 3 | kind)
    if isinstance(value, bytes):
        return tag + _as_varint(len(value)) + value
    if kind == 0:
        return tag + _as_varint(value)
    return tag + value.to_bytes(8 if kind == 1 else 4, "little")


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


# --- what holds other formats -----------------------------------------------------------


def lined(line: Mutate, rest: Mutate) -> Mutate:
    """A first line of one format, and what follows of another."""

    def mutate(random: Random, data: bytes) -> bytes:
        first, _, after = data.partition(b"\n")
        if random.random() < 0.4:
            first = line(random, first).replace(b"\n", b"")
        else:
            after = rest(random, after)
        return first + b"\n" + after

    return mutate


def tail_of_json(random: Random, data: bytes) -> bytes:
    """The length of some JSON in a line, the JSON, and bytes after it."""
    first, _, after = data.partition(b"\n")
    length = int(first) if first.isdigit() and len(first) < 9 else len(after)
    told, raw = after[:length], after[length:]
    choice = random.randrange(8)
    if choice < 5:
        told = json_text(random, told)
    else:
        raw = plain(random, raw)
    if choice == 7 or not first.isdigit():
        return plain(random, first)[:8].replace(b"\n", b"") + b"\n" + told + raw
    return b"%d\n" % len(told) + told + raw


def tar(random: Random, data: bytes) -> bytes:
    """A tar, perhaps gzipped: its headers changed and their sums set right again, or content."""
    packed = data.startswith(b"\x1f\x8b")
    if random.random() < 0.1:
        return plain(random, data)
    if packed:
        try:
            data = zlib.decompressobj(31).decompress(data, 64 * MOST_BYTES)
        except zlib.error:
            return plain(random, data)
    found = bytearray(data)
    headers = [
        at for at in range(0, len(found) - 511, 512) if found[at + 257 : at + 262] == b"ustar"
    ]
    for _ in range(1 + random.randrange(3)):
        if not headers or random.random() < 0.2:
            found = bytearray(plain(random, bytes(found[: 4 * MOST_BYTES])))
            headers = []
            continue
        _change_header(random, found, random.choice(headers))
    whole = bytes(found)
    return gzip.compress(whole, 1, mtime=0) if packed else whole


#: Where a tar's header has its fields.
_TAR_FIELDS = ((0, 100), (124, 136), (124, 136), (156, 157), (157, 257), (345, 500), (329, 345))
_TAR_KINDS = b"0\x001234567LKxgSVDMNX"
_TAR_TEXTS = (b"..", b"/etc/passwd", b"", b"a" * 155, b"\xff\xfe", b"a/../b", b"\x80", b"model.pb")


def _change_header(random: Random, found: bytearray, at: int) -> None:
    start, stop = random.choice(_TAR_FIELDS)
    size = stop - start
    if size == 1:
        value = bytes([random.choice(_TAR_KINDS)])
    elif start == 124:
        number = random.choice(_INTERESTING)
        wide = (number & (2**88 - 1)).to_bytes(11, "big")
        value = random.choice((b"%011o\0" % abs(number), b"\x80" + wide, b"\xff" + wide, b" -1"))
    else:
        value = random.choice(_TAR_TEXTS)
    found[at + start : at + stop] = value[:size].ljust(size, b"\0")
    if random.random() < 0.2:  # the same header once more
        found[at:at] = found[at : at + 512]
    block = found[at : at + 512]
    block[148:156] = b"        "
    found[at + 148 : at + 156] = b"%06o\0 " % sum(block)


def zipped(member: str, inner: Mutate) -> Mutate:
    """A zip archive with a member changed and packed anew, or its directory changed."""

    def mutate(random: Random, data: bytes) -> bytes:
        if random.random() < 0.3:
            return plain(random, data, (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06"))
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                files = {name: archive.read(name) for name in archive.namelist()}
        except Exception:
            return plain(random, data)
        name = member if member in files else next(iter(files), member)
        files[name] = inner(random, files.get(name, b"{}"))
        stream = io.BytesIO()
        kind = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(stream, "w", kind) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name.replace("\0", "0")), content, kind)
        return stream.getvalue()

    return mutate


def png(random: Random, data: bytes) -> bytes:
    """A PNG with chunks changed and their sums set right again; other files as bytes."""
    if not data.startswith(b"\x89PNG") or random.random() < 0.1:
        return plain(random, data)
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return plain(random, data)
    for _ in range(1 + random.randrange(2)):
        i = random.randrange(len(chunks))
        kind, content = chunks[i]
        choice = random.randrange(5)
        if choice == 0:
            chunks.insert(random.randrange(len(chunks) + 1), chunks[i])
        elif choice == 1 and len(chunks) > 1:
            del chunks[i]
        elif choice == 2:
            kind = random.choice((b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"tEXt", b"zTXt", b"iTXt"))
            kind = random.choice(
                (kind, b"eXIf", b"gAMA", b"cHRM", b"acTL", b"fcTL", b"fdAT", b"pHYs")
            )
            chunks.insert(1, (kind, plain(random, content)[:64]))
        elif choice == 3 and kind == b"IDAT":
            with contextlib.suppress(zlib.error):
                content = zlib.compress(plain(random, zlib.decompress(content)))
            chunks[i] = (kind, content)
        else:
            chunks[i] = (kind, plain(random, content))
    told = [
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    ]
    return data[:8] + b"".join(told)


def either(*ways: Mutate) -> Mutate:
    """One of several ways."""
    return lambda random, data: random.choice(ways)(random, data)
