from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfaas_nb.errors import FeatureError, RequestError, TooLarge
from tfaas_nb.signature import Signature, Tensor
from tfaas_nb.wire import image
from tfaas_nb.wire.image import Canvas

RAMP = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def canvas(shape: tuple[int | None, ...], channels: int = 0, dtype: str = "float32") -> Canvas:
    return Canvas.of(Signature((Tensor("x", dtype, shape),), ()), channels)


def file_of(pixels: Any, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32", "float64"])
def test_pixels_are_numbers_up_to_255(dtype: str) -> None:
    found = canvas((4, 4, 3), dtype=dtype).pixels(file_of(RAMP))
    assert (found.shape, found.dtype) == ((1, 4, 4, 3), dtype)
    np.testing.assert_array_equal(found[0], RAMP)


def test_channels_come_first_where_the_model_has_them_so() -> None:
    pixels = np.arange(180, dtype=np.uint8).reshape(6, 10, 3)
    found = canvas((3, 6, 10)).pixels(file_of(pixels))
    np.testing.assert_array_equal(found[0], np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((4, 4, 1), 0, (4, 4, 1)),
        ((4, 4, 4), 0, (4, 4, 4)),
        ((4, 4), 0, (4, 4)),
        ((None, None, None), 0, (4, 4, 3)),
        ((None, None, None), 1, (4, 4, 1)),
        ((1, None, None), 0, (1, 4, 4)),
        ((8, 2, 3), 0, (8, 2, 3)),
        ((None, 8, 3), 0, (4, 8, 3)),
    ],
)
def test_a_picture_takes_the_shape_of_the_model(
    shape: tuple[int | None, ...], channels: int, expected: tuple[int, ...]
) -> None:
    assert canvas(shape, channels).pixels(file_of(RAMP)).shape == (1, *expected)


def test_resizing_is_bilinear() -> None:
    columns = np.array([[0, 100]], np.uint8).repeat(2, axis=0)
    found = canvas((2, 4)).pixels(file_of(columns))[0]
    np.testing.assert_array_equal(found[0], [0, 25, 75, 100])


def test_greys_of_16_bits_are_scaled() -> None:
    deep = np.array([[0, 256, 65535]], np.uint16)
    np.testing.assert_array_equal(canvas((1, 3)).pixels(file_of(deep))[0], [[0, 1, 255]])


def test_a_jpeg_is_told_by_its_content() -> None:
    grey = np.full((8, 8, 3), 200, np.uint8)
    found = canvas((8, 8, 3)).pixels(file_of(grey, "JPEG", quality=95))
    np.testing.assert_allclose(found, 200, atol=2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((42,), "takes no picture: that is one input of shape"),
        ((), "takes no picture"),
        ((9, 9, 7), "takes 7 channels, a picture has 1, 3 or 4"),
    ],
)
def test_a_model_that_takes_no_picture_says_so(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        canvas(shape)


PNG = file_of(RAMP)
NOISE = file_of(np.random.default_rng(1).integers(0, 255, (16, 16, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    "data", [b"", b"hello", NOISE[:400], PNG[:40], file_of(RAMP, "BMP"), file_of(RAMP, "GIF")]
)
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="not a whole PNG or JPEG file"):
        canvas((4, 4, 3)).pixels(data)


@pytest.mark.parametrize("side", [8_000, 15_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    """The file says that it is large, and holds nothing."""
    header = bytearray(PNG)
    header[16:24] = side.to_bytes(4, "big") * 2
    header[29:33] = _checksum(bytes(header[12:29]))
    with pytest.raises(TooLarge):
        canvas((4, 4, 3)).pixels(bytes(header))


def _checksum(chunk: bytes) -> bytes:
    import zlib

    return zlib.crc32(chunk).to_bytes(4, "big")


def test_the_likeliest_five_are_told() -> None:
    scores = np.array([0.05, 0.4, 0.1, 0.2, 0.24, 0.01], np.float32)
    body = image.encode_labels("cat.png", [*"abcdef"], scores)
    assert json.loads(body) == {
        "filename": "cat.png",
        "labels": [
            {"label": "b", "probability": 0.4},
            {"label": "e", "probability": 0.24},
            {"label": "d", "probability": 0.2},
            {"label": "c", "probability": 0.1},
            {"label": "a", "probability": 0.05},
        ],
    }
    assert image.decode_labels(body)[0] == ("b", pytest.approx(0.4))


def test_classes_without_labels_are_called_by_their_number() -> None:
    body = image.encode_labels("\udcff", ["only one"], np.array([0.2, 0.8], np.float32))
    assert image.decode_labels(body) == [("1", pytest.approx(0.8)), ("0", pytest.approx(0.2))]


@pytest.mark.parametrize("body", [b"{}", b'{"labels": [1]}', b'{"labels": [{"label": "a"}]}'])
def test_other_answers_have_no_labels(body: bytes) -> None:
    with pytest.raises(RequestError, match="no labels with probabilities"):
        image.decode_labels(body)
