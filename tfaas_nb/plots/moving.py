"""Pictures of which little moves: the rest is drawn once, so that the next one takes no time."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.plots.style import LOCK, SIZE, style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


@checked_calls(DataError)
class Moving:
    """A figure without pyplot that keeps what stays.

    Parameters
    ----------
    draw : callable
        Draws on Axes and returns the artists that will move; what is behind them stays.
    size : tuple of float
        Width and height in inches.
    dpi : int
        Pixels per inch.
    """

    def __init__(
        self,
        draw: Callable[[Axes], Sequence[Artist]],
        size: tuple[float, float] = SIZE,
        dpi: int = 96,
    ) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with style():
            self._figure = Figure(figsize=size, dpi=dpi, layout="constrained")
            self._canvas = FigureCanvasAgg(self._figure)
            self._axes = self._figure.subplots()
            self._moving = tuple(draw(self._axes))
            for artist in self._moving:
                artist.set_animated(True)
            self._canvas.draw()  # type: ignore[no-untyped-call]
            self._still = self._canvas.copy_from_bbox(self._figure.bbox)  # type: ignore[no-untyped-call]

    def png(self) -> bytes:
        """The picture with the moving artists as they are now."""
        import numpy as np
        from PIL import Image

        stream = io.BytesIO()
        with LOCK:
            self._canvas.restore_region(self._still)  # type: ignore[no-untyped-call]
            for artist in self._moving:
                self._axes.draw_artist(artist)
            pixels = np.asarray(self._canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            shown = Image.fromarray(pixels[..., :3])
        shown.save(stream, "png", compress_level=1)
        return stream.getvalue()
