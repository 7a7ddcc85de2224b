from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.features import FeatureSet, Variable
from tfaas_nb.metrics import Comparison, Importance, Roc
from tfaas_nb.plots import captions
from tfaas_nb.yardsticks import Logistic

FLAT = FeatureSet("flat", (Variable("a"), Variable("b"), Variable("c")), ())
JETS = FeatureSet("jets", (), (Variable("jetPt"), Variable("jetMass")), jets=2)


def dataset(events: int = 1500, seed: int = 1) -> Dataset:
    random = np.random.default_rng(seed)
    y = (np.arange(events) % 2).astype(np.int8)
    X = random.normal(size=(events, 3)) + y[:, None] * np.array([1.5, 0.7, 0.0])
    return Dataset(X.astype(np.float32), y, np.ones(events, np.float32), FLAT)


def jets(events: int = 1000) -> Dataset:
    """Every second event has one jet only."""
    random = np.random.default_rng(1)
    X = random.uniform(1, 2, (events, 4)).astype(np.float32)
    y = (random.random(events) < 0.5).astype(np.int8)
    X[::2, [1, 3]] = 0.0
    return Dataset(X, y, np.ones(events, np.float32), JETS)


DATA = dataset()
MODEL = LogisticRegression().fit(DATA.X, DATA.y)


def score(data: Dataset) -> np.ndarray:
    return np.asarray(MODEL.predict_proba(data.X)[:, 1])


FOUND = Importance.of(score, DATA, progress=False)


def test_losses_are_those_of_scikit_learn() -> None:
    expected = permutation_importance(
        MODEL, DATA.X, DATA.y, scoring="roc_auc", n_repeats=10, random_state=1
    )
    assert FOUND.names == ("a", "b", "c")
    assert FOUND.drop == pytest.approx(expected.importances_mean, abs=0.01)
    assert FOUND.auc == Roc.of(DATA.y, score(DATA)).auc


@pytest.mark.slow
def test_errors_are_those_of_repeated_samples() -> None:
    drops, errors = [], []
    for seed in range(60):
        found = Importance.of(score, dataset(400, seed), repeats=3, seed=seed, progress=False)
        drops.append(found.drop[found.names.index("a")])
        errors.append(found.error[found.names.index("a")])
    assert np.mean(errors) == pytest.approx(np.std(drops), rel=0.3)


@pytest.mark.parametrize("repeats", [1, 3, 5, 7])
def test_a_feature_that_changes_no_score_has_a_limit_and_no_rounding(repeats: int) -> None:
    found = Importance.of(lambda data: data.X[:, 0] / 3, DATA, repeats=repeats, progress=False)
    for name in ("b", "c"):
        assert found.drop[found.names.index(name)] == 0
        assert str(found.measured(found.names.index(name))).startswith("within ± ")
    assert str(found.measured(0)).startswith("+0.")


def test_the_limit_is_that_of_the_class_with_fewer_effective_events() -> None:
    """Of one signal event nothing is known, however many background events there are."""
    y = (np.arange(300) == 0).astype(np.int8)
    for data in (
        replace(DATA[:300], y=y),
        replace(DATA[:300], weight=np.where(np.arange(300) < 2, 1, 1e-9).astype(np.float32)),
    ):
        found = Importance.of(lambda data: data.X[:, 0], data, repeats=4, progress=False)
        shown = [str(found.measured(at)) for at in range(3)]
        assert all(one.endswith("(few events)") for one in shown)
        assert shown.count("within ± 1.0 at 95 % CL (few events)") >= 2
        assert "(few events)" in str(found.table().caption)


def test_a_group_that_no_shuffle_changes_says_so_and_gives_no_number() -> None:
    """The number of jets is that of the jets an event has; a constant is the same everywhere."""
    features = FeatureSet("jets", ("nJets", "one"), ("jetPt", "jetMass"), jets=2)
    whole = jets()
    count = (whole.X[:, :2] > 0).sum(axis=1)
    X = np.column_stack([count, np.ones(len(whole)), whole.X]).astype(np.float32)
    data = Dataset(X, whole.y, whole.weight, features)
    found = Importance.of(lambda d: d.X[:, 0] + d.X[:, 2], data, progress=False)
    assert set(found.fixed) == {"nJets", "one"}
    told = dict(row[:2] for row in found.table().rows)
    assert told["nJets"] == told["one"] == "not shuffled: the same in all events with the same jets"
    assert "±" in told["jetPt_0"]


def test_a_feature_that_is_not_used_counts_for_nothing() -> None:
    found = Importance.of(lambda data: data.X[:, 0], DATA, progress=False)
    drops = dict(zip(found.names, found.drop, strict=True))
    assert (drops["b"], drops["c"]) == pytest.approx((0, 0), abs=1e-12)
    assert drops["a"] > 0.2


def test_absent_jets_stay_absent() -> None:
    data = jets()
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return events.X.sum(axis=1)

    Importance.of(scorer, data, "variable", repeats=2, progress=False)
    shuffled = seen[-1].X.reshape(2, 2, len(data), 4)
    for column in range(4):
        part = shuffled[0 if column < 2 else 1, :, :, column]
        assert (part[0] != data.X[:, column]).any()
        for repeat in part:
            assert ((repeat == 0) == (data.X[:, column] == 0)).all()
            assert sorted(repeat) == sorted(data.X[:, column])
    assert (shuffled[0, :, :, 2:] == data.X[:, 2:]).all()


def test_slots_with_the_same_jets_are_shuffled_alike() -> None:
    data = jets()[1::2]
    X = data.X.copy()
    X[:, 1] = X[:, 0] + 1
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return events.X[:, 2]

    Importance.of(scorer, replace(data, X=X), "variable", repeats=1, progress=False)
    pt = seen[-1].X[: len(data), :2]
    assert (pt[:, 1] == pt[:, 0] + 1).all()


def test_variables_are_groups_of_slots() -> None:
    found = Importance.of(lambda data: data.X.sum(axis=1), jets(), "variable", progress=False)
    assert set(found.names) == {"jetPt", "jetMass"}
    assert found.by == "variable"


def test_few_calls_score_many_events() -> None:
    calls: list[int] = []

    def scorer(events: Dataset) -> np.ndarray:
        calls.append(len(events))
        return score(events)

    Importance.of(scorer, DATA, repeats=4, progress=False)
    assert calls == [len(DATA), 3 * 4 * len(DATA)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfaas_nb.metrics.importance._BLOCK", len(DATA) * 3 * 5)
    calls: list[int] = []

    def scorer(events: Dataset) -> np.ndarray:
        calls.append(len(events))
        return score(events)

    found = Importance.of(scorer, DATA, progress=False)
    assert calls == [len(DATA)] + 3 * [5 * len(DATA)]
    assert found.drop.tolist() == FOUND.drop.tolist()


def test_a_seed_decides_it() -> None:
    again = Importance.of(score, DATA, progress=False)
    other = Importance.of(score, DATA, seed=2, progress=False)
    assert again.drop.tolist() == FOUND.drop.tolist() != other.drop.tolist()


def test_progress_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    Importance.of(score, DATA, repeats=1)
    assert "3/3" in capfd.readouterr().err


def test_large_datasets_are_sampled_class_by_class() -> None:
    few = DATA[np.r_[0:1500:2, 1:1500:6]]
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return score(events)

    found = Importance.of(scorer, few, progress=False, most_events=400)
    assert (len(seen[0].background), len(seen[0].signal)) == (300, 100)
    assert found.events == 400
    rows = set(map(tuple, few.X.tolist()))
    assert set(map(tuple, seen[0].X.tolist())) < rows


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="not by 'jet'"):
        Importance.of(score, DATA, by="jet")
    with pytest.raises(DataError, match="not 0 times"):
        Importance.of(score, DATA, repeats=0)


# --- correlated features ------------------------------------------------------------------

COPIES = FeatureSet("copies", ("a", "b", "c"))


def copies(events: int, seed: int, weighted: bool = False) -> Dataset:
    """Feature a tells signal, b is a copy of it with noise, and c tells a little by itself."""
    random = np.random.default_rng(seed)
    y = (np.arange(events) % 2).astype(np.int8)
    a = random.normal(size=events) + 1.5 * y
    b = a + 0.3 * random.normal(size=events)
    c = random.normal(size=events) + 0.5 * y
    weight = random.uniform(0.2, 2.0, events) if weighted else np.ones(events)
    X = np.stack([a, b, c], axis=1).astype(np.float32)
    return Dataset(X, y, weight.astype(np.float32), COPIES)


class Fitted:
    """Logistic regression as an evaluation asks for it; trainings are counted."""

    signal_share = None
    is_streamed = False

    def __init__(self, training: Dataset, until: int = 100) -> None:
        self.training, self.until = training, until
        self.model = Logistic(balance=False).fit(training)
        self.steps: list[int] = []

    def predict(self, events: Dataset) -> Any:
        return self.model.predict(events)

    def retrained(self, data: Dataset, step: int = 0, should_stop: Any = None) -> Fitted:
        if len(self.steps) == self.until:
            raise KeyboardInterrupt
        self.steps.append(step)
        return Fitted(data)


def judged(trained: Fitted, test: Dataset) -> Evaluation:
    return Evaluation.of(test, trained.predict(test), trained)  # type: ignore[arg-type]


def plain_fit(X: Any, train: Dataset) -> Any:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    weight = train.weight / train.weight.mean()  # of mean one, as the penalty refers to
    return model.fit(X, train.y, logisticregression__sample_weight=weight)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_copies_are_shuffled_together_as_numpy_and_scikit_learn_have_it(weighted: bool) -> None:
    train, test = copies(3000, 1, weighted), copies(6000, 2, weighted)
    model = plain_fit(train.X, train)

    def area(X: Any) -> float:
        scores = model.predict_proba(X)[:, 1]
        return float(roc_auc_score(test.y, scores, sample_weight=test.weight))

    random, losses = np.random.default_rng(5), []
    for _ in range(20):
        X = test.X.copy()
        X[:, :2] = X[random.permutation(len(X)), :2]
        losses.append(area(test.X) - area(X))
    found = judged(Fitted(train), test).importance(progress=False)
    assert found.members == (("a", "b"), ("c",))
    assert found.drop[0] == pytest.approx(np.mean(losses), abs=3 * found.error[0])
    assert found.error[0] < 0.1 * found.drop[0]


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_a_refit_is_one_without_the_columns(weighted: bool) -> None:
    train, test = copies(3000, 1, weighted), copies(6000, 2, weighted)
    full = plain_fit(train.X, train).predict_proba(test.X)[:, 1]
    evaluation = judged(Fitted(train), test)
    found = evaluation.importance(groups="single", refit=True, progress=False)
    for column, name in enumerate(COPIES.names):
        kept = [i for i in range(3) if i != column]
        other = plain_fit(train.X[:, kept], train).predict_proba(test.X[:, kept])[:, 1]
        expected = Comparison.of(test.y, full, other, test.weight)
        loss = found.refits[found.names.index(name)]
        assert loss is not None
        assert loss.measured.value == pytest.approx(expected.difference, abs=2e-5)
        assert loss.measured.error == pytest.approx(expected.error, rel=0.02)
        area, without = (roc_auc_score(test.y, s, sample_weight=test.weight) for s in (full, other))
        assert loss.measured.value == pytest.approx(area - without, abs=2e-5)


def test_a_copy_shuffled_alone_overstates_what_it_is_worth() -> None:
    train, test = copies(3000, 1), copies(3000, 2)
    alone = judged(Fitted(train), test).importance(groups=None, refit=True, progress=False)
    at = alone.names.index("a")
    loss = alone.refits[at]
    assert loss is not None
    assert alone.drop[at] > 5 * loss.measured.value
    assert abs(loss.measured.value) < 0.03
    together = judged(Fitted(train), test).importance(refit=True, progress=False)
    of_both = together.refits[0]
    assert of_both is not None
    assert together.members[0] == ("a", "b")
    assert of_both.measured.value > 0.1


def test_several_seeds_are_several_trainings() -> None:
    trained = Fitted(copies(500, 1))
    evaluation = judged(trained, copies(500, 2))
    found = evaluation.importance(refit=True, seeds=3, progress=False)
    assert trained.steps == [1, 2, 0, 1, 2, 0, 1, 2]
    assert [len(loss.pairs) for loss in found.refits if loss] == [3, 3]
    assert "trainings together" in found.meaning
    with pytest.raises(DataError, match="refit=True, seeds=5"):
        evaluation.importance(seeds=3, progress=False)


def test_refits_before_an_interrupt_are_kept() -> None:
    test = copies(500, 2)
    found = judged(Fitted(copies(500, 1), until=1), test).importance(refit=True, progress=False)
    assert [loss is not None for loss in found.refits] == [True, False]
    assert "1 of 2 were done" in found.meaning
    assert found.table().rows[1][2] is None


@pytest.mark.parametrize("seeds", [1, 2])
def test_shuffles_before_an_interrupted_first_refit_are_kept(seeds: int) -> None:
    trained, test = Fitted(copies(500, 1), until=seeds - 1), copies(500, 2)
    found = judged(trained, test).importance(refit=True, seeds=seeds, progress=False)
    alone = judged(trained, test).importance(progress=False)
    assert found.drop.tolist() == alone.drop.tolist()
    assert (found.refits, found.before) == ((None, None), alone.before)
    assert "was interrupted before its first refit was done" in found.table().caption
    assert [row[2] for row in found.table().rows] == [None, None]
    assert found._repr_html_()


def test_refits_that_rank_alike_have_the_limits_of_one_of_them() -> None:
    """A feature that is noise to a rule of one other: no event changes its rank."""
    test = copies(60, 2)
    trained = Fitted(copies(500, 1))
    trained.predict = lambda events: events.X[:, 2]  # type: ignore[method-assign, assignment]
    trained.retrained = lambda *_: trained  # type: ignore[method-assign, assignment]
    evaluation = judged(trained, test)
    one, two = (
        evaluation.importance(groups=[["a"]], refit=True, seeds=n, progress=False) for n in (1, 2)
    )
    shown = [str(found.refits[0] and found.refits[0].measured) for found in (one, two)]
    # 30 independent pairs, none of which changes: below 1 - 0.05^(1/30).
    assert shown == ["within ± 0.096 at 95 % CL (few events)"] * 2
    assert pytest.approx(0.0951, abs=1e-3) == 1 - 0.05 ** (1 / 30)
    assert two.before == one.before


@pytest.mark.parametrize(
    ("signal", "background", "words"),
    [
        (20, 26, "none in signal (20 effective events), none in background (26 effective events)"),
        (27, 400, "only those above 0.98 in signal (27 effective events)"),
        (100, 26, "above 0.50 in signal (100 effective events), none in background (26 eff"),
        (102, 102, ""),
    ],
)
def test_correlations_that_few_events_hide_are_told(
    signal: int, background: int, words: str
) -> None:
    random = np.random.default_rng(4)
    y = np.repeat([1, 0], [signal, background]).astype(np.int8)
    a = random.normal(size=len(y)) + y
    X = np.stack([a, a, random.normal(size=len(y))], axis=1).astype(np.float32)
    data = Dataset(X, y, np.full(len(y), 3, np.float32), COPIES)
    found = Importance.of(lambda events: events.X[:, 0], data, progress=False)
    assert found.is_grouped == (max(signal, background) > 26)
    for text in (found.table().caption, captions.importance(found, "events")):
        assert ("tell correlations from chance" in text) == bool(words)
        assert words in text
    alone = Importance.of(lambda events: events.X[:, 0], data, groups=None, progress=False)
    assert "correlations from chance" not in alone.table().caption


def test_very_many_groups_are_cut_short_with_how_many_are_left() -> None:
    names = tuple(f"x{i}" for i in range(130))
    features = FeatureSet("many", names)
    X = np.random.default_rng(1).normal(size=(300, 130)).astype(np.float32)
    data = Dataset(X, (np.arange(300) % 2).astype(np.int8), np.ones(300, np.float32), features)
    pairs = [[names[i], names[i + 1]] for i in range(0, 80, 2)] + [list(names[80:])]
    evaluation = Evaluation.of(data, X[:, 0], Fitted(data))  # type: ignore[arg-type]
    found = evaluation.importance(groups=pairs, repeats=1, progress=False)
    assert len(found.table().rows) == 41
    rows = found.table(10).rows
    assert rows[-1][0] == "and 31 more, which lose less"
    assert len(rows) == 11
    big = next(row for row in found.table().rows if row[0].startswith("x80"))
    assert big[-1].endswith(", x109 and 20 more")
    text = captions.importance(found, "events")
    assert text.endswith(" and 29 more. The 20 most important are drawn; 21 more are not.")
    assert len(text) < 2000


def test_it_can_be_stopped() -> None:
    evaluation = judged(Fitted(copies(500, 1)), copies(500, 2))
    with pytest.raises(DataError, match="0 of 2 groups were shuffled"):
        evaluation.importance(should_stop=lambda: True, progress=False)


def test_refits_show_their_progress(capfd: pytest.CaptureFixture[str]) -> None:
    judged(Fitted(copies(500, 1)), copies(500, 2)).importance(refit=True)
    assert "refitting: 100%" in capfd.readouterr().err


def test_a_stream_has_not_all_events_to_refit_on() -> None:
    trained = Fitted(copies(500, 1))
    trained.is_streamed = True
    with pytest.raises(DataError, match="not on a stream"):
        judged(trained, copies(500, 2)).importance(refit=True, progress=False)


def test_columns_of_the_test_events_may_be_in_another_order() -> None:
    train, test = copies(1000, 1), copies(1000, 2)
    turned = replace(test, X=test.X[:, ::-1].copy(), features=FeatureSet("t", ("c", "b", "a")))
    trained = Fitted(train)
    first, other = (
        judged(trained, one).importance(groups=[["a", "b"]], refit=True, progress=False)
        for one in (test, turned)
    )
    assert [str(loss) for loss in first.refits] == [str(loss) for loss in other.refits]


def test_values_of_a_group_are_of_one_event_with_as_many_jets() -> None:
    data = jets()
    seen: list[Dataset] = []

    def scorer(events: Dataset) -> np.ndarray:
        seen.append(events)
        return events.X.sum(axis=1)

    Importance.of(
        scorer, data, repeats=1, progress=False, groups=[["jetPt", "jetMass"], ["jetPt_0"]]
    )
    shuffled = seen[-1].X[: len(data)]
    assert (shuffled != data.X).any()
    assert set(map(tuple, shuffled.tolist())) == set(map(tuple, data.X.tolist()))
    alone = seen[-1].X[len(data) :, 0]
    for one in (slice(0, None, 2), slice(1, None, 2)):
        assert sorted(alone[one]) == sorted(data.X[one, 0])


def test_a_caption_says_what_a_loss_does_not_mean() -> None:
    found = judged(Fitted(copies(500, 1)), copies(500, 2)).importance(refit=True, progress=False)
    text = captions.importance(found, "500 events")
    for words in ("group of correlated features", "trained without the group", "a + 1 more: a, b"):
        assert words in text
    assert "without the group loses less" in found.table().caption
    assert found.table().rows[0][-1] == "a, b"
    legend = found.plot(Figure().subplots()).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["Shuffled", "Refitted without"]


def test_it_shows_itself() -> None:
    assert repr(FOUND).startswith(f"Importance(3 by feature, most: a {FOUND.drop[0]:+.3f}")
    assert [row[0] for row in FOUND.table().rows] == ["a", "b", "c"]
    assert "data:image/png" in FOUND._repr_html_()
    ax = Figure().subplots()
    assert FOUND.plot(ax, most=2) is ax
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
