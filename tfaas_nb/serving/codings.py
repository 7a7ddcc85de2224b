"""Content codings: packed bodies read within limits, and answers packed for who accepts it.

Source: RFC 9110, sections 8.4, 12.5.3 and 15.5.16; RFC 9659 for the window of zstd.
"""

from __future__ import annotations

import importlib
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from tfaas_nb.archive import MOST_RATIO, may_unpack_to
from tfaas_nb.errors import RequestError, TooLarge, UnsupportedCoding
from tfaas_nb.serving.messages import Head, Response
from tfaas_nb.wire.tfaas import JSON

CONTENT_ENCODING = b"content-encoding"

#: JSON answers of more bytes are packed for who accepts it.
LEAST_PACKED = 16 * 1024

#: Bytes that are unpacked at once.
_PIECE = 64 * 1024
_UNPACKED_PIECE = 1 << 20
#: Streams of gzip or zstd one after the other in a body; each costs a start.
_MOST_STREAMS = 1000
#: A body that is packed within may unpack to this, and to so many times its size.
_FEW = 64 * 1024
_FEW_TIMES = 2
#: First bytes of gzip, zip, xz, bzip2 and zstd.
_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd")
#: zlib's window sizes for gzip, for a stream with zlib's own head, and for one without.
_GZIP, _ZLIB, _BARE = 31, 15, -15
#: Fast: an answer waits for it.
_LEVEL = 1
#: Logarithm of the largest window that zstd has in HTTP, 8 MB.
_ZSTD_WINDOW = 23
_VARY = ("vary", "Accept-Encoding")
_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def _find_zstd() -> Any:
    """Return Python's module of zstd, from 3.14 on, or its backport; None without them."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_zstd = _find_zstd()
_NOT_WHOLE: tuple[type[Exception], ...] = (zlib.error, ValueError, EOFError)
if _zstd:
    _NOT_WHOLE += (_zstd.ZstdError,)

#: Codings of bodies, the preferred first.
NAMES: tuple[str, ...] = ("gzip", "deflate", *(("zstd",) if _zstd else ()))
_ALIASES = {"x-gzip": "gzip", "identity": "", "": ""}


def coding_of(head: Head) -> str:
    """The coding of a request's body; empty if there is none.

    Raises
    ------
    UnsupportedCoding
        If the body has several, or one that is not read here.
    """
    said = head.header(CONTENT_ENCODING).strip()
    coding = _ALIASES.get(said.lower(), said.lower())
    if coding and coding not in NAMES:
        raise UnsupportedCoding(
            f"a body with Content-Encoding {said[:100]!r} is not read here: send one of "
            f"{', '.join(NAMES)}, or the body as it is",
            NAMES,
        )
    return coding


class Unpacking:
    """Unpack a body piece by piece, within limits.

    Parameters
    ----------
    coding : str
        One of `NAMES`.
    packed : bytes
        The body.
    most : int
        Bytes that it may unpack to; the ratio of both is limited, too.
    take : callable
        Told how many bytes there are so far, before they are kept; may raise to end it.
    """

    def __init__(self, coding: str, packed: bytes, most: int, take: Callable[[int], None]) -> None:
        self._coding, self._packed, self._most, self._take = coding, packed, most, take
        self._pieces = _pieces(coding, packed)
        self._unpacked = io.BytesIO()  # its value is not copied out of it

    def advance(self, until: int | None = None) -> bool:
        """Unpack up to a size; return True once the body is whole.

        Raises
        ------
        RequestError
            If it is not what its coding says, or cut short.
        TooLarge
            If it unpacks to more than it may.
        """
        try:
            for piece in self._pieces:
                size = self._unpacked.tell() + len(piece)
                self._check(size)
                self._take(size)
                self._unpacked.write(piece)
                if until is not None and size >= until:
                    return False
        except _NOT_WHOLE as error:
            raise RequestError(
                f"the body is not whole {self._coding}, as its Content-Encoding says: {error}"
            ) from error
        self._check_packed_once()
        return True

    def body(self) -> bytes:
        """The unpacked body."""
        return self._unpacked.getvalue()

    def _check(self, size: int) -> None:
        if size > self._most:
            raise TooLarge(f"the body unpacks to more than {self._most} bytes")
        if size > may_unpack_to(len(self._packed)):
            raise TooLarge(
                f"the body unpacks to more than {MOST_RATIO} times its size: send it as it is"
            )

    def _check_packed_once(self) -> None:
        """Refuse a bomb in a bomb: two layers multiply their ratios."""
        size, packed = self._unpacked.tell(), len(self._packed)
        if size > max(_FEW, _FEW_TIMES * packed) and self._begins(_PACKED):
            raise TooLarge(
                "the body is packed twice, and the second time to less than half: pack it once"
            )

    def _begins(self, starts: tuple[bytes, ...]) -> bool:
        view = self._unpacked.getbuffer()
        try:
            return bytes(view[:8]).startswith(starts)
        finally:
            view.release()


def pack(head: Head, response: Response) -> Response:
    """Return an answer packed, if it is large JSON and the client accepts a coding."""
    if len(response.body) <= LEAST_PACKED or response.content_type != JSON:
        return response
    if _VARY in response.headers:
        return response  # it was considered before
    coding = _accepted(head.header(b"accept-encoding"))
    headers = (*response.headers, _VARY)
    if not coding:
        return response._replace(headers=headers)
    headers = (*headers, (CONTENT_ENCODING.decode(), coding))
    return response._replace(body=_packed(coding, response.body), headers=headers)


def _accepted(said: str) -> str:
    """The coding that a client likes best, and of those the first of `NAMES`; may be empty."""
    if not said:
        return ""
    qualities: dict[str, float] = {}
    for one in said.lower().split(","):
        name, _, weight = one.partition(";")
        found = _QUALITY.fullmatch(weight.strip()) if weight.strip() else None
        if weight.strip() and not found:
            continue
        name = name.strip()
        qualities[_ALIASES.get(name) or name] = float(found[1]) if found else 1.0
    others = qualities.get("*", 0.0)
    best = max(NAMES, key=lambda name: qualities.get(name, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else ""


def _packed(coding: str, body: bytes) -> bytes:
    if coding == "zstd":
        compressed: bytes = _zstd.compress(body)
        return compressed
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP if coding == "gzip" else _ZLIB)
    return packer.compress(body) + packer.flush()


def _pieces(coding: str, packed: bytes) -> Iterator[bytes]:
    """Unpacked pieces of bounded size."""
    if coding == "zstd":
        return _streams(packed, _unpack_zstd)
    if coding == "gzip":
        return _streams(packed, lambda: _Inflating(_GZIP))
    return _streams(packed, lambda: _Inflating(_window(packed)), most=1)


def _window(packed: bytes) -> int:
    """Window of zlib for deflate: HTTP means zlib's format, some clients send it without a head."""
    is_deflate = len(packed) > 1 and packed[0] & 15 == 8
    return _ZLIB if is_deflate and int.from_bytes(packed[:2], "big") % 31 == 0 else _BARE


class _Inflating:
    """zlib's decompressor with the interface of the newer ones, such as zstd's."""

    def __init__(self, window: int) -> None:
        self._inflating = zlib.decompressobj(window)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._inflating.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflating.unused_data

    @property
    def needs_input(self) -> bool:
        return not (self._is_full or self._inflating.unconsumed_tail)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data = self._inflating.unconsumed_tail + data
        unpacked = self._inflating.decompress(data, max_length)
        self._is_full = len(unpacked) == max_length
        return unpacked


def _unpack_zstd() -> Any:
    options = {_zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
    return _zstd.ZstdDecompressor(options=options)


def _streams(packed: bytes, start: Callable[[], Any], most: int = _MOST_STREAMS) -> Iterator[bytes]:
    """Unpack streams that follow each other, up to the end of the body."""
    stream, count = start(), 1
    for at in range(0, len(packed), _PIECE):
        data = packed[at : at + _PIECE]
        while data or not (stream.eof or stream.needs_input):
            if stream.eof:
                if count == most:
                    raise ValueError(f"more follows after {most} of it")
                stream, count = start(), count + 1
            yield stream.decompress(data, _UNPACKED_PIECE)
            data = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise EOFError("it is cut short")
