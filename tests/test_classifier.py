from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.engines.frozen import FrozenEngine
from tfaas_nb.errors import DataError, FeatureError, TrainingError
from tfaas_nb.features import FeatureSet
from tfaas_nb.metrics import Roc
from tfaas_nb.network import Architecture
from tfaas_nb.training import Epoch, Settings

#: As small as a training can be.
QUICK: dict[str, Any] = {"epochs": 1, "hidden": (4,), "embedding": (), "batch_size": 64}


@pytest.fixture(scope="module")
def few(events: Dataset) -> Dataset:
    return events[::20]


@pytest.fixture(scope="module")
def scores(classifier: Classifier, events: Dataset) -> Any:
    return classifier.predict(events)


def test_scores_are_probabilities_one_per_event(scores: Any, events: Dataset) -> None:
    assert (scores.shape, scores.dtype) == ((len(events),), np.float32)
    assert ((scores > 0) & (scores < 1)).all()


def test_it_has_learned_something(scores: Any, events: Dataset) -> None:
    assert Roc.of(events.y, scores).auc > 0.85


@pytest.mark.slow
def test_the_frozen_graph_gives_the_same_scores(
    classifier: Classifier, events: Dataset, scores: Any
) -> None:
    engine = FrozenEngine(classifier.freeze())
    assert np.abs(engine(events.X)[:, 0] - scores).max() < 1e-6
    engine.close()


def test_an_array_and_a_list_are_scored_as_a_dataset(
    classifier: Classifier, events: Dataset, scores: Any
) -> None:
    assert classifier.predict(events.X).tolist() == scores.tolist()
    assert classifier.predict(events.X[:3].tolist()) == pytest.approx(scores[:3], abs=1e-6)
    assert classifier.predict(events.X[:3].astype(float)) == pytest.approx(scores[:3], abs=1e-6)


def test_one_event_has_one_score(classifier: Classifier, events: Dataset, scores: Any) -> None:
    score = classifier.predict(events.X[5])
    assert isinstance(score, float)
    assert score == pytest.approx(scores[5], abs=1e-6)
    assert classifier.predict(events.X[5:6]).shape == (1,)


def test_an_event_by_name_may_have_any_order(
    classifier: Classifier, events: Dataset, scores: Any
) -> None:
    event = events.event(7)
    shuffled = {name: event[name] for name in sorted(event, key=lambda name: name[::-1])}
    assert list(shuffled) != list(event)
    assert classifier.predict(event) == pytest.approx(scores[7], abs=1e-6)
    assert classifier.predict(shuffled) == classifier.predict(event)


def test_a_datasets_columns_are_ordered_by_name(
    classifier: Classifier, events: Dataset, scores: Any
) -> None:
    own = events.features
    turned = replace(own, event=own.event[::-1], jet=own.jet[::-1])
    X = events.X[:, [own.column(name) for name in turned.names]]
    other = replace(events, X=X, features=turned)
    assert classifier.predict(other).tolist() == scores.tolist()
    evaluation = classifier.evaluate(other, allow_overlap=True)
    assert evaluation.auc == Roc.of(events.y, scores).auc


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: replace(f, jet=(*f.jet[:-1], replace(f.jet[0], name="jetTau9"))), "jetTau9_0"),
        (lambda f: replace(f, padding=-1.0), "padded with -1.0, the training's .* with 0.0"),
        (lambda f: replace(f, order_by="jetMass"), "ordered by 'jetMass'"),
    ],
    ids=["names", "padding", "order of jets"],
)
def test_a_dataset_of_other_features_is_refused(
    classifier: Classifier,
    events: Dataset,
    change: Callable[[FeatureSet], FeatureSet],
    message: str,
) -> None:
    with pytest.raises(FeatureError, match=message):
        classifier.predict(replace(events, features=change(events.features)))


def test_events_of_another_width_are_refused(classifier: Classifier) -> None:
    with pytest.raises(FeatureError, match=r"shape \(3, 41\); 'ttbar-all-hadronic' needs"):
        classifier.predict(np.zeros((3, 41)))


def test_an_event_without_a_feature_is_refused(classifier: Classifier, events: Dataset) -> None:
    event = events.event(0)
    del event["jetPt_1"]
    with pytest.raises(FeatureError, match="missing: jetPt_1"):
        classifier.predict(event)


def test_options_go_where_they_belong() -> None:
    made = Classifier(Settings(seed=3), Architecture(dropout=0.5), epochs=7, hidden=(9, 8))
    assert made.settings == Settings(seed=3, epochs=7)
    assert made.architecture == Architecture(hidden=(9, 8), dropout=0.5)


def test_an_unknown_option_is_named_with_those_that_exist() -> None:
    with pytest.raises(TrainingError, match=r"unknown options \['epoch'\]; there are .*'epochs'"):
        Classifier(epoch=3)


def test_an_impossible_option_is_refused() -> None:
    with pytest.raises(TrainingError, match="epochs must be a whole number, 1 or more, not 0"):
        Classifier(epochs=0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda c, data: c.predict(data),
        lambda c, data: c.evaluate(data),
        lambda c, data: c.freeze(),
        lambda c, data: c.bundle("ttbar"),
        lambda c, data: c.model,
        lambda c, data: c.history,
        lambda c, data: c.features,
    ],
    ids=["predict", "evaluate", "freeze", "bundle", "model", "history", "features"],
)
def test_an_untrained_classifier_says_so(
    ask: Callable[[Classifier, Dataset], Any], few: Dataset
) -> None:
    with pytest.raises(TrainingError, match=r"not trained yet: call fit\(train\) first"):
        ask(Classifier(), few)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (slice(0, 100), "there are 0 background events"),
        (slice(81, 200), "there are 19 signal events: training needs at least 20"),
        (slice(0, 0), "there are 0 signal events"),
    ],
)
def test_too_few_events_are_refused(few: Dataset, kept: slice, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Classifier(**QUICK).fit(few[kept], progress=False)


@pytest.mark.parametrize(
    ("signal_weight", "message"),
    [
        (0.0, "signal events .* no weight"),
        (-1.0, "not negative, 100 of 200 are: with negative_weights='absolute'"),
        (np.nan, "must be finite"),
    ],
)
def test_unusable_weights_are_refused(few: Dataset, signal_weight: float, message: str) -> None:
    weight = np.where(few.y == 1, signal_weight, 1.0).astype(np.float32)
    with pytest.raises(TrainingError, match=message):
        Classifier(**QUICK).fit(replace(few, weight=weight), progress=False)


@pytest.mark.endurance
@pytest.mark.endurance
@pytest.mark.parametrize("how", ["absolute", "ignore"])
def test_negative_weights_are_judged_as_they_were_learned(
    how: str, events: Dataset, tmp_path: Path
) -> None:
    negative = np.arange(len(events)) % 5 == 0
    weight = np.where(negative, -0.5, 1.0).astype(np.float32)
    signed = replace(events, weight=weight, scaled=(True, True))
    train, test = signed.split(0.3)
    quick = {"epochs": 1, "hidden": (4,), "embedding": (), "members": 1}
    found = Classifier(**quick, negative_weights=how).fit(train, progress=False).evaluate(test)
    kept = test.weight > (-1 if how == "absolute" else 0)
    assert found.weight.tolist() == np.abs(test.weight[kept]).tolist()
    assert f"{np.count_nonzero(test.weight < 0)} events of negative weight" in repr(found)
    scan = found.significance()
    sums = [signed.weight[signed.y == kind].sum() for kind in (1, 0)]
    assert (scan.signal, scan.background) == pytest.approx(tuple(sums), rel=1e-4)
    page = found.report(tmp_path / "report.html", features=[], progress=False).read_text()
    assert found.negative in page
    refusing = Classifier(**quick).fit(events[::4], progress=False)
    with pytest.raises(DataError, match="weights not negative"):
        refusing.evaluate(test, allow_overlap=True)


@pytest.mark.slow
def test_negative_weights_are_left_out_or_taken_as_positive(few: Dataset) -> None:
    negative = np.arange(len(few)) % 4 == 0
    weight = np.where(negative, -2.0, 1.0).astype(np.float32)
    signed = replace(few, weight=weight)

    def scores(data: Dataset, **options: Any) -> Any:
        fitted = Classifier(**QUICK, **options).fit(data, progress=False)
        return fitted.predict(few).tolist()

    assert scores(signed, negative_weights="ignore") == scores(few[~negative])
    positive = replace(few, weight=np.abs(weight))
    assert scores(signed, negative_weights="absolute") == scores(positive)


def test_events_held_out_need_weight_too(few: Dataset) -> None:
    weight = np.zeros(len(few), np.float32)
    weight[[0, 150]] = 1.0
    with pytest.raises(TrainingError, match="have no weight among them"):
        Classifier(**QUICK).fit(replace(few, weight=weight), progress=False)


@pytest.mark.slow
def test_a_second_fit_starts_anew(few: Dataset, unseen: Dataset) -> None:
    trained = Classifier(**QUICK)
    assert trained.fit(few, progress=False) is trained
    first = trained.predict(few)
    trained.evaluate(unseen)
    again = trained.fit(few, progress=False).predict(few)
    assert first.tolist() == again.tolist()
    assert "evaluation" not in trained.bundle("ttbar").card


@pytest.mark.slow
def test_a_fit_that_fails_keeps_the_one_before(few: Dataset) -> None:
    trained = Classifier(**QUICK).fit(few, progress=False)
    before = trained.predict(few)
    with pytest.raises(TrainingError, match="interrupted before"):
        trained.fit(few, progress=False, should_stop=lambda: True)
    assert trained.predict(few).tolist() == before.tolist()


@pytest.mark.slow
def test_another_seed_gives_other_scores(few: Dataset) -> None:
    first, other = (Classifier(**QUICK, seed=seed).fit(few, progress=False) for seed in (1, 2))
    assert first.predict(few).tolist() != other.predict(few).tolist()


@pytest.mark.slow
def test_training_can_be_watched_and_stopped(
    few: Dataset, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COLUMNS", "LINES"):  # of a terminal, to which the bar would be cut
        monkeypatch.delenv(name, raising=False)
    seen: list[Epoch] = []
    trained = Classifier(**QUICK | {"epochs": 30}).fit(
        few, on_epoch=seen.append, should_stop=lambda: len(seen) == 2
    )
    assert trained.history.stopped == "interrupted"
    assert tuple(seen) == trained.history.epochs
    bar = capfd.readouterr().err
    assert "2/30" in bar
    assert "val_loss=" in bar


@pytest.mark.slow
def test_training_can_be_quiet(few: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    Classifier(**QUICK).fit(few, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.endurance
def test_many_trainings_in_one_kernel_are_quiet_too() -> None:
    """TensorFlow warns, twice in a process, of functions that are traced again and again."""
    code = f"""
import tfaas_nb as tn
few = tn.sample()[::200]
for seed in range(6):
    tn.Classifier(**{QUICK!r}, seed=seed).fit(few, progress=False)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "retracing" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_card_tells_what_it_was_trained_on(classifier: Classifier) -> None:
    card = json.loads(json.dumps(classifier.bundle("ttbar").card))
    hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in tn.sample_files()]
    assert [source["sha256"] for source in card["training"]] == hashes
    assert [source["file"] for source in card["training"]] == ["ttbar.root", "qcd.root"]
    assert card["events"] == {"signal": 2000, "background": 2000}
    assert FeatureSet.from_dict(card["features"]) == classifier.features
    assert (card["settings"]["seed"], card["architecture"]["hidden"]) == (7, [16])
    assert card["versions"]["tfaas-nb"] == tn.__version__
    assert card["history"] == repr(classifier.history)


@pytest.mark.slow
def test_the_card_has_the_evaluation_once_there_is_one(few: Dataset, unseen: Dataset) -> None:
    trained = Classifier(**QUICK).fit(few, progress=False)
    assert "evaluation" not in trained.bundle("ttbar").card
    evaluation = trained.evaluate(unseen)
    assert trained.bundle("ttbar").card["evaluation"] == evaluation.to_dict()


@pytest.mark.slow
def test_events_of_the_training_are_refused(few: Dataset, unseen: Dataset) -> None:
    trained = Classifier(**QUICK).fit(few, progress=False)
    mixed = concatenate([unseen, few[[3, 5]]])
    n = len(unseen)
    with pytest.raises(DataError, match=rf"2 of the {n + 2} events \(positions {n}, {n + 1}\)"):
        trained.evaluate(mixed)
    assert "evaluation" not in trained.card()
    turned = replace(few.features, event=few.features.event[::-1])
    X = few.X[:, [few.features.column(name) for name in turned.names]]
    with pytest.raises(DataError, match=f"{len(few)} of the {len(few)} events"):
        trained.evaluate(replace(few, X=X, features=turned))


@pytest.mark.slow
def test_an_overlap_that_was_allowed_is_told(few: Dataset, unseen: Dataset) -> None:
    trained = Classifier(**QUICK).fit(few, progress=False)
    mixed = concatenate([unseen, few[[3, 5]]])
    evaluation = trained.evaluate(mixed, allow_overlap=True)
    assert repr(evaluation).endswith("2 EVENTS WERE IN THE TRAINING)")
    assert "Not an honest test" in evaluation._repr_html_()
    assert trained.card()["evaluation"]["seen_in_training"] == 2


@pytest.mark.slow
def test_an_evaluation_stays_that_of_its_training(few: Dataset, unseen: Dataset) -> None:
    trained = Classifier(**QUICK).fit(few, progress=False)
    evaluation = trained.evaluate(unseen)
    trained.fit(unseen, progress=False)
    judged = evaluation.trained
    assert judged is not None
    assert judged.training is few
    assert np.asarray(judged.predict(unseen)).tolist() == evaluation.scores.tolist()
    assert trained.predict(unseen).tolist() != evaluation.scores.tolist()


@pytest.mark.slow
def test_it_can_be_trained_on_other_events(few: Dataset, unseen: Dataset) -> None:
    trained = Classifier(**QUICK).fit(few, progress=False)
    other = trained.retrained(unseen)
    assert (other.training, trained.training) == (unseen, few)
    assert other.settings == trained.settings


@pytest.mark.slow
def test_a_bundle_has_names_ranges_and_label(events: Dataset, few: Dataset) -> None:
    bundle = Classifier(**QUICK, label="top").fit(few, progress=False).bundle("ttbar", "a test")
    assert bundle.labels == ("top",)
    assert bundle.params.description == "a test"
    assert [f["name"] for f in bundle.params.features] == list(events.features.names)
    assert bundle.params.features[0]["median"] == few.summaries()[0].median


def test_evaluation_needs_both_classes(classifier: Classifier, events: Dataset) -> None:
    with pytest.raises(DataError, match="needs signal"):
        classifier.evaluate(events.signal)


def test_it_shows_whether_it_is_trained(classifier: Classifier) -> None:
    assert repr(Classifier()) == "Classifier(not trained)"
    untrained = Classifier(epochs=17)._repr_html_()
    assert "Classifier(not trained)" in untrained
    assert ">17<" in untrained
    assert repr(classifier).startswith("Classifier('ttbar-all-hadronic', History(2 epochs")
    assert classifier.history._repr_html_() in classifier._repr_html_()
    assert "2000 signal + 2000 background events" in classifier._repr_html_()


@pytest.mark.slow
def test_it_beats_the_soft_drop_mass_by_far() -> None:
    train, test = tn.sample().split()
    evaluation = Classifier(epochs=4, hidden=(32,)).fit(train, progress=False).evaluate(test)
    mass = test.X[:, test.features.column("jetMassSoftDrop_0")]
    assert evaluation.auc > 0.96
    assert 1 - evaluation.auc < (1 - Roc.of(test.y, mass).auc) / 3
