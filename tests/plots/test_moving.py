from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from PIL import Image

from tfaas_nb import plots

SIZE = (4.0, 3.0)


def pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(int)


def test_what_moves_is_drawn_anew_and_leaves_no_trace() -> None:
    lines: list[Any] = []

    def draw(ax: Axes) -> Sequence[Artist]:
        ax.set_xlim(0, 1)
        lines.append(ax.axvline(0.5, color="black"))
        return lines

    picture = plots.Moving(draw, SIZE, dpi=50)
    first = pixels(picture.png())
    assert first.shape == (150, 200)
    lines[0].set_xdata([0.2, 0.2])
    second = pixels(picture.png())
    assert (first != second).any()
    lines[0].set_xdata([0.5, 0.5])
    assert (pixels(picture.png()) == first).all()
    lines[0].set_visible(False)
    empty = pixels(picture.png())
    assert (first < empty).any(axis=0).nonzero()[0].mean() > (second < empty).any(axis=0).nonzero()[
        0
    ].mean()


@pytest.mark.slow
def test_neither_figures_nor_style_are_left_behind() -> None:
    import matplotlib.pyplot as plt

    numbers, size = plt.get_fignums(), mpl.rcParams["font.size"]
    plots.Moving(lambda ax: ax.plot([0, 1], [0, 1]), SIZE).png()
    assert plt.get_fignums() == numbers
    assert mpl.rcParams["font.size"] == size
