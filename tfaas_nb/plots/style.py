"""Style of figures, looks of classes and lines, and the experiment's label."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (8.0, 6.5)

#: Colours that colour-blind readers tell apart (M. A. Petroff, arXiv:2107.02270).
BLUE, RED, ORANGE, GREY = "#5790fc", "#e42536", "#f89c20", "#9c9ca1"

LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")

SIGNAL: dict[str, Any] = {"label": "Signal", "color": BLUE, "hatch": "//"}
BACKGROUND: dict[str, Any] = {
    "label": "Background",
    "color": RED,
    "hatch": "\\\\",
    "linestyle": "--",
}

_LABEL: ContextVar[tuple[str, str] | None] = ContextVar("label", default=None)


#: Held while drawing.  Matplotlib's settings are those of the whole process: of two threads that
#: change them and put them back in turn, the second would leave the first one's style behind.
LOCK = threading.RLock()


@contextmanager
@checked_calls(DataError)
def style() -> Iterator[None]:
    """Context in which new figures have the style; other threads wait for its end."""
    import matplotlib.pyplot as plt
    import mplhep

    small = {
        "figure.figsize": SIZE,
        "font.size": 18,
        "axes.labelsize": 20,
        "legend.fontsize": 16,
        "figure.autolayout": False,
        # A notebook draws after this context has ended, and then has no fonts for mplhep's own set.
        "mathtext.fontset": "stixsans",
        "figure.constrained_layout.h_pad": 0.1,
        "figure.constrained_layout.w_pad": 0.1,
        "hatch.linewidth": 0.8,
    }
    # Where figures go is settled at the first of them, for good: not inside the context, whose end
    # would take it back and leave a notebook without any further picture.
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    with LOCK, plt.style.context([mplhep.style.CMS, small]):
        yield


@contextmanager
@checked_calls(DataError)
def label(text: str, right: str = "") -> Iterator[None]:
    """Context in which figures carry a label above their axes; without it none has one.

    Parameters
    ----------
    text : str
        For instance ``"CMS Simulation"``: the first word is set in bold, the rest in italics.
        Who may show which label is for the collaboration to say.
    right : str
        At the right end, for instance ``"13 TeV"``.

    Raises
    ------
    DataError
        If the text is empty.

    Examples
    --------
    >>> with label("CMS Simulation", "13 TeV"):  # doctest: +SKIP
    ...     evaluation.plot()
    """
    if not text.split():
        raise DataError("a label needs a text, for instance 'CMS Simulation'")
    before = _LABEL.set((text, right))
    try:
        yield
    finally:
        _LABEL.reset(before)


def axes(ax: Axes | None) -> Axes:
    """The Axes given, or those of a new figure.

    Raises
    ------
    DataError
        If something else is given.
    """
    if ax is not None:
        if not hasattr(ax, "errorbar"):
            raise DataError(
                f"ax must be matplotlib's Axes, such as plt.subplots()[1], not {ax!r:.60}"
            )
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def finished(ax: Axes) -> Axes:
    """The Axes with the label that was asked for, if any."""
    asked = _LABEL.get()
    if asked:
        text, right = asked
        first, *rest = text.split()
        place: dict[str, Any] = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "fontsize": 20,
        }
        bold = ax.annotate(first, (0, 1), (0, 6), weight="bold", ha="left", va="bottom", **place)
        if rest:
            ax.annotate(
                " ".join(rest),
                (1, 0),
                (6, 0),
                xycoords=bold,
                textcoords="offset points",
                style="italic",
                fontsize=17,
                ha="left",
                va="bottom",
            )
        if right:
            ax.annotate(right, (1, 1), (0, 6), ha="right", va="bottom", **place)
    return ax
