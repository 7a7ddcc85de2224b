from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from tests.plots.drawings import DRAWINGS, every_drawing
from tfaas_nb import plots
from tfaas_nb.errors import DataError


@pytest.mark.slow
@every_drawing
def test_a_picture_is_png_and_leaves_nothing_behind(draw: Any) -> None:
    picture = plots.png(draw, size=(4.0, 3.0), dpi=50)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (200, 150)
    assert not plt.get_fignums()


def test_a_picture_leaves_open_figures_alone() -> None:
    open_figure = plt.figure()
    plots.png(DRAWINGS["roc"])
    assert plt.gcf() is open_figure
    plt.close(open_figure)


def test_an_image_for_a_cell_has_the_picture_inside() -> None:
    assert plots.html_image(b"\0\1\2", "ROC curve") == (
        '<img alt="ROC curve" style="max-width:480px" src="data:image/png;base64,AAEC"/>'
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_drawing_gives_the_same_file(kind: str, tmp_path: Path) -> None:
    draw = DRAWINGS["feature"]  # has hatches, whose names are made up
    first = plots.save(draw, tmp_path / f"a.{kind}").read_bytes()
    assert first == plots.save(draw, tmp_path / f"b.{kind.upper()}").read_bytes()
    assert b"Date" not in first


@pytest.mark.slow
def test_a_vector_picture_is_xml_without_text_to_render() -> None:
    root = ElementTree.fromstring(plots.svg(DRAWINGS["history"]))
    assert root.tag.endswith("svg")
    assert not root.findall(".//{http://www.w3.org/2000/svg}text")
    assert plots.pdf(DRAWINGS["history"]).startswith(b"%PDF")


def test_axes_are_saved_with_their_figure(tmp_path: Path) -> None:
    figure = Figure(figsize=(4, 3))
    ax, other = figure.subplots(2)
    DRAWINGS["history"](ax)
    saved = plots.save(other, tmp_path / "both.png").read_bytes()
    assert struct.unpack(">II", saved[16:24]) == (600, 450)


def test_a_figure_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of \.png, \.svg, \.pdf"):
        plots.save(DRAWINGS["history"], tmp_path / "a.jpg")
    with pytest.raises(DataError, match="does not exist"):
        plots.save(DRAWINGS["history"], tmp_path / "nowhere" / "a.png")


def test_a_vector_picture_in_a_cell_is_told_as_such() -> None:
    assert "data:image/svg+xml;base64," in plots.html_image(b"<?xml?><svg/>", "a < b")
    assert 'alt="a &lt; b"' in plots.html_image(b"<svg/>", "a < b")
