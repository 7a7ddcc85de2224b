from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tfaas_nb as tn
from tests.evaluation.test_document import parsed
from tfaas_nb import plots
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset, concatenate
from tfaas_nb.errors import DataError, FeatureError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.measured import quoted

SECTIONS = ["ROC curve", "Significance", "Calibration", "Features", "Model and versions"]


def undated(path: Path) -> str:
    text, dates = re.subn(r"<time .*?</time>", "", path.read_text(encoding="utf-8"))
    assert dates == 1
    return text


def headings(html: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", html)


def self_contained(html: str) -> bool:
    """Return True if a page loads nothing from elsewhere."""
    for tag, attributes in parsed(html).seen:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href"):
            target = attributes.get(name) or "#"
            assert target.startswith(("data:image/svg+xml;base64,", "#")), target[:80]
    return "@import" not in html and "url(" not in html


@pytest.fixture(scope="module")
def plain(unseen: Dataset) -> Evaluation:
    mass = unseen.X[:, unseen.features.column("jetMassSoftDrop_0")]
    return Evaluation.of(unseen, mass / mass.max())


@pytest.fixture(scope="module")
def short(plain: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    return plain.report(path, "A < B", features=["nJets"]).read_text(encoding="utf-8")


@pytest.mark.slow
def test_scores_alone_have_a_report(short: str, plain: Evaluation) -> None:
    assert headings(short) == [SECTIONS[0], "Scores", *SECTIONS[1:]]
    assert self_contained(short)
    assert "<h1>A &lt; B</h1>" in short
    assert f"{quoted(plain.auc, plain.auc_error)} (DeLong)" in short
    assert "ttbar.root, qcd.root" in short
    assert short.count("<figure>") == short.count("<figcaption>") == 5
    assert "None is given: no cross-section and luminosity say how many events" in short
    assert plain.data is not None
    assert all(source.sha256 in short for source in plain.data.sources)
    assert tn.__version__ in short


@pytest.mark.slow
def test_no_label_is_in_a_report_by_accident(plain: Evaluation, short: str, tmp_path: Path) -> None:
    with plots.label("CMS Simulation"):
        labelled = plain.report(tmp_path / "a.html", "A < B", features=["nJets"])
    pictures = [
        re.findall(r'src="([^"]+)"', html) for html in (short, labelled.read_text(encoding="utf-8"))
    ]
    assert all(a != b for a, b in zip(*pictures, strict=True))


@pytest.mark.slow
def test_events_that_were_not_kept_have_a_report_without_features(
    plain: Evaluation, tmp_path: Path
) -> None:
    kept = SimpleNamespace(y=plain.y, weight=plain.weight)
    evaluation = Evaluation.of(kept, plain.scores)
    assert (evaluation.auc, evaluation.data) == (plain.auc, None)
    html = evaluation.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert headings(html) == ["ROC curve", "Scores", "Significance", "Calibration", SECTIONS[-1]]


def test_a_report_goes_into_an_existing_folder(plain: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        plain.report(tmp_path / "nowhere" / "report.html")


def test_an_unknown_feature_is_refused_and_writes_nothing(
    plain: Evaluation, tmp_path: Path
) -> None:
    with pytest.raises(FeatureError, match="did you mean"):
        plain.report(tmp_path / "report.html", features=["jetPt_9"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_scores_that_are_no_probabilities_have_no_calibration(
    unseen: Dataset, tmp_path: Path
) -> None:
    few = concatenate([unseen.signal[:20], unseen.background[:20]])
    path = Evaluation.of(few, few.X[:, 12]).report(tmp_path / "r.html", features=())
    names = headings(path.read_text(encoding="utf-8"))
    assert "Calibration" not in names
    assert "Significance" not in names  # fewer than 50 background events in all


def trained(train: Dataset) -> Classifier:
    return Classifier(epochs=2, hidden=(8,), embedding=(4,), seed=5).fit(train, progress=False)


@pytest.mark.slow
def test_files_of_training_and_evaluation_are_listed_once(events: Dataset, tmp_path: Path) -> None:
    train, test = events[::4].split(0.3)
    classifier, path = trained(train), tmp_path / "r.html"
    html = classifier.evaluate(test).report(path, features=(), progress=False).read_text()
    numbers = f"training events ({len(train)} of the events kept) and of the evaluated events"
    assert f"Files of the {numbers} ({len(test)} of the events kept)" in html
    assert html.count(">SHA-256<") == 1
    other = replace(test, sources=(replace(test.sources[0], file="other.root"),))
    html = classifier.evaluate(other).report(path, features=(), progress=False).read_text()
    assert html.count(">SHA-256<") == 2
    assert "other.root" in html


@pytest.mark.slow
def test_two_trainings_with_one_seed_give_the_same_report(
    events: Dataset, unseen: Dataset, tmp_path: Path
) -> None:
    reports = [
        trained(events[::4])
        .evaluate(unseen)
        .report(tmp_path / f"{i}.html", features=["nJets", "jetPt_0"], progress=False)
        for i in range(2)
    ]
    first, second = map(undated, reports)
    assert first == second
    html = reports[0].read_text(encoding="utf-8")
    assert self_contained(html)
    assert headings(html) == [
        *("ROC curve", "Scores of training and test events", "Significance", "Calibration"),
        *("Importance", "Features", "Training", "Model and versions"),
    ]
    # Without yields there is no significance to draw.
    assert html.count("<figure>") == 2 + 1 + 0 + 1 + 2 + 2 + 1
    for name in ("settings.seed", "architecture.hidden", "tensorflow", "none of the 400 events"):
        assert name in html


@pytest.mark.slow
def test_a_report_shows_what_it_is_given_and_what_was_allowed(
    events: Dataset, unseen: Dataset, tmp_path: Path
) -> None:
    judged = trained(events[::8])
    mixed = concatenate([unseen, events[[0, 8]]])
    evaluation = judged.evaluate(mixed, allow_overlap=True)
    path = evaluation.report(
        tmp_path / "r.html",
        features=["jetPt_0"],
        data=replace(unseen, weight=2 * np.ones(len(unseen), np.float32))[:100],
        significance=evaluation.significance(signal=20, background=500, min_background=10),
        learning_curve=evaluation.learning_curve((0.5, 1.0), progress=False),
        progress=False,
    )
    html = path.read_text(encoding="utf-8")
    assert "Not an honest test: 2 of the 402 events (positions 400, 401)" in html
    assert "S = 20 and B = 500 expected" in html
    assert "numbers of events in the sample" not in html
    assert "AUC over the number of training events (250 to 500)" in html
    assert "jetPt_0 in GeV of 100 signal and 0 background events" in html
