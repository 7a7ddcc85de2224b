"""Pictures without what is no picture."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfaas_nb.errors import TooLarge
from tfaas_nb.signature import Signature, Tensor
from tfaas_nb.wire.image import Canvas
from tfaas_nb.wire.picture import bare


def file(form: str, mode: str, **options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 11, 4), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(stream, form, **options)
    return stream.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def canvas(channels: int) -> Canvas:
    shape = (None, None, channels)
    return Canvas.of(Signature((Tensor("x", "uint8", shape),), (Tensor("y", "float32", (1,)),)))


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    ],
)
def test_the_picture_is_the_same(form: str, mode: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret"
    data = file(form, mode, exif=exif, comment="a comment")
    alone, count = bare(data)
    assert count == 99
    assert b"secret" in data
    assert b"secret" not in alone
    assert np.array_equal(pixels(alone), pixels(data))
    assert bare(alone) == (alone, 99)


def test_a_progressive_jpeg_is_the_same() -> None:
    data = file("JPEG", "RGB", progressive=True, icc_profile=b"x" * 200)
    assert np.array_equal(pixels(bare(data)[0]), pixels(data))


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\x00\x00\x00\x00"]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it |its "):
        bare(data)


def test_damaged_notes_do_no_harm() -> None:
    """Pillow warns of them, which would be printed into a cell."""
    notes = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\x7f\0\0\0\0"
    data = file("JPEG", "RGB")
    segment = b"\xff\xe1" + struct.pack(">H", len(notes) + 2) + notes
    found = canvas(3).pixels(data[:2] + segment + data[2:])
    assert np.array_equal(found, canvas(3).pixels(data))


def test_a_palette_may_be_transparent() -> None:
    stream = io.BytesIO()
    image = Image.new("P", (2, 2))
    image.putpalette([10, 20, 30] * 256)
    image.save(stream, "PNG", transparency=b"\x07")
    assert canvas(3).pixels(stream.getvalue())[0, 0, 0].tolist() == [10, 20, 30]
    assert canvas(4).pixels(stream.getvalue())[0, 0, 0].tolist() == [10, 20, 30, 7]


def test_an_animation_is_its_first_picture() -> None:
    control = b"acTL" + struct.pack(">II", 0, 0)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    data = file("PNG", "RGB")
    assert np.array_equal(canvas(3).pixels(data[:33] + chunk + data[33:]), canvas(3).pixels(data))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_is_too_large_by_what_it_says(form: str) -> None:
    """Between 50 and 90 Mpixel, and above, where Pillow would warn first."""
    data = bytearray(file(form, "L"))
    at = 16 if form == "PNG" else data.index(b"\xff\xc0") + 5
    size = (
        struct.pack(">II", 10_000, 10_000) if form == "PNG" else struct.pack(">HH", 10_000, 10_000)
    )
    data[at : at + len(size)] = size
    with pytest.raises(TooLarge, match="50 Mpixel"):
        canvas(1).pixels(bytes(data))
