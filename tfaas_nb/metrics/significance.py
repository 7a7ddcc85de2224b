"""Expected significance of a counting experiment, and the cut on the score that maximises it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.measured import Measured
from tfaas_nb.metrics.band import replicas
from tfaas_nb.metrics.limits import FEW_EVENTS
from tfaas_nb.metrics.roc import Roc
from tfaas_nb.metrics.scored import Array
from tfaas_nb.metrics.working_point import WorkingPoint
from tfaas_nb.options import is_number
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Figures of merit and how they are written.
KINDS = {"asimov": "Z_A", "s/sqrt(b)": "S/√B"}

#: Most thresholds of a scan.
_POINTS = 1000

#: Replicas of the events, by which it is seen how the best cut moves, and their seed.
_REPLICAS, _SEED = 200, 1


@checked_calls(DataError)
def s_over_sqrt_b(
    signal: npt.ArrayLike, background: npt.ArrayLike, systematics: float = 0.0
) -> Array:
    """S/√(B + σ²): the limit of `asimov` where S is small against B.

    Parameters and result are those of `asimov`.
    """
    s, b = _yields(signal, background, systematics)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = s / np.sqrt(b + (systematics * b) ** 2)
    return np.where(s > 0, z, 0.0)


@checked_calls(DataError)
def asimov(signal: npt.ArrayLike, background: npt.ArrayLike, systematics: float = 0.0) -> Array:
    """Median significance of a discovery, for known background or one with an uncertainty.

    The likelihood-ratio formula for the Asimov data set (G. Cowan, K. Cranmer, E. Gross,
    O. Vitells, EPJC 71 (2011) 1554, eq. 97), and its extension to a background that is known
    to σ (G. Cowan, "Discovery sensitivity for a counting experiment with background
    uncertainty", 2012).

    Parameters
    ----------
    signal, background : array
        Expected events that pass the cut, S and B.
    systematics : float
        Relative uncertainty of the background, σ/B.

    Returns
    -------
    numpy.ndarray
        Z in standard deviations; infinite where S > 0 and B = 0, zero where S = 0.

    Raises
    ------
    DataError
        If a number is negative or not finite.
    """
    s, b = _yields(signal, background, systematics)
    b_or_one = np.where(b > 0, b, 1.0)
    x = s / b_or_one
    # With r = σ²/B the formula is 2B [h(x) − (1 + r)/r · h(r x/(1 + r))], without cancellation.
    squared = _h(x)
    if systematics:
        r = systematics**2 * b_or_one
        squared = squared - (1 + r) / r * _h(x * r / (1 + r))
    z = np.sqrt(2 * b_or_one * np.maximum(squared, 0.0))
    return np.where(b > 0, z, np.where(s > 0, np.inf, 0.0))


def _h(x: Array) -> Array:
    """(1 + x) ln(1 + x) − x, as a series where the terms would cancel."""
    series = x**2 * (1 / 2 - x * (1 / 6 - x * (1 / 12 - x / 20)))
    return np.where(x < 1e-3, series, (1 + x) * np.log1p(x) - x)


def _check_expected(name: str, value: Any) -> None:
    """Refuse what is no number of events, nor their relative uncertainty."""
    if not (is_number(value) and value >= 0):
        raise DataError(
            f"expected events and their uncertainty must be finite and not negative, "
            f"not {name}={value!r}"
        )


def check_scan(
    kind: str,
    signal: float | None,
    background: float | None,
    systematics: float,
    min_background: float,
) -> None:
    """Refuse parameters of a scan; see `SignificanceScan.of`.

    Raises
    ------
    DataError
        If the kind is unknown, or a number is impossible.
    """
    if not isinstance(kind, str) or kind not in _FORMULAS:
        raise DataError(f"no significance {kind!r}; there are {sorted(_FORMULAS)}")
    for name, value in (("signal", signal), ("background", background)):
        _check_expected(name, 1.0 if value is None else value)
        if value == 0:
            raise DataError(f"{name}=0 expects no event of {name}: there is no cut to look for")
    _check_expected("systematics", systematics)
    _check_expected("min_background", min_background)


def _yields(
    signal: npt.ArrayLike, background: npt.ArrayLike, systematics: float
) -> tuple[Array, Array]:
    s, b = np.asarray(signal, dtype=np.float64), np.asarray(background, dtype=np.float64)
    numbers = (s, b, np.asarray(systematics))
    if not all(np.isfinite(n).all() and (n >= 0).all() for n in numbers):
        raise DataError("expected events and their uncertainty must be finite and not negative")
    return s, b


_FORMULAS = {"asimov": asimov, "s/sqrt(b)": s_over_sqrt_b}


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class SignificanceScan:
    """Expected significance over cuts on the score.

    The maximum is looked for only where enough background events remain: beyond, it is a
    fluctuation of the sample.

    Attributes
    ----------
    kind : str
        ``"asimov"`` or ``"s/sqrt(b)"``.
    signal, background : float
        Expected events before the cut.
    systematics : float
        Relative uncertainty of the background.
    min_background : float
        Effective background events of the sample that a cut must leave.
    thresholds, z, error : numpy.ndarray
        Cuts, rising; significance; its error from the finite sample. Shape (cuts,).
    allowed : numpy.ndarray
        Which cuts leave enough background events, shape (cuts,).
    best : WorkingPoint
        The cut with the largest significance among these.
    at_best, at_best_error : float
        Significance there, and its error from the finite sample.
    expected_of : str
        What the expected events are of, if they are not those of the evaluated sample or given.
    """

    kind: str
    signal: float
    background: float
    systematics: float
    min_background: float
    thresholds: Array = field(repr=False)
    z: Array = field(repr=False)
    error: Array = field(repr=False)
    allowed: npt.NDArray[np.bool_] = field(repr=False)
    best: WorkingPoint
    at_best: float
    at_best_error: float
    expected_of: str = ""

    @classmethod
    def of(
        cls,
        roc: Roc,
        kind: str = "asimov",
        signal: float | None = None,
        background: float | None = None,
        systematics: float = 0.0,
        min_background: float = FEW_EVENTS,
        expected_of: str = "",
    ) -> SignificanceScan:
        """Scan the cuts of a ROC curve.

        Parameters
        ----------
        roc : Roc
            Efficiencies of the cuts.
        kind : str
            ``"asimov"`` or ``"s/sqrt(b)"``.
        signal, background : float, optional
            Expected events before the cut, for the luminosity in question; by default the
            sums of the sample's weights.
        systematics : float
            Relative uncertainty of the background, for instance 0.1.
        min_background : float
            Background events of the sample, (Σw)²/Σw², that a cut must leave.
        expected_of : str
            What the expected events are of, in words: "of the whole sample, ...".

        Raises
        ------
        DataError
            If the kind is unknown, a number is impossible, or no cut leaves as many events.
        """
        check_scan(kind, signal, background, systematics, min_background)
        cuts = _thresholds(roc)
        passing_s, passing_b = roc.signal.above(cuts), roc.background.above(cuts)
        total_s = passing_s.total if signal is None else float(signal)
        total_b = passing_b.total if background is None else float(background)
        s, b = total_s * passing_s.efficiency, total_b * passing_b.efficiency
        z = _FORMULAS[kind](s, b, systematics)
        allowed = passing_b.effective >= max(min_background, 1)
        if not allowed.any():
            raise DataError(
                f"no cut leaves {min_background} background events: the sample is worth "
                f"{passing_b.effective.max():.0f}; take more events or a smaller min_background"
            )
        errors = (total_s * passing_s.likely_error, total_b * passing_b.likely_error)
        error = _propagated(_FORMULAS[kind], (s, b), errors, systematics)
        at = int(np.argmax(np.where(allowed, z, -1.0)))
        spread = _spread_of_best(
            roc, cuts[::-1], allowed[::-1],
            lambda s, b: _FORMULAS[kind](total_s * s, total_b * b, systematics),
        )  # fmt: skip
        return cls(
            kind=kind,
            signal=total_s,
            background=total_b,
            systematics=systematics,
            min_background=min_background,
            thresholds=cuts,
            z=z,
            error=error,
            allowed=allowed,
            best=_moving(roc, float(cuts[at]), spread),
            at_best=float(z[at]),
            at_best_error=float(error[at]),
            expected_of=expected_of,
        )

    @property
    def measured(self) -> Measured:
        """The largest significance with its error from the finite sample."""
        return Measured(self.at_best, self.at_best_error)

    @property
    def symbol(self) -> str:
        """Symbol of the significance: Z_A or S/√B."""
        return KINDS[self.kind]

    @property
    def is_at_limit(self) -> bool:
        """True if a tighter cut may be better, but leaves too few events to be looked at.

        So it is where the background events left are, within their Poisson error, the fewest
        that a cut must leave.
        """
        fewest = max(self.min_background, 1)
        left = self.best.background_effective or 0.0
        return not self.allowed[-1] and left <= fewest + math.sqrt(fewest)

    @property
    def limit(self) -> str:
        """Sentence on a best cut at the end of the cuts that are looked at; else empty."""
        if not self.is_at_limit:
            return ""
        return (
            "The best cut is among the tightest that leave the sample "
            f"{self.min_background:.0f} background events: a tighter one may be better, which "
            "takes more events to tell."
        )

    def table(self) -> Table:
        """The best cut, what passes it, and the significance with its error."""
        p = self.best
        of = f" ({self.expected_of})" if self.expected_of else ""
        rows = (
            ("expected before the cut", f"S = {self.signal:.5g}, B = {self.background:.5g}{of}"),
            ("background uncertainty", f"{self.systematics:.1%}"),
            ("best cut", f"score ≥ {p.threshold:.4f}"),
            ("ε_S", str(p.signal_efficiency)),
            ("ε_B", str(p.background_efficiency)),
            ("expected after it", f"S = {self.signal * p.eps_s:.5g}, B = {_number(self, p)}"),
            (f"largest {self.symbol}", str(self.measured)),
            ("background events of the sample left", f"{p.background_left}"),
        )
        return Table(("significance scan", ""), rows, f"{p.convention} {self.limit}".rstrip())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the scan; see `plots.significance`."""
        from tfaas_nb import plots

        return plots.significance(self, ax)

    def __repr__(self) -> str:
        limit = ", a tighter cut may be better" if self.is_at_limit else ""
        return (
            f"SignificanceScan({self.symbol} {self.measured.equation} at "
            f"score ≥ {self.best.threshold:.3f}, ε_S {self.best.signal_efficiency.equation}; "
            f"cut chosen on the same events{limit})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(self.plot), "Significance over the cut on the score")
        return self.table()._repr_html_() + picture


def _moving(roc: Roc, threshold: float, spread: tuple[float, float]) -> WorkingPoint:
    """The best cut with the errors that it has because these events chose it."""
    point = roc.at_threshold(threshold)
    eps_s_error, eps_b_error = spread
    return replace(
        point,
        chosen="significance",
        eps_s_error=eps_s_error,
        eps_b_error=eps_b_error,
        eps_s_moved=math.sqrt(max(eps_s_error**2 - (point.eps_s_error or 0.0) ** 2, 0.0)),
        eps_b_moved=math.sqrt(max(eps_b_error**2 - (point.eps_b_error or 0.0) ** 2, 0.0)),
    )


def _spread_of_best(
    roc: Roc,
    falling: Array,
    allowed: npt.NDArray[np.bool_],
    significance: Callable[[Array, Array], Array],
) -> tuple[float, float]:
    """Spread of ε_S and ε_B of the best cut over replicas of the events."""
    random = np.random.default_rng(_SEED)
    eps_s, eps_b = replicas(roc.events, falling, random, _REPLICAS)
    z = np.where(allowed, significance(eps_s, eps_b), -1.0)
    best = np.argmax(np.where(np.isfinite(z), z, -1.0), axis=1)
    rows = np.arange(_REPLICAS)
    return float(eps_s[rows, best].std(ddof=1)), float(eps_b[rows, best].std(ddof=1))


def _number(scan: SignificanceScan, point: WorkingPoint) -> str:
    return f"{scan.background * point.eps_b:.5g}"


def _thresholds(roc: Roc) -> Array:
    """Cuts at scores of the sample, rising: those that take steps in signal or background."""
    cuts = roc.thresholds[np.isfinite(roc.thresholds)][::-1]
    if len(cuts) <= _POINTS:
        return cuts
    eps_s, eps_b = roc.eps_s[::-1], roc.eps_b[::-1]
    # Steps of signal and of the logarithm of background, as both may be what counts.
    wanted = np.linspace(1, 0, _POINTS // 2)
    by_signal = np.searchsorted(-eps_s, -wanted)
    smallest = eps_b[eps_b > 0][-1]
    by_background = np.searchsorted(-eps_b, -np.geomspace(1, smallest, _POINTS // 2))
    at = np.unique(np.concatenate([by_signal, by_background]))
    some: Array = cuts[at[at < len(cuts)]]
    return some


def _propagated(
    formula: Callable[..., Array],
    yields: tuple[Array, Array],
    errors: tuple[Array, Array],
    systematics: float,
) -> Array:
    """Error of the significance from those of S and B, by differences of one error each."""
    (s, b), (ds, db) = yields, errors
    up, down = formula(s + ds, b, systematics), formula(np.maximum(s - ds, 0), b, systematics)
    # Upwards only: one error less background may be none at all.
    more = formula(s, b + db, systematics)
    with np.errstate(invalid="ignore"):
        error = np.hypot((up - down) / 2, more - formula(s, b, systematics))
    return np.where(np.isfinite(error), error, np.inf)
