"""Classifiers that others use, to judge ours by: boosted trees, logistic regression, a plain MLP.

Each is a frozen dataclass of its settings; ``fit(train)`` gives something that can ``predict``,
as our `Classifier` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset, check_dataset
from tfaas_nb.data.matching import matched
from tfaas_nb.errors import TrainingError
from tfaas_nb.features import FeatureSet
from tfaas_nb.network import Architecture
from tfaas_nb.options import check_count, check_option, check_seed, is_number
from tfaas_nb.training import Settings
from tfaas_nb.variables import Derived, derived

Floats = npt.NDArray[np.float32]

_POSITIVE = "a positive number"
_OF_EACH = ("tau21", "tau32", "tau31", "mSD_over_pT", "m_over_pT", "mSD_over_m", "rho")
_OF_BOTH = ("deltaEta_01", "deltaPhi_01", "deltaR_01", "m_jj", "ht", "pT_asymmetry_01")

#: What a physicist would compute for boosted trees: substructure of the two leading jets, and
#: how they stand to each other.
ENGINEERED = (*(f"{stem}_{jet}" for stem in _OF_EACH for jet in (0, 1)), *_OF_BOTH)


class Trained(Protocol):
    """Protocol of a fitted classifier."""

    def predict(self, events: Dataset) -> Any:
        """Scores of events, shape (events,); larger means more signal-like."""
        ...


class Trainable(Protocol):
    """Protocol of a classifier to fit: a `Classifier`, or one of this module."""

    def fit(self, data: Dataset, *, progress: bool = ...) -> Trained:
        """Train on events of both classes with their weights."""
        ...


@checked_calls(TrainingError)
@dataclass(frozen=True)
class Boosting:
    """Scikit-learn's `HistGradientBoostingClassifier`.

    Attributes
    ----------
    iterations : int
        Trees.
    learning_rate : float
        Shrinkage.
    leaves : int
        Most leaves of a tree.
    l2 : float
        Regularisation of the leaves' values.
    engineered : bool
        Give it the quantities of `ENGINEERED` besides the features, as far as the features
        allow to compute them.
    balance : bool
        Scale the weights so that signal and background have the same sum, as the default
        classifier does.
    seed : int
        Of its random numbers.
    """

    iterations: int = 400
    learning_rate: float = 0.04
    leaves: int = 15
    l2: float = 1.0
    engineered: bool = False
    balance: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        check_count("iterations", self.iterations)
        check_count("leaves", self.leaves, 2)
        check_seed(self.seed)
        rate = self.learning_rate
        check_option("learning_rate", rate, is_number(rate) and rate > 0, _POSITIVE)
        check_option("l2", self.l2, is_number(self.l2) and self.l2 >= 0, "0 or more")
        _check_balance(self.balance)

    def fit(self, data: Dataset, progress: bool = False) -> Trained:
        """Train it."""
        check_dataset(data, "fit")
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            l2_regularization=self.l2,
            random_state=self.seed,
        )
        columns = with_engineered if self.engineered else _as_they_are
        model.fit(columns(data), data.y, _scaled_weights(data, self.balance))
        return _Scikit(model, columns, data.features)


@checked_calls(TrainingError)
@dataclass(frozen=True)
class Logistic:
    """Scikit-learn's `LogisticRegression` on normalised features.

    Attributes
    ----------
    inverse_penalty : float
        Inverse of the strength of the L2 penalty.
    iterations : int
        Most iterations of the fit.
    balance : bool
        Scale the weights so that signal and background have the same sum, as the default
        classifier does.
    """

    inverse_penalty: float = 1.0
    iterations: int = 1000
    balance: bool = True

    def __post_init__(self) -> None:
        weak = self.inverse_penalty
        check_option("inverse_penalty", weak, is_number(weak) and weak > 0, _POSITIVE)
        check_count("iterations", self.iterations)
        _check_balance(self.balance)

    def fit(self, data: Dataset, progress: bool = False) -> Trained:
        """Train it."""
        check_dataset(data, "fit")
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=self.inverse_penalty, max_iter=self.iterations),
        )
        weight = _scaled_weights(data, self.balance)
        model.fit(data.X, data.y, logisticregression__sample_weight=weight)
        return _Scikit(model, _as_they_are, data.features)


def plain_network(seed: int = 1) -> Classifier:
    """A multilayer perceptron 128-64 that sees the normalised features and nothing derived."""
    architecture = Architecture(embedding=(), hidden=(128, 64), members=1, raw=True)
    return Classifier(Settings(seed=seed, learning_rate=1e-3), architecture)


@dataclass(frozen=True)
class _Scikit:
    model: Any
    columns: Callable[[Dataset], Floats]
    features: FeatureSet

    def predict(self, events: Dataset) -> Any:
        check_dataset(events, "predict")
        events.check_finite()
        return self.model.predict_proba(self.columns(matched(events, self.features)))[:, 1]


def _check_balance(balance: Any) -> None:
    check_option("balance", balance, isinstance(balance, bool), "True or False")


def _scaled_weights(data: Dataset, balance: bool) -> npt.NDArray[np.float64]:
    """Weights of mean one, so that a penalty means the same whatever their unit."""
    data.check_finite()
    weight = data.weight.astype(np.float64)
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(
            "event weights must be finite and not negative: train on "
            "data.with_negative_weights('absolute') or data.with_negative_weights('ignore')"
        )
    sums = [weight[data.y == kind].sum() for kind in (0, 1)]
    if not min(sums) > 0:
        raise TrainingError(
            f"the weights of background and signal add up to {sums[0]:g} and {sums[1]:g}: "
            "both must be positive"
        )
    own = 2 * np.where(data.y == 1, sums[1], sums[0]) if balance else sum(sums)
    scaled: npt.NDArray[np.float64] = weight * len(data) / own
    return scaled


def _as_they_are(data: Dataset) -> Floats:
    return data.X


def with_engineered(data: Dataset) -> Floats:
    """The features and, after them, what `ENGINEERED` names and they allow to compute."""
    features, X = data.features, data.X
    if not features.jet:
        return X

    def jets(name: str) -> Floats:
        return X[:, features.jet_columns(name)]

    there = jets(features.order_by) != features.padding
    more = [q.values(jets, there, features.padding) for q in _computable(features)]
    return np.column_stack([X, *more]).astype(np.float32)


def _computable(features: FeatureSet) -> list[Derived]:
    known = {variable.name for variable in features.jet}
    quantities = [q for name in ENGINEERED if (q := derived(name))]
    return [
        q for q in quantities if set(q.needs) <= known and all(i < features.jets for i in q.slots)
    ]
