"""Pictures in, the likeliest classes out, as TFaaS's ``/image``.

Source: TFaaS's ``imageHandler`` and ``responseJSON``: pixels go to the model as numbers from 0 to
255; any scaling belongs into the model.  Ours also brings a picture to a model's fixed size.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tfaas_nb.errors import FeatureError, RequestError, TooLarge
from tfaas_nb.signature import Signature, Tensor
from tfaas_nb.wire.finite import json_numbers
from tfaas_nb.wire.json_body import json_object
from tfaas_nb.wire.picture import bare

#: Of these a picture is told by its first bytes; its name says nothing.
FORMATS = ("PNG", "JPEG")

_TOP = 5
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_MOST_PIXELS = 50_000_000


@dataclass(frozen=True)
class Canvas:
    """Form of the pictures that a model takes: size, channels and order of axes.

    Attributes
    ----------
    tensor : Tensor
        Its input.
    height, width : int or None
        Its size, None for any.
    channels : int
        1 for grey, 3 for RGB, 4 for RGBA.
    axis : int or None
        Which axis of the input, after that of the events, the channels are; None: none is.
    """

    tensor: Tensor
    height: int | None
    width: int | None
    channels: int
    axis: int | None

    @classmethod
    def of(cls, signature: Signature, channels: int = 0) -> Canvas:
        """Find the form of the pictures that a model takes, from its signature.

        Parameters
        ----------
        signature : Signature
            The model's.
        channels : int
            What its ``img_channels`` say; 0: nothing.

        Raises
        ------
        FeatureError
            If the model takes no picture.
        """
        (tensor, *more) = signature.inputs
        shape = tensor.shape
        if more or len(shape) not in (2, 3):
            raise FeatureError(
                "the model takes no picture: that is one input of shape (height, width, channels)"
            )
        axis = _channel_axis(shape)
        found = channels or (1 if axis is None else shape[axis]) or 3
        if found not in _MODES:
            raise FeatureError(f"the model takes {found} channels, a picture has 1, 3 or 4")
        height, width = (n for i, n in enumerate(shape) if i != axis)
        return cls(tensor, height, width, found, axis)

    def pixels(self, picture: bytes) -> npt.NDArray[Any]:
        """A picture as the model's input: one event of numbers from 0 to 255.

        Parameters
        ----------
        picture : bytes
            A PNG or JPEG file; brought to the model's size where it has another.

        Raises
        ------
        RequestError
            If it is no such file, or a damaged one.
        TooLarge
            If it has too many pixels.
        """
        values = _decoded(picture, _MODES[self.channels], self.height, self.width)
        if self.axis is not None:
            values = values.reshape(*values.shape[:2], self.channels)
            values = np.moveaxis(values, -1, self.axis)
        found: npt.NDArray[Any] = values[np.newaxis].astype(self.tensor.dtype)
        return found


def _channel_axis(shape: Sequence[int | None]) -> int | None:
    """Last as in TensorFlow, unless only the first can be it, as in PyTorch."""
    if len(shape) == 2:
        return None
    if shape[0] in _MODES and shape[2] not in _MODES:
        return 0
    return 2


def _decoded(picture: bytes, mode: str, height: int | None, width: int | None) -> Any:
    from PIL import Image

    try:
        alone, pixels = bare(picture)
        if pixels > _MOST_PIXELS:
            raise TooLarge(f"the picture has more than {_MOST_PIXELS // 1_000_000} Mpixel")
        with Image.open(io.BytesIO(alone), formats=FORMATS) as image:
            image.load()
            if mode != "RGBA":  # Pillow warns of what would be lost
                image.info.pop("transparency", None)
            whole = _eight_bits(image).convert(mode)
    except TooLarge:
        raise
    except Exception as error:  # Pillow has a dozen
        raise RequestError(f"the image is not a whole PNG or JPEG file: {error}") from error
    size = (width or whole.width, height or whole.height)
    if size != whole.size:
        whole = whole.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(whole)


def _eight_bits(image: Any) -> Any:
    """Greys of 16 bits, which Pillow would clip rather than scale, as 8 bits."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))


def encode_labels(filename: str, labels: Sequence[str], scores: npt.NDArray[np.float32]) -> bytes:
    """``{"filename": …, "labels": [{"label": …, "probability": …}, …]}``, the likeliest first.

    Parameters
    ----------
    filename : str
        As it was sent.
    labels : sequence of str
        Names of the outputs; those without one are called by their number.
    scores : numpy.ndarray
        float32 of shape (outputs,).

    Raises
    ------
    GraphError
        If one is not finite.
    """
    scores = json_numbers(scores[None], single=True)
    names = labels if len(labels) == len(scores) else [str(i) for i in range(len(scores))]
    best = np.argsort(-scores, kind="stable")[:_TOP]
    told = [{"label": names[i], "probability": scores[i]} for i in best]
    # What a client sent need not be a string that UTF-8 can hold.
    shown = filename.encode("utf-8", "replace").decode()
    return orjson.dumps({"filename": shown, "labels": told}, option=orjson.OPT_SERIALIZE_NUMPY)


def decode_labels(body: bytes) -> list[tuple[str, float]]:
    """Labels and probabilities from an answer, the likeliest first.

    Raises
    ------
    RequestError
        If it is no such answer.
    """
    try:
        labels = json_object(body)["labels"]
        return [(str(found["label"]), float(found["probability"])) for found in labels]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestError("the answer has no labels with probabilities") from error
