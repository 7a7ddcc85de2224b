"""The classifier a physicist holds: fit, predict, evaluate, freeze, bundle."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import network, training
from tfaas_nb.bundle import Bundle, name_from
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.finite import check_events
from tfaas_nb.data.matching import dataset_of, matched
from tfaas_nb.data.negative import Treated, treated
from tfaas_nb.data.overlap import Fingerprints
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import BundleError, DataError, TfaasError, TrainingError, TrainingInterrupted
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import FeatureSet
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.metrics import Roc
from tfaas_nb.nearest import did_you_mean
from tfaas_nb.network import Architecture
from tfaas_nb.options import check_flag, check_function, check_option, check_text, is_whole
from tfaas_nb.table import Table
from tfaas_nb.training import Epoch, Events, History, Settings

_FEWEST_EVENTS = 20
#: Of each class, kept with a bundle as reference events.
_REFERENCE_EVENTS = 4


@checked_calls(TrainingError)
class Classifier:
    """Signal against background, on the features of a `Dataset`.

    Parameters
    ----------
    settings : Settings, optional
        How to fit.
    architecture : Architecture, optional
        Sizes of the network.
    label : str
        Name of the output: the class whose probability the score is.
    **options
        Attributes of `Settings` or `Architecture` to change, for instance ``epochs=10``.

    Raises
    ------
    TrainingError
        If an option does not exist or has an impossible value.

    Examples
    --------
    >>> classifier = Classifier(epochs=10, seed=3).fit(train)  # doctest: +SKIP
    >>> classifier.evaluate(test)  # doctest: +SKIP
    """

    def __init__(
        self,
        settings: Settings | None = None,
        architecture: Architecture | None = None,
        label: str = "signal",
        **options: Any,
    ) -> None:
        self.settings = Settings() if settings is None else settings
        self.architecture = Architecture() if architecture is None else architecture
        self.label = label
        for name, kind in (("settings", Settings), ("architecture", Architecture)):
            value = getattr(self, name)
            wanted = f"{kind.__name__}(...); options go by name, as in Classifier(epochs=10)"
            check_option(name, value, isinstance(value, kind), wanted)
        check_option("label", label, isinstance(label, str), "text")
        self._set(options)

    def _set(self, options: dict[str, Any]) -> None:
        """Begin anew, with options changed."""
        self.settings = _changed(self.settings, options)
        self.architecture = _changed(self.architecture, options)
        if options:
            known = sorted(f.name for c in (Settings, Architecture) for f in fields(c))
            meant = did_you_mean(min(options), known)
            raise TrainingError(f"unknown options {sorted(options)}; there are {known}{meant}")
        self._fitted: _Fitted | None = None
        self._evaluation: Evaluation | None = None

    def changed(self, **options: Any) -> Classifier:
        """A classifier of the same settings but for those given, which is not trained.

        Raises
        ------
        TrainingError
            If an option does not exist or has an impossible value.
        """
        made = copy.copy(self)
        made._set(options)
        return made

    def fit(
        self,
        data: Any,
        y: Any = None,
        weight: Any = None,
        *,
        progress: bool = True,
        on_epoch: Callable[[Epoch], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Classifier:
        """Train on a dataset; a second call starts anew.

        Parameters
        ----------
        data : Dataset, Stream, table or array
            Training events of both classes; a part is held out for the validation loss.  Their
            weights count, see `Settings` on balance and on negative ones.  Of a stream, the
            part held out and the events to learn the normalisation from are as many as fit
            into its memory.  A table is read as `Dataset.from_columns` does; the columns of an
            array of shape (events, features) are those of `TTBAR_ALL_HADRONIC` if they are as
            many, else called x0, x1 and so on.
        y, weight : str or array of shape (events,), optional
            Of a table or an array: classes, 1 signal and 0 background, and weights.
        progress : bool
            Show a progress bar (in a notebook, a widget).
        on_epoch : callable, optional
            Called after each epoch.
        should_stop : callable, optional
            Asked often; when it answers True, training ends with the best weights so far,
            as it does on `KeyboardInterrupt`.

        Raises
        ------
        TrainingError
            If there are too few events of a class or their weights are unusable, or training
            was interrupted before the first epoch ended.
        DataError
            If a table comes without classes, or what comes is none.
        FeatureError
            If a value of an event is not finite; it names feature and event.
        """
        if options:
            name, value = next(iter(options.items()))
            raise TrainingError(
                f"fit has no option {name!r}: options of the training go to the classifier, "
                f"tn.Classifier({name}={value!r:.50}).fit(...), or classifier.changed(...)"
            )
        check_flag("progress", progress)
        check_function("on_epoch", on_epoch)
        check_function("should_stop", should_stop)
        try:
            return self._fit(dataset_of(data, y, weight), progress, on_epoch, should_stop)
        except KeyboardInterrupt:
            raise TrainingInterrupted(
                "the training was interrupted before its first epoch ended: there is nothing to "
                "keep, and the classifier is what it was"
            ) from None

    def _fit(
        self,
        data: Dataset | Stream,
        progress: bool,
        on_epoch: Callable[[Epoch], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> Classifier:
        settings = self.settings
        if isinstance(data, Dataset):
            data.check_finite()
            _check_finite_weights(data, TrainingError)
        data = _usable(data, settings.negative_weights)
        ready = _ready(data, settings, progress)
        model = network.build(data.features, ready.known.X, self.architecture, settings.seed)
        with _ProgressBar(settings.epochs, enabled=progress) as show:
            history = training.fit(
                model,
                ready.training,
                ready.validation,
                settings,
                _both(show, on_epoch),
                should_stop,
            )
        self._fitted = _Fitted(model, data, history)
        self._evaluation = None
        return self

    @property
    def model(self) -> Any:
        """The fitted `keras.Model`: float32 (events, features) → float32 (events, 1)."""
        return self._fit_result().model

    @property
    def history(self) -> History:
        """History of the training: losses per epoch."""
        return self._fit_result().history

    @property
    def features(self) -> FeatureSet:
        """The features it was trained on."""
        return self._fit_result().data.features

    def predict(self, events: Any) -> Any:
        """Scores: the probability of signal.

        Columns with names are put into the order of the training's by their names.

        Parameters
        ----------
        events : Dataset, Stream, table, mapping, or array
            Raw physics values.  By name, in whatever order: a `Dataset`, a DataFrame of pandas
            or polars, an Arrow table, a structured array, an awkward array of records,
            ``{feature: array}``, a list of ``{feature: value}``; one event as ``{feature:
            value}``, a pandas Series or a record.  An array of shape (events, features) or
            (features,) has the features in the order of the training.  A stream is read in the
            order of its files and entries.

        Returns
        -------
        numpy.ndarray or float
            float32 of shape (events,); a float for one event.

        Raises
        ------
        TrainingError
            If it was not fitted.
        FeatureError
            If names or number of features differ from the training's, a dataset's jets are
            ordered or padded in another way, or a value is not finite.
        """
        if isinstance(events, Stream):
            return self._scored(events).scores
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
            if isinstance(events, Dataset):
                events = matched(events, self.features).X
            X, single = self.features.matrix(events)
        check_events(X, self.features.names, single)
        scores = network.predict(self.model, X)[:, 0]
        return float(scores[0]) if single else scores

    def evaluate(
        self, data: Any, y: Any = None, weight: Any = None, *, allow_overlap: bool = False
    ) -> Evaluation:
        """Judge it on events it has not seen.

        Negative weights are treated as in the training, see `Settings`; the evaluation says so.

        Parameters
        ----------
        data : Dataset, Stream, table or array
            Events of both classes.  The columns of a table are matched by name, those of an
            array are in the order of the training's.
        y, weight : str or array of shape (events,), optional
            Of a table or an array: classes, 1 signal and 0 background, and weights.
        allow_overlap : bool
            Go on although events were in the training; the evaluation, its report and the
            model's card say so.

        Raises
        ------
        TrainingError
            If it was not fitted.
        DataError
            If events were in the training (`data.overlap` tells how that is known), a class
            is missing, or weights are negative and the settings refuse that.
        FeatureError
            If a value of an event is not finite; it names feature and event.
        """
        fitted = self._fit_result()
        check_flag("allow_overlap", allow_overlap, DataError)
        data = dataset_of(data, y, weight, self.features, "evaluate")
        if isinstance(data, Dataset):
            data.check_finite()
            _check_finite_weights(data, DataError)
        judged = copy.copy(self)  # which stays what it is when this one is fitted anew
        judged._evaluation = None
        how = self.settings.negative_weights
        if isinstance(data, Stream):
            scored = self._scored(data)
            found = treated(scored.weight, how)
            used = scored.some(found)
            overlap = fitted.fingerprints.found_in(used.fingerprints)
            roc = Roc.of(used.y, used.scores, used.weight)
            evaluation = Evaluation(
                used.scores, used.y, used.weight, roc, None, judged, overlap, data.part,
                scaled=data.scaled,
            )  # fmt: skip
            before: Dataset | _Scored = scored
        else:
            found = treated(data.weight, how)
            usable = data
            if found.told:  # events are expected by the weights with their signs, see with_signs
                scaled = (*data.scaled,)
                usable = replace(data[found.kept], weight=found.weight, scaled=scaled)
            scores = self.predict(usable)
            overlap = fitted.fingerprints.found_in(Fingerprints.of(usable, self.features))
            evaluation = Evaluation.of(usable, scores, judged, overlap)
            before = data
        if found.told:
            evaluation = evaluation.with_signs(before, found.told)
        if not allow_overlap:
            overlap.refuse()
        self._evaluation = evaluation
        return evaluation

    @property
    def training(self) -> Dataset:
        """The events it was trained on, those held out for the validation loss among them.

        Of a stream they are those drawn at random.
        """
        data = self._fit_result().data
        return data.sample if isinstance(data, Stream) else data

    @property
    def signal_share(self) -> float | None:
        """Share of signal in the mixture it was trained for: a half if classes were balanced."""
        return 0.5 if self.settings.balance else None

    def training_scores(self) -> tuple[Any, Any, Any]:
        """Classes, scores and weights of the events it was trained on, each of shape (events,)."""
        data = self.training
        return data.y, self.predict(data), data.weight

    @property
    def is_streamed(self) -> bool:
        """True if it was trained on a stream, of which `training` has a part only."""
        return isinstance(self._fit_result().data, Stream)

    def retrained(
        self, data: Dataset, step: int = 0, should_stop: Callable[[], bool] | None = None
    ) -> Classifier:
        """A classifier of the same settings, trained quietly on other events; see `fit`.

        Parameters
        ----------
        data : Dataset
            Events to train on.
        step : int
            Added to the seed.
        should_stop : callable, optional
            Asked often; True ends the training.

        Raises
        ------
        TrainingInterrupted
            If the training was interrupted, so that the classifier is not at its best.
        """
        check_option("step", step, is_whole(step, 0), "a whole number, 0 or more")
        own = self.changed(seed=self.settings.seed + step) if step else copy.copy(self)
        own.fit(data, progress=False, should_stop=should_stop)
        if own.history.stopped == "interrupted":
            raise TrainingInterrupted("a training on other events was interrupted")
        return own

    def _scored(self, stream: Stream) -> _Scored:
        self._fit_result()
        with closing(stream.chunks()) as chunks:
            return _Scored.of(chunks, self.predict, self.features)

    def freeze(self) -> FrozenGraph:
        """The network as one inference graph with constant weights.

        Raises
        ------
        TrainingError
            If it was not fitted.
        """
        return FrozenGraph.freeze(self.model, self.features.names)

    def bundle(self, name: str | None = None, description: str = "") -> Bundle:
        """Freeze it and add all that a server or a colleague must know.

        Four training events of each class go with it as reference events.  After `evaluate` it
        tells working points, by which events can be decided without data.

        Parameters
        ----------
        name : str, optional
            Name under which it will be served; by default that of its features.
        description : str, optional
            A sentence for people.

        Raises
        ------
        TrainingError
            If it was not fitted.
        BundleError
            If the name is not usable.
        """
        check_text("description", description, BundleError)
        data, judged = self._fit_result().data, self._evaluation
        made = Bundle.create(
            name_from(data.features.name) if name is None else name,
            self.freeze(),
            labels=(self.label,),
            features=[summary.to_dict() for summary in data.summaries()],
            card=self.card(),
            description=description,
            feature_set=data.features,
            working_points=judged.working_points() if judged else (),
            provenance=[source.to_dict() for source in data.sources if source.note],
        )
        known = self.training
        few = (part.X[:_REFERENCE_EVENTS] for part in (known.signal, known.background))
        return made.with_reference_events(np.concatenate(list(few)))

    def card(self) -> dict[str, Any]:
        """Return the model card of a bundle, as plain values for JSON.

        Raises
        ------
        TrainingError
            If it was not fitted.
        """
        fitted = self._fit_result()
        card = {
            "features": fitted.data.features.to_dict(),
            "training": [source.to_dict() for source in fitted.data.sources],
            "events": dict(zip(("background", "signal"), _counts(fitted.data), strict=True)),
            "settings": vars(self.settings).copy(),
            "architecture": vars(self.architecture).copy(),
            "history": repr(fitted.history),
            "versions": {
                package: version(package)
                for package in ("tfaas-nb", "tensorflow", "keras", "uproot", "numpy")
            }
            | {"python": sys.version.split()[0]},
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        return card | ({"evaluation": self._evaluation.to_dict()} if self._evaluation else {})

    def _fit_result(self) -> _Fitted:
        if self._fitted is None:
            raise TrainingError("the classifier is not trained yet: call fit(train) first")
        return self._fitted

    def __repr__(self) -> str:
        if self._fitted is None:
            return "Classifier(not trained)"
        return f"Classifier({self.features.name!r}, {self.history!r})"

    def _repr_html_(self) -> str:
        if self._fitted is None:
            settings = {**vars(self.settings), **vars(self.architecture)}
            rows = tuple((name, str(value)) for name, value in settings.items())
            return Table(("setting", ""), rows, repr(self))._repr_html_()
        data, judged = self.training, self._evaluation
        auc = str(judged.roc.area) if judged else "not evaluated yet"
        facts = (
            ("features", f"{len(self.features)} ({self.features.name})"),
            ("trained on", f"{len(data.signal)} signal + {len(data.background)} background events"),
            ("AUC, last evaluation", auc),
        )
        return Table(("", ""), facts)._repr_html_() + self.history._repr_html_()


class _Fitted:
    def __init__(self, model: Any, data: Dataset | Stream, history: History) -> None:
        self.model, self.data, self.history = model, data, history
        # Of a stream the sample's, so that memory stays bounded: a file that is in both shows.
        self.fingerprints = Fingerprints.of(data.sample if isinstance(data, Stream) else data)


@dataclass(frozen=True)
class _Ready:
    """Events made ready for training: a source, some of them in memory, and those held out."""

    training: training.Source
    known: Dataset
    validation: Dataset


def _ready(data: Dataset | Stream, settings: Settings, progress: bool) -> _Ready:
    if isinstance(data, Stream):
        held = data.hold_out(settings.validation, settings.seed, progress)
        _refuse(data.negative_weights, len(data))
        _check_classes(data)
        ready = _Ready(held.training, held.known, held.validation)
    else:
        _check_classes(data)
        kept, held_out = data.split(settings.validation, settings.seed)
        ready = _Ready(Events(kept.X, kept.y, kept.weight), kept, held_out)
    _check_weights(ready.known)
    _check_weights(ready.validation)
    return ready


@dataclass(frozen=True, eq=False)
class _Scored:
    """Scores, classes and weights of a stream's events, without their features.

    What is kept of an event is 17 bytes, 25 with identifiers.
    """

    scores: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    fingerprints: Fingerprints

    @classmethod
    def of(
        cls,
        chunks: Iterable[Dataset],
        predict: Callable[[Dataset], npt.NDArray[np.float32]],
        features: FeatureSet,
    ) -> _Scored:
        scores: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)]
        y: list[npt.NDArray[np.int8]] = [np.empty(0, np.int8)]
        weight: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)]
        seen: list[Fingerprints] = []
        for chunk in chunks:
            scores.append(predict(chunk))
            y.append(chunk.y)
            weight.append(chunk.weight)
            seen.append(Fingerprints.of(chunk, features))
        return cls(
            np.concatenate(scores),
            np.concatenate(y),
            np.concatenate(weight),
            Fingerprints.joined(seen),
        )

    def some(self, found: Treated) -> _Scored:
        """Return the events that remain after a treatment of weights, with their new weights."""
        seen, kept = self.fingerprints, found.kept
        named = None if seen.named is None else seen.named[kept]
        remaining = Fingerprints(seen.values[kept], named)
        return _Scored(self.scores[kept], self.y[kept], found.weight, remaining)


def _counts(data: Dataset | Stream) -> tuple[int, int]:
    """Events of background and of signal."""
    if isinstance(data, Stream):
        return data.counts
    return len(data.background), len(data.signal)


def _changed(value: Any, options: dict[str, Any]) -> Any:
    """The dataclass with those options that are attributes of it, which are taken out."""
    own = {f.name: options.pop(f.name) for f in fields(value) if f.name in options}
    return replace(value, **own)


def _check_classes(data: Dataset | Stream) -> None:
    background, signal = _counts(data)
    for name, count in (("signal", signal), ("background", background)):
        if count < _FEWEST_EVENTS:
            raise TrainingError(
                f"there are {count} {name} events: training needs at least {_FEWEST_EVENTS}"
            )


def _usable(data: Dataset | Stream, negative_weights: Any) -> Any:
    """The events to learn from, as the settings treat negative weights."""
    refuse = negative_weights == "refuse"
    if isinstance(data, Stream):
        return data if refuse else data.with_negative_weights(negative_weights)
    if refuse:
        _refuse(int(np.count_nonzero(data.weight < 0)), len(data))
        return data
    return data.with_negative_weights(negative_weights)


def _refuse(negative: int, events: int) -> None:
    if negative:
        raise TrainingError(
            "event weights must be finite and not negative, "
            f"{negative} of {events} are: with negative_weights='absolute' their absolute "
            "weight counts, with 'ignore' these events are left out"
        )


def _check_finite_weights(data: Dataset, kind: type[TfaasError]) -> None:
    bad = ~np.isfinite(data.weight)
    if bad.any():
        first = int(bad.argmax())
        raise kind(
            f"event weights must be finite: that of event {first} is {data.weight[first]}, and "
            f"{int(bad.sum())} of {len(data)} are not; leave such events out"
        )


def _check_weights(data: Dataset) -> None:
    if not (np.isfinite(data.weight).all() and (data.weight >= 0).all()):
        raise TrainingError("event weights must be finite and not negative")
    for name, part in (("signal", data.signal), ("background", data.background)):
        if not part.weight.any():
            raise TrainingError(f"{len(part)} {name} events for training have no weight among them")


def _both(
    first: Callable[[Epoch], None], second: Callable[[Epoch], None] | None
) -> Callable[[Epoch], None]:
    def call(epoch: Epoch) -> None:
        first(epoch)
        if second:
            second(epoch)

    return call


class _ProgressBar:
    """A bar over epochs, in a terminal or a notebook, that names the validation loss."""

    def __init__(self, epochs: int, enabled: bool) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=epochs, desc="training", unit="epoch", disable=not enabled, leave=True
        )

    def __enter__(self) -> Callable[[Epoch], None]:
        return self._show

    def _show(self, epoch: Epoch) -> None:
        self._bar.set_postfix(
            loss=f"{epoch.loss:.4f}",
            val_loss=f"{epoch.val_loss:.4f}",
            val_auc=f"{epoch.val_auc:.4f}",
            refresh=False,
        )
        self._bar.update()

    def __exit__(self, *exc: object) -> None:
        self._bar.close()
