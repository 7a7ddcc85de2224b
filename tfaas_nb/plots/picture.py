"""Figures as files: PNG, SVG and PDF whose bytes depend on nothing but what was drawn."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfaas_nb import durable
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.options import check_option, check_path, is_number
from tfaas_nb.plots.style import SIZE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], Any]

#: Inches and dots per inch; more would take gigabytes of memory.
_LARGEST, _DENSEST = 200, 2_400
#: No dates, which would make each file differ from the last.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


@checked_calls(DataError)
def png(draw: Draw, size: tuple[float, float] = SIZE, dpi: int = 72) -> bytes:
    """A picture of what `draw` puts on fresh Axes, made without touching pyplot's figures."""
    return _made(draw, "png", size, dpi)


@checked_calls(DataError)
def svg(draw: Draw, size: tuple[float, float] = SIZE) -> bytes:
    """Draw a picture as SVG, for browsers; letters are shapes, too."""
    return _made(draw, "svg", size)


@checked_calls(DataError)
def pdf(draw: Draw, size: tuple[float, float] = SIZE) -> bytes:
    """Draw a picture as PDF, for a note."""
    return _made(draw, "pdf", size)


@checked_calls(DataError)
def save(what: Axes | Draw, path: str | os.PathLike[str], size: tuple[float, float] = SIZE) -> Path:
    """Write a figure to a file, as PNG (150 dots per inch), SVG or PDF by the file's suffix.

    Parameters
    ----------
    what : matplotlib.axes.Axes or callable
        Axes whose whole figure is written, or what draws on fresh Axes it is given, for
        instance ``evaluation.plot``.
    path : path
        Ends in ``.png``, ``.svg`` or ``.pdf``; an existing file is replaced.
    size : tuple of float
        Width and height of fresh Axes in inches.

    Raises
    ------
    DataError
        If the suffix is another, or the folder does not exist.
    """
    check_path("path", path, DataError)
    is_drawn = callable(what) or hasattr(what, "get_figure")
    check_option("what", what, is_drawn, "Axes, or a function such as evaluation.plot", DataError)
    target = Path(path).expanduser()
    kind = target.suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        raise DataError(f"{target} is none of {', '.join('.' + k for k in _METADATA)}")
    if not target.parent.is_dir():
        raise DataError(f"the folder {target.parent} does not exist")
    content = _made(what, kind, size, 150) if callable(what) else _written(what, kind, 150)
    durable.replace(target, content, target.parent)
    return target


def _made(draw: Draw, kind: str, size: tuple[float, float], dpi: int = 72) -> bytes:
    check_option(
        "draw", draw, callable(draw), "a function of Axes, such as evaluation.plot", DataError
    )
    right = isinstance(size, (tuple, list)) and len(size) == 2
    right = right and all(is_number(one) and 0 < one <= _LARGEST for one in size)
    check_option("size", size, right, f"width and height in inches, at most {_LARGEST}", DataError)
    check_option("dpi", dpi, is_number(dpi) and 0 < dpi <= _DENSEST, "dots per inch", DataError)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.subplots()
        draw(ax)
        return _written(ax, kind, dpi)


def _written(ax: Axes, kind: str, dpi: int) -> bytes:
    import matplotlib as mpl

    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "tfaas_nb", "savefig.bbox": None}):
        figure: Any = ax.get_figure()
        figure.savefig(stream, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return stream.getvalue()


@checked_calls(DataError)
def html_image(picture: bytes, alt: str, width: str = "480px") -> str:
    """An ``<img>`` with the picture, PNG or SVG, inside; `width` is the largest, as in CSS."""
    kind = "png" if picture.startswith(b"\x89PNG") or b"<svg" not in picture else "svg+xml"
    data = base64.b64encode(picture).decode()
    return (
        f'<img alt="{escape(alt)}" style="max-width:{width}" '
        f'src="data:image/{kind};base64,{data}"/>'
    )
