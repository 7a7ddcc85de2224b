"""PNG and JPEG files with nothing in them but their picture.

What such files say besides (EXIF, previews, animations, colour profiles) Pillow reads as well, and
warns of what is odd in it.  Here it is left out first, by the files' own structure.

Source: the PNG specification's "datastream structure", ITU T.81 annex B.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_KEPT_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: Comments and application segments, but for JFIF's and Adobe's, which tell how colours are coded.
_LEFT_OUT = frozenset({0xFE, *range(0xE1, 0xEE), 0xEF})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA


def bare(file: bytes) -> tuple[bytes, int]:
    """A file without what is no picture, and its number of pixels.

    Raises
    ------
    ValueError
        If it is no PNG or JPEG file.
    """
    if file.startswith(_PNG):
        chunks = list(_chunks(file))
        header = next((chunk for kind, chunk in chunks if kind == b"IHDR"), b"")
        if len(header) < 16:
            raise ValueError("it has no header")
        width, height = struct.unpack_from(">II", header, 8)
        return _PNG + b"".join(chunk for _, chunk in chunks), width * height
    if file.startswith(_JPEG):
        segments = list(_segments(file))
        sizes = [
            struct.unpack_from(">HH", segment, 5)
            for kind, segment in segments
            if kind in _FRAMES and len(segment) >= 9
        ]
        pixels = max((height * width for height, width in sizes), default=0)
        return _JPEG + b"".join(segment for _, segment in segments), pixels
    raise ValueError("it begins as neither does")


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of the chunks that make a PNG's picture."""
    at, has_header = len(_PNG), False
    while at + 8 <= len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        end = at + 12 + length
        if kind in _KEPT_CHUNKS and not (has_header and kind == b"IHDR"):
            yield kind, file[at:end]
        has_header = has_header or kind == b"IHDR"
        if kind == b"IEND":
            return
        at = end


def _segments(file: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of the segments that make a JPEG's picture; the scan is the last one."""
    at = len(_JPEG)
    while at + 4 <= len(file):
        mark, kind, length = struct.unpack_from(">BBH", file, at)
        if mark == 0xFF and kind == 0xFF:  # markers may be preceded by any number of these
            at += 1
            continue
        if mark != 0xFF or length < 2:
            raise ValueError("its segments do not follow each other")
        if kind == _SCAN:
            yield kind, file[at:]
            return
        if kind not in _LEFT_OUT:
            yield kind, file[at : at + 2 + length]
        at += 2 + length
