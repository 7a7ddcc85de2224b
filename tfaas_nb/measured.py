"""A number with its statistical error, written in one way everywhere.

Reports, widgets, tables, ``params.json`` and every ``repr`` take their digits from here: two
significant ones of the error, and the number to the same decimal.  Where the sample gives no
error, because an efficiency is 0 or 1 or a class has a single event, a limit stands instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

#: Confidence level of limits, which stand where no error can be given.
LEVEL = 0.95

#: More decimals than these are written as a power of ten.
_MOST_DECIMALS = 7


class OneLine:
    """Base of values that a cell shows in one line, with the words of their `repr`."""

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


@dataclass(frozen=True, repr=False)
class Measured(OneLine):
    """A measured number with its error, or with limits where it has none.

    Attributes
    ----------
    value : float
        The estimate.
    error : float or None
        Standard error; None where the sample gives none.
    low, high : float or None
        Limits at 95 % CL, of a number without an error.
    is_chosen : bool
        Marks a number that was chosen, and so has neither error nor limits.
    is_uncertain : bool
        Marks a number that too few events were measured with.
    is_signed : bool
        Writes the sign of a positive number, too, as for differences.
    """

    value: float
    error: float | None = None
    low: float | None = None
    high: float | None = None
    is_chosen: bool = False
    is_uncertain: bool = False
    is_signed: bool = False

    @property
    def has_error(self) -> bool:
        """True if there is a standard error, finite and not zero."""
        return self.error is not None and math.isfinite(self.error) and self.error > 0

    @property
    def text(self) -> str:
        """The number with its error or limits, without the mark of few events."""
        if self.is_chosen:
            return f"{_plain(self.value)} (chosen)"
        if self.has_error and math.isfinite(self.value):
            return quoted(self.value, float(self.error or 0), "+" if self.is_signed else "")
        if self.low is not None or self.high is not None:
            return f"{_limits(self.low, self.high)} at {LEVEL:.0%} CL".replace("%", " %")
        return f"{_plain(self.value)} (error not known)"

    @property
    def equation(self) -> str:
        """Value with its sign of relation: ``= 0.50 ± 0.02`` or ``< 0.003 at 95 % CL``."""
        text = str(self)
        return text if text.startswith(("<", ">", "within")) else f"= {text}"

    def __str__(self) -> str:
        return self.text + (" (few events)" if self.is_uncertain else "")

    __repr__ = __str__


def quoted(value: float, error: float, sign: str = "") -> str:
    """A number and its error: two significant digits of the error, and the same decimals.

    Parameters
    ----------
    value, error : float
        Finite; the error is positive.
    sign : str
        ``"+"`` writes the sign of positive numbers, too.
    """
    decimals = 1 - _exponent(error)
    if decimals > _MOST_DECIMALS:
        power = _exponent(max(abs(value), error))
        inner = quoted(value / 10.0**power, error / 10.0**power, sign)
        return f"({inner}) × 10^{power}"
    shown = max(decimals, 0)
    value, error = round(value, decimals) + 0.0, round(error, decimals)
    return f"{value:{sign}.{shown}f} ± {error:.{shown}f}"


def _exponent(number: float) -> int:
    """Power of ten of a positive number that is rounded to two digits."""
    return int(f"{number:.1e}".split("e")[1])


def _limits(low: float | None, high: float | None) -> str:
    if low is None:
        return f"< {_limit(high or 0.0, up=True)}"
    if high is None:
        return f"> {_limit(low, up=False)}"
    if low == -high:
        return f"within ± {_limit(high, up=True)}"
    return f"{_limit(low, up=False)} – {_limit(high, up=True)}"


def _limit(limit: float, up: bool) -> str:
    """A limit with two digits of its distance to 1 (or of itself), rounded to the safe side."""
    if not limit or not math.isfinite(limit):
        return _plain(limit)
    near_one = 0.5 < limit < 1
    decimals = 1 - _exponent(1 - limit if near_one else abs(limit))
    scale = 10.0**decimals
    # A rounding error of the product must not move a limit that has these digits already.
    product = round(limit * scale, 6)
    whole = math.ceil(product) if up else math.floor(product)
    shown = max(decimals, 0)
    return f"{whole / scale:.{shown}f}" if shown <= _MOST_DECIMALS else f"{whole / scale:.1e}"


def _plain(value: float) -> str:
    return f"{value:.4g}"
