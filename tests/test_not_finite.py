"""Events that are not finite in datasets made by hand, and what bundles say of treated files."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

import tfaas_nb as tn
from tests.ntuples import nano, write_tree
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.cli import main
from tfaas_nb.comparison import compare
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.root import load
from tfaas_nb.errors import BundleError, DataError, FeatureError, TrainingError
from tfaas_nb.metrics import Roc
from tfaas_nb.metrics.importance import Importance
from tfaas_nb.metrics.learning_curve import LearningCurve
from tfaas_nb.validation.cross_validation import cross_validate
from tfaas_nb.wire.params import Params
from tfaas_nb.yardsticks import Boosting, Logistic

QUICK: dict[str, Any] = {"epochs": 1, "hidden": (4,), "embedding": (), "batch_size": 64}
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def broken(events: Dataset) -> Dataset:
    """Of 200 events number 17 has a NaN, and number 150 two infinities."""
    few = events[::20]
    X = few.X.copy()
    X[17, few.features.column("jetTau1_0")] = NAN
    X[150, :2] = INF
    return replace(few, X=X)


def zeros(data: Dataset) -> Any:
    return np.zeros(len(data))


WAYS: dict[str, Callable[[Dataset, Dataset], Any]] = {
    "fit": lambda bad, good: Classifier(**QUICK).fit(bad, progress=False),
    "ignoring": lambda bad, good: Classifier(**QUICK, negative_weights="ignore").fit(
        replace(bad, weight=-bad.weight), progress=False
    ),
    "boosting": lambda bad, good: Boosting(iterations=2).fit(bad),
    "logistic": lambda bad, good: Logistic().fit(bad),
    "cross_validate": lambda bad, good: cross_validate(bad, 2, Classifier(**QUICK), progress=False),
    "compare": lambda bad, good: compare(bad, good, progress=False),
    "compare_test": lambda bad, good: compare(good, bad, progress=False),
    "importance": lambda bad, good: Importance.of(zeros, bad, progress=False),
    "learning_curve": lambda bad, good: LearningCurve.of(
        lambda _: zeros, bad, good, progress=False
    ),
    "learning_curve_test": lambda bad, good: LearningCurve.of(
        lambda _: zeros, good, bad, progress=False
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_feature_and_event_are_named(broken: Dataset, unseen: Dataset, way: str) -> None:
    with pytest.raises(FeatureError, match="value of 'jetTau1_0' of event 17 is nan") as why:
        WAYS[way](broken, unseen)
    assert "3 values of 2 events are not" in str(why.value)
    assert "weight" not in str(why.value)


@pytest.mark.slow
def test_a_classifier_names_feature_and_row(
    classifier: Classifier, broken: Dataset, events: Dataset
) -> None:
    message = "value of 'jetTau1_0' of event 17 is nan, not a finite number"
    names, (column,) = broken.features.names, np.flatnonzero(np.isnan(broken.X[17]))
    shuffled = {name: broken.X[:, i] for i, name in reversed(list(enumerate(names)))}
    for form in (broken, broken.X, broken.X.tolist(), shuffled):
        with pytest.raises(FeatureError, match=message):
            classifier.predict(form)
    with pytest.raises(FeatureError, match=message):
        classifier.evaluate(broken, allow_overlap=True)
    event = broken.event(17)
    for one in (event, broken.X[17]):
        with pytest.raises(FeatureError, match="value of 'jetTau1_0' is nan"):
            classifier.predict(one)
    large = events.X[:3].astype(np.float64)
    large[1, column] = 1e39
    with pytest.raises(FeatureError, match="of event 1 is inf"):  # and no warning of NumPy's
        classifier.predict(large)
    odd = replace(events[::20], weight=np.where(np.arange(200) == 7, NAN, 1).astype(np.float32))
    with pytest.raises(DataError, match="event weights must be finite: that of event 7 is nan"):
        classifier.evaluate(odd, allow_overlap=True)


def test_weights_that_are_not_finite_are_named(events: Dataset) -> None:
    weight = np.where(np.arange(200) % 100 == 7, INF, 1.0).astype(np.float32)
    with pytest.raises(TrainingError, match=r"that of event 7 is inf, and 2 of 200 are not"):
        Classifier(**QUICK).fit(replace(events[::20], weight=weight), progress=False)
    with pytest.raises(DataError, match="the score of event 2 is nan"):
        Roc.of([0, 1, 1], [0.1, 0.2, NAN])
    with pytest.raises(DataError, match="the weight of event 1 is -1"):
        Roc.of([0, 1, 1], [0.1, 0.2, 0.3], [1, -1, 1])


# What a bundle says.


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Signal with NaN here and there; background in two files, one without the trigger."""
    signal, first, second = nano(120, 1), nano(120, 2), nano(120, 3)
    tau = ak.to_numpy(ak.flatten(signal["FatJet_tau1"])).copy()
    tau[::9] = NAN
    signal["FatJet_tau1"] = ak.unflatten(tau, ak.num(signal["FatJet_tau1"]))
    fired = {"HLT_A": np.arange(120) % 2 == 0}
    return [
        str(write_tree(tmp_path / f"{name}.root", values, "Events"))
        for name, values in (
            ("signal", signal | fired),
            ("first", first | fired),
            ("second", second),
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_bundle_tells_what_was_done(files: list[str], tmp_path: Path, stream: bool) -> None:
    options: dict[str, Any] = {"on_nan": "skip", "keep": ["HLT_A"], "optional": ["HLT_A"]}
    with pytest.warns(UserWarning, match="'HLT_A' is read as 0 in second.root, of 3 files"):
        data = load(files[0], files[1:], **options, progress=False, stream=stream)
    bundle = Classifier(**QUICK).fit(data, progress=False).bundle("nan")
    saved = Bundle.load(bundle.save(tmp_path))
    again = Bundle.from_archive(saved.archive())
    for made in (bundle, saved, again):
        treated, absent = made.params.provenance
        assert (treated["file"], absent["file"]) == ("signal.root", "second.root")
        found = data.sources[0].not_finite
        assert found is not None
        assert treated["not_finite"]["on_nan"] == "skip"
        assert treated["not_finite"]["events"] == found.events > 5
        assert treated["not_finite"]["values"] == dict(found.values)
        assert list(found.values) == [("FatJet_tau1", found.values[0][1])]
        assert absent["absent"] == ["HLT_A"] or absent["absent"] == ("HLT_A",)
        of_card = json.loads(json.dumps(made.card["training"]))
        assert of_card[0]["not_finite"] == treated["not_finite"]
    told = json.loads((tmp_path / "nan" / "params.json").read_bytes())
    assert len(told["provenance"]) == 2


def test_a_bundle_of_plain_files_says_nothing_of_it() -> None:
    assert "provenance" not in Params("plain").to_values()
    with pytest.raises(BundleError, match="'provenance' must be a list of objects"):
        Params.from_values({"name": "m", "provenance": ["signal.root"]})


@pytest.mark.slow
def test_the_command_trains_on_what_is_left(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--signal", files[0], "--background", *files[1:], "--epochs", "1"]
    command += ["--name", "nan", "--out", str(tmp_path), "--cut", "HLT_A | nJets >= 0"]
    assert main([*command, "--optional", "HLT_A"]) == 1
    assert "FatJet_tau1" in capsys.readouterr().err
    for how, words in (("skip", "left out"), ("pad", "padded")):
        with pytest.warns(UserWarning, match="'HLT_A' is read as 0 in second.root"):
            assert main([*command, "--optional", "HLT_A", "--on-nan", how]) == 0
        assert f" events {words} for values that are not finite" in capsys.readouterr().out
        assert f" {words}" in (tmp_path / "nan.html").read_text()
    assert Bundle.load(tmp_path / "nan").params.provenance[0]["not_finite"]["on_nan"] == "pad"


def test_both_options_are_public() -> None:
    for function in (tn.load, tn.read, tn.score):
        assert {"on_nan", "optional"} <= set(inspect.signature(function).parameters)
