"""Evaluation of a classifier on events that it was not trained on."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import durable, nearest, options
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.overlap import Overlap
from tfaas_nb.data.part import Part
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import sections
from tfaas_nb.evaluation.arguments import check_judged, check_pair, check_report
from tfaas_nb.evaluation.expectation import Expectation
from tfaas_nb.evaluation.report import Report, leak_warning, sample_of
from tfaas_nb.evaluation.retraining import events_in_memory, refits
from tfaas_nb.evaluation.trained import Labelled, Trained
from tfaas_nb.features.columns import check_aligned
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import (
    CONVENTION,
    EFFICIENCIES,
    FEW_EVENTS,
    Band,
    Calibration,
    Comparison,
    Importance,
    LearningCurve,
    Overtraining,
    Roc,
    SignificanceScan,
    WorkingPoint,
    mixture_in_words,
)
from tfaas_nb.metrics.correlation import Groups
from tfaas_nb.metrics.significance import check_scan
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Parameters of a scan of the significance, as a working point takes them.
_SCAN = ("signal", "background", "systematics", "min_background")


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """Scores of events with their ROC curve, and all that can be said of them.

    Attributes
    ----------
    scores : numpy.ndarray
        Score of each event, float32 of shape (events,).
    y, weight : numpy.ndarray
        Their classes and weights, shape (events,).
    roc : Roc
        Curve, AUC ± σ, accuracy and working points.
    data : Dataset or None
        The events; None for those of a stream, of which none are kept.
    trained : Trained or None
        The classifier that gave the scores, as it was then.
    overlap : Overlap or None
        Which of the events were in the training; None where that is not known.
    part : Part or None
        Which part of a whole sample the events are, if they came of a split.
    negative : str
        What was done with events of negative weight, in words; empty if there were none.
    signed : tuple of two floats or None
        Sums of the weights of background and signal with their signs, if some were negative.
    scaled : tuple of two bool
        Of background and of signal, whether weights are scaled to a cross-section.
    """

    scores: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    roc: Roc
    data: Dataset | None = field(default=None)
    trained: Trained | None = field(default=None)
    overlap: Overlap | None = field(default=None)
    part: Part | None = field(default=None)
    negative: str = field(default="")
    signed: tuple[float, float] | None = field(default=None)
    scaled: tuple[bool, bool] = field(default=(False, False))

    @classmethod
    def of(
        cls,
        data: Labelled,
        scores: npt.ArrayLike,
        trained: Trained | None = None,
        overlap: Overlap | None = None,
    ) -> Evaluation:
        """Judge scores of a dataset's events, which are in the same order.

        Parameters
        ----------
        data : Dataset
            The events; whatever has `y` and `weight` will do, without what features tell.
        scores : array of shape (events,)
            Larger means more signal-like; from wherever.
        trained : Trained, optional
            The classifier that gave them.
        overlap : Overlap, optional
            Which of the events it was trained on.

        Raises
        ------
        DataError
            If there is not one finite score per event, a class is missing, or the indexes of two
            pandas Series differ.
        """
        check_judged(data, scores, trained, overlap)
        check_aligned({"y": data.y, "scores": scores, "weight": data.weight}, DataError)
        values = np.asarray(scores, dtype=np.float32)
        roc = Roc.of(data.y, values, data.weight)
        events = data if isinstance(data, Dataset) else None
        part, scaled = getattr(data, "part", None), tuple(getattr(data, "scaled", (False, False)))
        y, weight = np.asarray(data.y), np.asarray(data.weight)
        return cls(values, y, weight, roc, events, trained, overlap, part, scaled=scaled)

    def with_signs(self, before: Labelled, told: str) -> Evaluation:
        """Add the treatment of negative weights, and expect events by the sums of signed weights.

        Parameters
        ----------
        before : Dataset
            The events with the weights that they had.
        told : str
            What was done with negative ones.
        """
        background, signal = (
            float(before.weight[before.y == kind].sum(dtype=np.float64)) for kind in (0, 1)
        )
        return replace(self, negative=told, signed=(background, signal))

    @property
    def auc(self) -> float:
        """Area under the ROC curve."""
        return self.roc.auc

    @property
    def auc_error(self) -> float:
        """Its standard error."""
        return self.roc.auc_error

    @property
    def accuracy(self) -> float:
        """Fraction of events on their side of a score of 0.5, in the mixture trained for.

        That is equal parts of both classes for a classifier that was trained with
        ``balance=True``, and else the mixture of the events.
        """
        return self.measured_accuracy.value

    @property
    def measured_accuracy(self) -> Measured:
        """`accuracy` with its binomial error."""
        return self.roc.accuracy_with(self._signal_share)

    @property
    def mixture(self) -> str:
        """Mixture of signal and background that accuracy and calibration are of, in words."""
        return mixture_in_words(self._signal_share)

    @property
    def _signal_share(self) -> float | None:
        return None if self.trained is None else self.trained.signal_share

    @property
    def sample(self) -> str:
        """Numbers of events of each class and their files, for a caption."""
        return sample_of(self.y, self.data)

    def rejections(self) -> Table:
        """Background rejection at the usual signal efficiencies, with its statistical error."""
        points = [self.roc.working_point(efficiency) for efficiency in EFFICIENCIES]
        rows = tuple(
            (
                p.eps_s,
                str(p.background_efficiency),
                p.threshold,
                p.background_rejection.text,
                p.background_left,
                f"fewer than {FEW_EVENTS} events: do not rank by it" if p.is_uncertain else "",
            )
            for p in points
        )
        columns = ("ε_S", "ε_B", "threshold", "1/ε_B", "background left", "")
        return Table(columns, rows, CONVENTION)

    def working_point(
        self,
        eps_s: float | None = None,
        *,
        eps_b: float | None = None,
        significance: str | None = None,
        **scan: Any,
    ) -> WorkingPoint:
        """The cut with a given signal or background efficiency, or the most significant one.

        Parameters
        ----------
        eps_s : float, optional
            Take the tightest cut that keeps at least this fraction of the signal.
        eps_b : float, optional
            Take the loosest cut that keeps at most this fraction of the background.
        significance : str, optional
            Take the cut with the largest ``"asimov"`` or ``"s/sqrt(b)"``.
        **scan
            Parameters of `significance`, for instance ``systematics=0.1``.

        Raises
        ------
        DataError
            If not just one of the three is given, or it is impossible.
        """
        if significance is None:
            if scan:
                raise DataError(f"{', '.join(scan)} belongs to a working point by significance")
            return self.roc.working_point(eps_s, eps_b=eps_b)
        if eps_s is not None or eps_b is not None:
            raise DataError("give one of eps_s, eps_b and significance")
        if wrong := nearest.unknown_keys(scan, _SCAN):
            raise DataError(f"a scan of the significance has parameters: {wrong}")
        return self.significance(significance, **scan).best

    def working_points(self) -> tuple[dict[str, Any], ...]:
        """Cuts at signal efficiencies of 10 % to 90 %, as plain values for ``params.json``.

        With counts, errors or limits, and the text of each number; see `WorkingPoint.to_dict`.
        """
        points = (self.roc.working_point(percent / 100) for percent in range(10, 100, 10))
        return tuple(point.to_dict() for point in points)

    def band(self, level: float = 0.683, replicas: int = 400, seed: int = 1) -> Band:
        """The band in which the ROC curve lies, from resampled events; see `metrics.Band`."""
        return Band.of(self.roc.events, level, replicas, seed)

    def significance(
        self,
        kind: str = "asimov",
        signal: float | None = None,
        background: float | None = None,
        systematics: float = 0.0,
        min_background: float = FEW_EVENTS,
    ) -> SignificanceScan:
        """Expected significance over the cut; see `metrics.SignificanceScan.of`.

        Parameters
        ----------
        kind : str
            ``"asimov"`` or ``"s/sqrt(b)"``.
        signal, background : float, optional
            Expected events before the cut; by default those of `expected`.
        systematics : float
            Relative uncertainty of the background.
        min_background : float
            Background events of the sample that a cut must leave.

        Raises
        ------
        DataError
            If the kind is unknown, a number is impossible, no cut leaves as many events, or it
            is not known how many are expected.
        """
        check_scan(kind, signal, background, systematics, min_background)
        given = background, signal
        missing = [i for i, events in enumerate(given) if events is None]
        self._expectation.check(missing)
        return self._expectation.scan(self.roc, kind, given, systematics, min_background)

    @property
    def expected(self) -> tuple[float, float] | None:
        """Events of background and of signal expected before a cut; None if it is not known.

        They are the sums of weights that are scaled to a cross-section and a luminosity, of the
        whole sample if the events are a part that was split off.
        """
        return self._expectation.both

    @cached_property
    def _expectation(self) -> Expectation:
        return Expectation.of(self.roc, self.part, self.signed, self.scaled)

    def calibration(self, bins: int = 10) -> Calibration:
        """Compare scores with the fraction of signal; see `metrics.Calibration.of`.

        It is judged in the mixture that the classifier was trained for: equal parts of both
        classes with ``balance=True``, and else that of the events.
        """
        return Calibration.of(self.y, self.scores, self.weight, bins, self._signal_share)

    def overtraining(self) -> Overtraining:
        """Scores of the training events against these.

        Raises
        ------
        DataError
            If it is not known what gave the scores.
        """
        return self._overtraining

    @cached_property
    def _overtraining(self) -> Overtraining:
        trained = self._judged("scores of the training events")
        return Overtraining.of(Roc.of(*trained.training_scores()), self.roc)

    def importance(
        self,
        by: str = "feature",
        repeats: int = 5,
        seed: int = 1,
        progress: bool = True,
        *,
        groups: Groups = "correlated",
        refit: bool = False,
        seeds: int = 1,
        should_stop: Callable[[], bool] | None = None,
    ) -> Importance:
        """Loss of AUC when correlated features are shuffled together among the events.

        It tells by how much this classifier relies on a group.  How much worse one would be that
        was trained without the group is what ``refit=True`` measures; that is less wherever other
        features tell the same.

        Parameters
        ----------
        by : str
            ``"feature"``: groups of features. ``"variable"``: groups of variables, each with the
            columns of all jets.
        repeats : int
            Shuffles of each.
        seed : int
            The same seed gives the same shuffles.
        progress : bool
            Show progress bars.
        groups : str, mapping, sequence or None
            ``"correlated"``: those whose rank correlations are 0.5 or more in the mean, see
            `tfaas_nb.metrics.correlation`. ``"single"`` or None: each feature or variable alone,
            which overstates what correlated ones are worth.  Or groups to choose, ``{name:
            names}`` or ``[names, names]``, of features or variables; others are left alone.
        refit : bool
            Also train without each group, and compare on the same events (DeLong's paired
            difference).
        seeds : int
            Trainings without each group, with as many seeds one after another.  From 2 on the
            randomness of the trainings is in the errors.
        should_stop : callable, optional
            Asked often; True ends it, as a `KeyboardInterrupt` does.  When all was shuffled, that
            and the refits that were done before are kept.

        Raises
        ------
        DataError
            If it is not known what gave the scores, `by`, `groups` or a number is impossible, the
            training events to refit on were a stream's, or it was interrupted before all was
            shuffled.
        """
        trained = self._judged("scores of shuffled events")
        return Importance.of(
            *(trained.predict, self._events(), by, repeats, seed, progress),
            groups=groups,
            refit=refits(trained, refit, seeds, should_stop),
            should_stop=should_stop,
        )

    def learning_curve(
        self,
        fractions: Sequence[float] = (0.1, 0.2, 0.5, 1.0),
        seed: int = 1,
        progress: bool = True,
    ) -> LearningCurve:
        """AUC on these events after training on fractions of the training events.

        Parameters
        ----------
        fractions : sequence of float
            Parts of the training events, in (0, 1]; each is a training of its own.
        seed : int
            Decides which events are in the smaller parts.
        progress : bool
            Show a progress bar.

        Raises
        ------
        DataError
            If it is not known what gave the scores, the training events were read in parts, or
            a fraction is impossible.
        """
        trained = self._judged("trainings on fewer events")
        return LearningCurve.of(
            lambda data: trained.retrained(data).predict,
            events_in_memory(trained, "a learning curve"),
            self._events(),
            fractions,
            seed,
            progress,
        )

    def compare(
        self, other: Evaluation, names: tuple[str, str] = ("first", "second")
    ) -> Comparison:
        """The difference to another classifier's AUC, paired event by event.

        Parameters
        ----------
        other : Evaluation
            Of the same events in the same order.
        names : tuple of str
            What to call this and the other classifier.

        Raises
        ------
        DataError
            If the events differ.
        """
        options.check_kind("other", other, Evaluation, "an Evaluation of these events", DataError)
        check_pair(names)
        same = np.array_equal(self.y, other.y) and np.array_equal(self.weight, other.weight)
        if same and self.data is not None and other.data is not None:
            mine, theirs = self.data, other.data
            if mine.features.names == theirs.features.names:
                same = np.array_equal(mine.X, theirs.X)
        if not same:
            raise DataError(
                "the two evaluations are of different events: a paired comparison needs the scores "
                "of both classifiers for the same events in the same order"
            )
        return Comparison.of_curves((self.roc, other.roc), names)

    def report(
        self,
        path: str | os.PathLike[str] = "report.html",
        title: str = "Evaluation of a classifier",
        features: Sequence[str] | None = None,
        data: Dataset | None = None,
        significance: SignificanceScan | None = None,
        learning_curve: LearningCurve | None = None,
        seed: int = 1,
        progress: bool = True,
        importance: bool = True,
    ) -> Path:
        """Write all of this, with every plot and table, into one HTML file.

        The same evaluation gives the same file but for its date. An experiment's label is on the
        plots only within ``plots.label(...)``.

        Parameters
        ----------
        path : path
            The file, ``report.html`` here by default; one that exists is replaced at once.
        title : str
            Its heading.
        features : sequence of str, optional
            Features whose distributions to draw: by default the most important dozen.
        data : Dataset, optional
            Events to draw them of: by default those evaluated.
        significance : SignificanceScan, optional
            For instance ``evaluation.significance(signal=200, background=2e4)``; by default with
            those that it takes by default, if enough background events remain.
        learning_curve : LearningCurve, optional
            Shown if given; it takes several trainings.
        seed : int
            Of the band and of the shuffles.
        progress : bool
            Show progress bars.
        importance : bool
            Shuffle features, too, which takes longest.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        DataError
            If the folder does not exist, or there is no such feature.
        ImportanceInterrupted
            If it was interrupted while features were shuffled; nothing is written then.
        """
        flags = {"progress": progress, "importance": importance}
        target = check_report(path, title, features, data, significance, learning_curve, flags)
        events = self.data if data is None else data
        for name in features or ():
            if events is not None:
                events.features.column(name)  # before anything is drawn
        made = datetime.now(timezone.utc).isoformat(timespec="seconds")
        content = Report.of(
            self,
            drawn=data,
            features=features,
            significance=significance or self._significance_of_sample(),
            counted=significance is None and self.expected is None,
            learning_curve=learning_curve,
            seed=seed,
            progress=progress,
            importance=importance,
        )
        durable.replace(target, content.html(title, made).encode(), target.parent)
        return target

    def _significance_of_sample(self) -> SignificanceScan | None:
        """Scan the significance for the sums of weights; None if too little background is left."""
        try:
            return self._expectation.scan(self.roc)
        except DataError:
            return None

    def _judged(self, wanted: str) -> Trained:
        if self.trained is None:
            raise DataError(
                f"{wanted} need the classifier, and this evaluation has scores alone: "
                "make it by classifier.evaluate(data)"
            )
        return self.trained

    def _events(self) -> Dataset:
        if self.data is None:
            raise DataError(
                "this evaluation did not keep the events: make it by classifier.evaluate(data), "
                "with events in memory as a Dataset"
            )
        return self.data

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a model card; None for an infinite rejection, which JSON lacks."""
        points = {e: self.roc.working_point(e) for e in EFFICIENCIES}
        found = {
            "events": len(self.y),
            "auc": self.auc,
            "auc_error": self.auc_error if self.roc.area.has_error else None,
            "accuracy": self.accuracy,
            "rejection": {
                str(e): p.rejection if math.isfinite(p.rejection) else None
                for e, p in points.items()
            },
            "text": {
                "auc": str(self.roc.area),
                "accuracy": f"{self.measured_accuracy} in {self.mixture}",
                "rejection": {str(e): p.told() for e, p in points.items()},
            },
        }
        return found | ({"seen_in_training": len(self.overlap)} if self.overlap else {})

    def plot(self, ax: Axes | None = None, band: Band | None = None, linear: bool = False) -> Axes:
        """Draw the ROC curve; see `plots.roc`, or `plots.efficiencies` if `linear`."""
        from tfaas_nb import plots

        return (plots.efficiencies if linear else plots.roc)(self.roc, ax, band=band)

    def plot_scores(self, ax: Axes | None = None, threshold: float | None = None) -> Axes:
        """Draw the score distributions; see `plots.scores`."""
        from tfaas_nb import plots

        return plots.scores(self.y, self.scores, self.weight, ax, threshold)

    def plot_history(self, ax: Axes | None = None) -> Axes:
        """Draw the losses of the training; see `plots.history`."""
        from tfaas_nb import plots

        history = self._judged("losses of the training").history
        return plots.history(sections.losses(history), ax, best=history.best)

    def __repr__(self) -> str:
        rejections = ", ".join(
            f"1/ε_B {p.background_rejection.equation} at ε_S {p.eps_s:.1f}"
            for p in map(self.roc.working_point, EFFICIENCIES)
        )
        leak = f", {len(self.overlap)} EVENTS WERE IN THE TRAINING" if self.overlap else ""
        negative = f", {self.negative}" if self.negative else ""
        return (
            f"Evaluation({len(self.y)} events: AUC {self.roc.area.equation}, "
            f"accuracy {self.measured_accuracy.equation}, {rejections}{leak}{negative})"
        )

    def _repr_html_(self) -> str:
        from tfaas_nb import plots

        picture = plots.html_image(plots.png(lambda ax: plots.roc(self.roc, ax)), "ROC curve")
        head = f"AUC {self.roc.area.equation}, accuracy {self.measured_accuracy.equation} "
        head += f"(at a score of 0.5, in {self.mixture})"
        head += f"; {self.negative}" if self.negative else ""
        leak = f"<p><b>{leak_warning(self.overlap)}</b></p>" if self.overlap else ""
        return f"{leak}<p>{head}</p>{self.rejections()._repr_html_()}{picture}"
