"""One number has the same error in the same digits, wherever it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_evaluation import DATA
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.evaluation.sections import working_points
from tfaas_nb.measured import Measured
from tfaas_nb.metrics import Overtraining
from tfaas_nb.widgets import RocView
from tfaas_nb.wire.params import working_points_in

#: Cuts that the report, widgets and ``params.json`` all tell.
COMMON = (0.3, 0.5, 0.8, 0.9)


def evaluations() -> dict[str, Evaluation]:
    few = DATA[:40]
    one = DATA[np.r_[1, 0:400:2]]
    return {
        "usual": Evaluation.of(DATA, DATA.X[:, 0]),
        "separated": Evaluation.of(DATA, DATA.y),
        "few": Evaluation.of(few, few.X[:, 0]),
        "one event of signal": Evaluation.of(one, one.X[:, 0]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", evaluations())
def test_report_widgets_params_and_repr_tell_the_same(name: str) -> None:
    evaluation = evaluations()[name]
    known = {round(p["eps_s"], 1): p for p in working_points_in(evaluation.working_points())}
    report = working_points(evaluation.roc).rows
    view = RocView(evaluation)
    for at, eps_s in enumerate(COMMON):
        point = evaluation.working_point(eps_s)
        told = (str(point.signal_efficiency), str(point.background_efficiency))
        assert report[at][1:3] == told
        assert report[at][3] == point.background_rejection.text
        if eps_s in known and name != "few":
            text = known[eps_s]["text"]
            assert (text["eps_s"], text["eps_b"], text["rejection"]) == (*told, point.told())
        view.move(eps_s)
        shown = unescape(view.numbers.value)
        for text in (*told, point.background_rejection.text, point.convention):
            assert text in shown
    assert str(evaluation.roc.area) in unescape(view.rejections.value)
    assert evaluation.roc.area.equation in repr(evaluation)
    assert evaluation.roc.area.equation in unescape(evaluation._repr_html_())
    for eps_s, row in zip((0.3, 0.5), evaluation.rejections().rows, strict=True):
        assert row[3] == evaluation.working_point(eps_s).background_rejection.text


@pytest.mark.parametrize("name", evaluations())
def test_params_json_has_the_numbers_of_its_texts(name: str) -> None:
    for point in evaluations()[name].working_points():
        found = Measured(
            point["eps_b"],
            point.get("eps_b_error"),
            point.get("eps_b_low"),
            point.get("eps_b_high"),
            is_chosen=point["chosen"] == "eps_b",
        )
        assert str(found) == point["text"]["eps_b"]
        assert 0 <= point["background_passed"] <= point["background_events"]


NONSENSE = re.compile(r"± 0\.?0*(?!\.?\d)|\binf\b|∞|\bnan\b", re.IGNORECASE)


def without_nonsense(pages: Iterable[object]) -> None:
    for page in pages:
        text = unescape(re.sub(r"<[^>]*>", " ", re.sub(r'src="[^"]*"', "", str(page))))
        assert not NONSENSE.search(text), text[-2000:]


@pytest.mark.parametrize("name", evaluations())
def test_no_error_is_zero_or_infinite(name: str) -> None:
    evaluation = evaluations()[name]
    points = [evaluation.working_point(eps) for eps in (0.001, 0.1, 0.5, 1.0)]
    points += [evaluation.roc.at_threshold(cut) for cut in (-1.0, 0.0, 0.5, 0.9999, 2.0)]
    same, band = evaluation.compare(evaluation), evaluation.band(replicas=20)
    without_nonsense([*points, *(p.table() for p in points), evaluation, same, same.table()])
    without_nonsense([evaluation.rejections(), working_points(evaluation.roc, band), band])
    without_nonsense([evaluation.working_points(), evaluation.to_dict()])
    without_nonsense([Overtraining.of(evaluation.roc, evaluation.roc).table()])


@pytest.mark.slow
@pytest.mark.parametrize("name", evaluations())
def test_no_report_and_no_widget_shows_such_errors(name: str, tmp_path: Path) -> None:
    evaluation = evaluations()[name]
    view = RocView(evaluation)
    pages = [evaluation.report(tmp_path / "r.html", features=()).read_text(encoding="utf-8")]
    for cut in (-1.0, 0.0, 0.5, 0.9999, 1.0, 2.0):
        view.threshold.value = cut
        pages.append(view.numbers.value)
    without_nonsense([*pages, view.rejections.value, evaluation._repr_html_()])


def test_a_working_point_shows_its_errors_in_two_digits_and_says_what_they_are() -> None:
    point = evaluations()["usual"].working_point(eps_b=0.01)
    assert re.search(r"ε_S = 0\.\d+ ± 0\.0*[1-9]\d,", repr(point))
    assert "ε_B = 0.0" in repr(point)
    assert "(chosen)" in repr(point)
    assert "includes the movement of the threshold with the background events" in repr(point)
    assert "<table>" in point._repr_html_()
