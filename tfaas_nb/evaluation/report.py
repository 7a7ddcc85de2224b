"""The report of an evaluation: what is in it, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.dataset import Dataset, Source
from tfaas_nb.data.overlap import Overlap
from tfaas_nb.evaluation import document, sections
from tfaas_nb.evaluation.document import Section
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import (
    Band,
    Calibration,
    Importance,
    LearningCurve,
    Overtraining,
    Roc,
    SignificanceScan,
)
from tfaas_nb.table import Table

_MOST_FEATURES = 12
_MOST_FILES = 4

#: Shuffles of each group in a report; their spread is much below the error of the sample.
_REPEATS = 3


@dataclass(frozen=True, eq=False)
class Report:
    """Contents of a report; what is not known is left out.

    Attributes
    ----------
    sample : str
        Which events were evaluated, in the words of a caption.
    roc, band : Roc, Band
        The curve and where it lies.
    accuracy : Measured
        Fraction of events on their side of a score of 0.5.
    mixture : str
        Mixture of signal and background that it is of, in words.
    overlap : Overlap or None
        Which events were in the training.
    negative : str
        What was done with events of negative weight, in words.
    overtraining, significance, calibration, importance, learning_curve
        Results of `metrics`.
    drawn : Dataset or None
        Events whose features are drawn.
    features : sequence of str, optional
        Which of them; the most important dozen by default.
    history : training.History or None
        What happened in the training.
    card : mapping
        The model card.
    sources : mapping of str to sequence of Source
        Files that events came from, by what they were for.
    """

    sample: str
    roc: Roc
    band: Band
    accuracy: Measured
    mixture: str
    overlap: Overlap | None = None
    negative: str = ""
    overtraining: Overtraining | None = None
    significance: SignificanceScan | None = None
    counted: bool = False
    calibration: Calibration | None = None
    importance: Sequence[Importance] = ()
    drawn: Dataset | None = None
    drawn_sample: str = ""
    features: Sequence[str] | None = None
    history: Any = None
    learning_curve: LearningCurve | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Source]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        judged: Any,
        drawn: Dataset | None,
        seed: int,
        progress: bool,
        importance: bool,
        **chosen: Any,
    ) -> Report:
        """Contents for an evaluation: what it gives of itself, and what a user chose.

        Parameters
        ----------
        judged : Evaluation
            The evaluation, whose module imports this one.
        drawn : Dataset, optional
            Events whose features to draw; by default those evaluated.
        seed : int
            Of the band and of the shuffles.
        progress : bool
            Show progress bars.
        importance : bool
            Shuffle features, which takes longest.
        **chosen
            Further attributes.
        """
        trained, data = judged.trained, judged.data
        no_probabilities = judged.scores.min() < 0 or judged.scores.max() > 1
        has_importance = importance and not (trained is None or data is None)
        shuffled = ("variable", "feature") if has_importance else ()
        return cls(
            sample=judged.sample,
            roc=judged.roc,
            band=judged.band(seed=seed),
            accuracy=judged.measured_accuracy,
            mixture=judged.mixture,
            overlap=judged.overlap,
            negative=judged.negative,
            overtraining=None if trained is None else judged.overtraining(),
            calibration=None if no_probabilities else judged.calibration(),
            importance=[judged.importance(by, _REPEATS, seed, progress) for by in shuffled],
            drawn=data if drawn is None else drawn,
            drawn_sample="" if drawn is None else sample_of(drawn.y, drawn),
            history=None if trained is None else trained.history,
            card={} if trained is None else trained.card(),
            sources=_sources(judged),
            **chosen,
        )

    def html(self, title: str, made: str) -> str:
        """The report as one file; see `document.page`."""
        return document.page(title, made, self._summary(), self._sections())

    def _summary(self) -> list[str]:
        seen = "not known" if self.overlap is None else str(self.overlap)
        rows: tuple[tuple[str, str], ...] = (
            ("events", self.sample),
            ("AUC", f"{self.roc.area} (DeLong)"),
            (f"accuracy at a score of 0.5, in {self.mixture}", str(self.accuracy)),
            ("events that were in the training", seen),
        )
        rows += (("negative weights", self.negative),) if self.negative else ()
        shown = [document.table(Table(("", ""), rows))]
        if self.overlap:
            return [document.warning(leak_warning(self.overlap)), *shown]
        return shown

    def _sections(self) -> list[Section]:
        sample = self.sample
        found = [sections.curve(self.roc, self.band, sample)]
        if self.overtraining is None:
            found.append(sections.scores(*_together(self.roc), sample))
        else:
            found.append(sections.training_and_test(self.overtraining, sample))
        if self.significance is not None:
            found.append(sections.significance(self.significance, sample, self.counted))
        if self.calibration is not None:
            found.append(sections.calibration(self.calibration, sample))
        if self.importance:
            found.append(sections.importance(self.importance, sample))
        if self.drawn is not None:
            names = self._named(self.drawn) if self.features is None else self.features
            found.append(sections.features(self.drawn, names, self.drawn_sample or sample))
        if self.history is not None:
            found.append(sections.training(self.history, self.learning_curve, sample))
        found.append(sections.model(self.card, self.sources))
        return found

    def _named(self, data: Dataset) -> list[str]:
        """The features to draw: by importance, if it is known."""
        known = [one.ranked for one in self.importance if one.by == "feature"]
        names = known[0] if known else data.features.names
        return [name for name in names if data.present(name).any()][:_MOST_FEATURES]


def leak_warning(overlap: Overlap) -> str:
    """Return the warning for numbers that include events of the training."""
    return f"Not an honest test: {overlap} were in the training."


def _together(roc: Roc) -> tuple[Any, Any, Any]:
    """Classes, scores and weights of a curve's events."""
    e = roc.events
    return (
        np.repeat([1, 0], [len(e.signal), len(e.background)]),
        np.concatenate([e.signal, e.background]),
        np.concatenate([e.signal_weight, e.background_weight]),
    )


def _sources(judged: Any) -> dict[str, Sequence[Source]]:
    """Files of the training and of the evaluated events, by captions of their tables."""
    evaluated = () if judged.data is None else judged.data.sources
    found = {f"evaluated events ({len(judged.scores)} of the events kept)": evaluated}
    if judged.trained is not None:
        training = judged.trained.training
        learned = f"training events ({len(training.y)} of the events kept)"
        if training.sources == evaluated:
            found = {f"{learned} and of the {next(iter(found))}": evaluated}
        else:
            found = {learned: training.sources} | found
    return {f"Files of the {name}": sources for name, sources in found.items()}


def sample_of(y: npt.NDArray[np.int8], data: Dataset | None) -> str:
    """Return the numbers of events of each class and their files, for a caption."""
    signal = int(np.count_nonzero(y == 1))
    files = list(dict.fromkeys(source.file for source in data.sources)) if data else []
    where = f" ({', '.join(files)})" if files else ""
    if len(files) > _MOST_FILES:
        where = f" ({len(files)} files)"
    return f"{signal} signal and {len(y) - signal} background events{where}"
