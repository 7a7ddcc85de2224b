"""Scores of files that lack what others have, and of values that are not finite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests.graphs import placeholder, serialized
from tests.ntuples import write_tree
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli import main
from tfaas_nb.errors import DataError, MixedFilesError
from tfaas_nb.serving.server import Server

pytestmark = pytest.mark.slow

NAN = float("nan")


def product(tf: Any) -> None:
    """The first value times ten, plus the second."""
    x = placeholder(tf, width=2)
    tf.reduce_sum(x * [[10.0, 1.0]], axis=1, keepdims=True, name="y")


@pytest.fixture(scope="module")
def model() -> Bundle:
    """Scores ten times x plus HLT_A."""
    return Bundle.from_parts(b'{"name": "sum", "features": ["x", "HLT_A"]}', serialized(product))


def events(folder: Path, name: str, first: int, *more: str) -> Path:
    """Three events; of more branches luminosityBlock, HLT_A and w may be there."""
    values: dict[str, Any] = {
        "run": np.full(3, first, np.uint32),
        "event": np.arange(first, first + 3, dtype=np.uint64),
        "x": np.arange(first, first + 3, dtype=np.float64),
    }
    others = {
        "luminosityBlock": np.arange(3, dtype=np.uint32) + 1,
        "HLT_A": np.array([True, False, True]),
        "w": np.array([0.5, 1.5, 2.5], np.float32),
    }
    return write_tree(folder / name, values | {name: others[name] for name in more})


def written(path: Path) -> dict[str, Any]:
    with uproot.open(path) as file:
        return dict(file["scores"].arrays(library="np"))


ALL = ("luminosityBlock", "HLT_A", "w")


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize("on_cluster", [False, True])
def test_a_file_without_luminosity_block_is_refused_in_any_order(
    model: Bundle, tmp_path: Path, on_error: str, on_cluster: bool, request: pytest.FixtureRequest
) -> None:
    has, lacks = events(tmp_path, "a.root", 1, *ALL), events(tmp_path, "b.root", 10, *ALL[1:])
    options = {"cluster": request.getfixturevalue("two") if on_cluster else None}
    told = []
    for files in ([has, lacks], [lacks, has]):
        with pytest.raises(MixedFilesError, match=r"b\.root has no branch 'lumi.*a\.root") as why:
            tn.score(
                files, model, tmp_path / "s.root", on_error=on_error, progress=False, **options
            )
        told.append(str(why.value))
    assert told[0] == told[1]
    assert "optional=['luminosityBlock']" in told[0]
    assert not (tmp_path / "s.root").exists()
    alone = tn.score(lacks, model, tmp_path / "s.root", progress=False)
    assert alone.columns == ("run", "event", "file", "entry", "score")


@pytest.mark.parametrize("on_cluster", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_optional_branches_are_zero_where_they_are_absent(
    model: Bundle, tmp_path: Path, turned: bool, on_cluster: bool, request: pytest.FixtureRequest
) -> None:
    files = [events(tmp_path, "a.root", 1, *ALL), events(tmp_path, "b.root", 10)]
    files = files[::-1] if turned else files
    cluster = request.getfixturevalue("two") if on_cluster else None
    with pytest.warns(UserWarning, match=r"is read as 0 in b\.root, of 2 files") as warned:
        made = tn.score(
            files, model, tmp_path / "s.root", keep=("w", "HLT_A"), optional=ALL,
            progress=False, cluster=cluster,
        )  # fmt: skip
    assert sorted(str(one.message).split("'")[1] for one in warned) == sorted(ALL)
    assert {one.filename for one in warned} == {__file__}
    columns = ("run", "luminosityBlock", "event", "w", "HLT_A", "file", "entry", "score")
    assert made.columns == columns
    found = written(made.output)
    order = np.argsort(found["event"])
    expected = {
        "event": [1, 2, 3, 10, 11, 12],
        "luminosityBlock": [1, 2, 3, 0, 0, 0],
        "w": [0.5, 1.5, 2.5, 0, 0, 0],
        "HLT_A": [1, 0, 1, 0, 0, 0],
        "score": [11, 20, 31, 100, 110, 120],
    }
    assert {name: found[name][order].tolist() for name in expected} == expected
    assert found["w"].dtype == np.float32
    assert [(Path(path).name, sorted(names)) for path, names in made.absent] == [
        ("b.root", sorted(ALL))
    ]
    assert "read as 0" in made._repr_html_()


def test_without_the_option_the_error_names_it_and_one_for_nobody_is_refused(
    model: Bundle, tmp_path: Path
) -> None:
    has, lacks = events(tmp_path, "a.root", 1, *ALL), events(tmp_path, "b.root", 10, ALL[0])
    target = tmp_path / "s.root"
    with pytest.raises(DataError, match=r"'HLT_A'.*optional=\['HLT_A'\]"):
        tn.score([has, lacks], model, target, progress=False)
    with pytest.raises(DataError, match="'HLT_A' is in none of 1 files"):
        tn.score(lacks, model, target, optional="HLT_A", progress=False)
    with pytest.raises(DataError, match="optional='HLT_B' is no branch"):
        tn.score(has, model, target, optional="HLT_B", progress=False)
    assert not target.exists()


@pytest.mark.parametrize("on_cluster", [False, True])
def test_events_that_are_not_finite_are_refused_skipped_or_padded(
    model: Bundle, tmp_path: Path, on_cluster: bool, request: pytest.FixtureRequest
) -> None:
    cluster = request.getfixturevalue("two") if on_cluster else None
    values = {"event": np.arange(4), "x": np.array([1.0, NAN, 3.0, 1e39]), "HLT_A": np.ones(4)}
    path = write_tree(tmp_path / "a.root", values)
    options: dict[str, Any] = {"progress": False, "cluster": cluster}
    with pytest.raises(DataError, match=r"'x' .* holds 2 values .* not finite, .* entry 1\b"):
        tn.score(path, model, tmp_path / "s.root", **options)
    for how, entries, scores in (
        ("skip", [0, 2], [11.0, 31.0]),
        ("pad", [0, 1, 2, 3], [11.0, 1.0, 31.0, 1.0]),
    ):
        made = tn.score(path, model, tmp_path / "s.root", on_nan=how, **options)
        found = written(made.output)
        assert found["entry"].tolist() == entries
        assert found["score"].tolist() == scores
        ((name, done),) = made.not_finite
        assert (name, done.events, done.values) == (str(path), 2, (("x", 2),))
        assert "2 events " in repr(made)
        assert "(x: 2 values)" in made._repr_html_()


@pytest.mark.parametrize("how", ["skip", "pad"])
def test_events_that_are_not_finite_are_treated_as_in_the_training(
    how: str, model: Bundle, server: Server, tmp_path: Path
) -> None:
    """By a bundle, by a server that serves it, and by the command; unless it is said otherwise."""
    note = {"file": "a.root", "not_finite": {"on_nan": how, "events": 3, "values": {"x": 3}}}
    taught = replace(model, params=replace(model.params, provenance=(note,)))
    server.client().upload(taught)
    path = write_tree(tmp_path / "a.root", {"x": np.array([1.0, NAN, 3.0]), "HLT_A": np.ones(3)})
    expected = {"skip": [11.0, 31.0], "pad": [11.0, 1.0, 31.0]}[how]
    folder, output = str(taught.save(tmp_path)), tmp_path / "s.root"
    for asked in (taught, folder, f"{server.url}/models/{model.name}"):
        made = tn.score(path, asked, output, token=server.token, progress=False)
        assert written(output)["score"].tolist() == expected
        assert made.not_finite[0][1].on_nan == how
        with pytest.raises(DataError, match="on_nan='skip' leaves"):
            tn.score(path, asked, output, token=server.token, on_nan="error", progress=False)
    assert main(["score", str(path), "--model", folder, "-o", str(output)]) == 0
    assert written(output)["score"].tolist() == expected


def test_the_command_takes_both(
    model: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"event": np.arange(3), "x": np.array([1.0, NAN, 3.0]), "HLT_A": np.ones(3)}
    paths = [
        write_tree(tmp_path / "a.root", values),
        write_tree(tmp_path / "b.root", {"event": np.arange(3), "x": np.arange(3.0)}),
    ]
    folder, output = str(model.save(tmp_path)), str(tmp_path / "s.root")
    command = ["score", *map(str, paths), "--model", folder, "-o", output]
    assert main(command) == 1
    assert "--on-nan skip leaves such events out" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="'HLT_A' is read as 0"):
        assert main([*command, "--on-nan", "skip", "--optional", "HLT_A"]) == 0
    assert "1 event left out for values that are not finite" in capsys.readouterr().out
    assert written(Path(output))["score"].tolist() == [11.0, 31.0, 0.0, 10.0, 20.0]
