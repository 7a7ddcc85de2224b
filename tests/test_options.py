"""Numbers that functions are given: seeds, fractions, counts; each error is one of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import TfaasError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.metrics import Importance
from tfaas_nb.training import Settings
from tfaas_nb.yardsticks import Boosting, Logistic

_random = np.random.default_rng(1)
_y = (np.arange(60) % 2).astype(np.int8)
DATA = Dataset(
    (_random.normal(size=(60, 2)) + _y[:, np.newaxis]).astype(np.float32),
    _y,
    np.ones(60, np.float32),
    tn.FeatureSet("two", ("a", "b")),
)


class _Sum:
    """A score that nothing has to be trained for."""

    training = DATA
    is_streamed = False
    signal_share = None

    def predict(self, events: Dataset) -> Any:
        return 1 / (1 + np.exp(-events.X.sum(axis=1)))

    def retrained(self, data: Dataset, step: int = 0, should_stop: Any = None) -> _Sum:
        return self


JUDGED = Evaluation.of(DATA, _Sum().predict(DATA), _Sum())  # type: ignore[arg-type]
QUIET: Any = {"progress": False}

Use = Callable[[Any], Any]

SEEDS: dict[str, Use] = {
    "split": lambda seed: DATA.split(seed=seed),
    "cross_validate": lambda seed: tn.cross_validate(DATA, 2, Logistic(), seed, **QUIET),
    "scan": lambda seed: tn.scan({"iterations": [9]}, DATA, 2, Logistic(), seed, **QUIET),
    "compare": lambda seed: tn.compare(*DATA.split(), seed=seed, **QUIET),
    "importance": lambda seed: JUDGED.importance(seed=seed, **QUIET),
    "learning_curve": lambda seed: JUDGED.learning_curve(seed=seed, **QUIET),
    "band": lambda seed: JUDGED.band(seed=seed),
    "Boosting": lambda seed: Boosting(seed=seed),
    "Settings": lambda seed: Settings(seed=seed),
    "Classifier": lambda seed: tn.Classifier(seed=seed),
}
COUNTS: dict[str, Use] = {
    "folds": lambda n: tn.cross_validate(DATA, n, Logistic(), **QUIET),
    "folds of a scan": lambda n: tn.scan({"iterations": [9]}, DATA, n, Logistic(), **QUIET),
    "repeats": lambda n: JUDGED.importance(repeats=n, **QUIET),
    "most events": lambda n: Importance.of(_Sum().predict, DATA, most_events=n, **QUIET),
    "replicas": lambda n: JUDGED.band(replicas=n),
    "bins": JUDGED.calibration,
    "events": lambda n: tn.simulate("qcd", n, 1, "nowhere.root", **QUIET),
    "jets": lambda n: tn.FeatureSet("jets", (), ("jetPt",), jets=n),
}
FRACTIONS: dict[str, Use] = {
    "level": JUDGED.band,
    "eps_s": lambda f: JUDGED.working_point(eps_s=f),
    "eps_b": lambda f: JUDGED.working_point(eps_b=f),
    "learning_curve": lambda f: JUDGED.learning_curve((0.5, f), **QUIET),
    "learning_curve, one": lambda f: JUDGED.learning_curve(f, **QUIET),
    "split": DATA.split,
}
NUMBERS: dict[str, Use] = {
    "systematics": lambda x: JUDGED.significance(systematics=x, min_background=2),
    "min_background": lambda x: JUDGED.significance(min_background=x),
    "signal": lambda x: JUDGED.significance(signal=x, min_background=2),
    "background": lambda x: JUDGED.significance(background=x, min_background=2),
    "scan": lambda x: JUDGED.working_point(significance="asimov", systematics=x),
    "padding": lambda x: tn.FeatureSet("jets", (), ("jetPt",), padding=x),
    "jet_pt_min": lambda x: tn.Objects(jet_pt_min=x),
    "electron_id_min": lambda x: tn.Objects(electron_id_min=x),
}


def _refused(use: Use, value: Any) -> str:
    with pytest.raises(TfaasError) as raised:
        use(value)
    message = str(raised.value)
    for foreign in ("random_state", "test_size", "SeedSequence", "ufunc", "has no attribute"):
        assert foreign not in message
    return message


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, 2**32, [1]])
def test_a_seed_that_no_generator_takes_is_refused(name: str, seed: Any) -> None:
    message = _refused(SEEDS[name], seed)
    assert message == f"seed must be a whole number from 0 to 4294967295, not {seed!r}"


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("count", [0, -3, 1.5, True, "3", None, float("nan")])
def test_a_number_of_things_is_a_whole_number(name: str, count: Any) -> None:
    assert repr(count) in _refused(COUNTS[name], count)


@pytest.mark.parametrize("name", FRACTIONS)
@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, 30, float("nan"), "0.5"])
def test_a_fraction_lies_between_0_and_1(name: str, fraction: Any) -> None:
    assert repr(fraction) in _refused(FRACTIONS[name], fraction)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), "0.1", [1], True])
def test_a_number_is_a_number(name: str, value: Any) -> None:
    assert repr(value) in _refused(NUMBERS[name], value)


def test_numbers_of_numpy_are_numbers() -> None:
    assert JUDGED.band(np.float32(0.5), np.int64(20), np.uint8(3)).seed == 3  # type: ignore[arg-type]
    assert JUDGED.importance(repeats=np.int32(1), seed=np.int64(2), **QUIET).repeats == 1  # type: ignore[arg-type]
    features = tn.FeatureSet("jets", (), ("jetPt",), jets=np.int64(2), padding=np.float32(0))  # type: ignore[arg-type]
    assert tn.FeatureSet.from_dict(features.to_dict()) == features
    assert type(features.to_dict()["jets"]) is int


def test_one_fraction_of_the_training_events_is_a_learning_curve() -> None:
    assert JUDGED.learning_curve(0.5, **QUIET).events == (30,)  # type: ignore[arg-type]


@pytest.mark.endurance
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_ends_of_the_range_of_seeds_work(seed: int) -> None:
    for name in ("split", "cross_validate", "importance", "learning_curve", "band", "Boosting"):
        SEEDS[name](seed)


def test_no_file_is_written_of_an_impossible_number_of_events(tmp_path: Path) -> None:
    with pytest.raises(TfaasError, match=r"cannot simulate 1\.5 events"):
        tn.simulate("qcd", 1.5, 1, tmp_path / "qcd.root")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
