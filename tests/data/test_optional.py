"""Branches that only some files have are zero elsewhere, and said so."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.ntuples import emptied, write_ntuple, write_tree
from tfaas_nb.data.counting import count
from tfaas_nb.data.inspection import inspect
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import load, read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet

QUIET: dict[str, Any] = {"progress": False}
WITH_TRIGGER = FeatureSet("trigger", ("x", "HLT_A"))


@pytest.fixture(params=["TTree", "RNTuple"])
def files(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """Six events with the trigger HLT_A and a weight, and five without both."""
    write = write_tree if request.param == "TTree" else write_ntuple
    x, fired = np.arange(6.0), np.array([True, False, True, True, False, False])
    first = {"x": x, "HLT_A": fired, "w": np.linspace(1.0, 2.0, 6), "run": np.arange(6)}
    second = {"x": np.arange(10.0, 15.0), "run": np.arange(10, 15)}
    return write(tmp_path / "a.root", first), write(tmp_path / "b.root", second)


def loop(paths: Any, name: str) -> list[float]:
    """A branch of all files, event by event, with 0 where it is not there."""
    values: list[float] = []
    for path in paths:
        with uproot.open(path) as file:
            tree = file["events"]
            there = name in tree.keys()  # noqa: SIM118 (of a tree)
            own = tree[name].array().to_list() if there else [0] * tree.num_entries
        values += [float(value) for value in own]
    return values


@contextmanager
def told(branch: str, files: str) -> Iterator[None]:
    with pytest.warns(
        UserWarning, match=rf"'{branch}' is read as 0 in {files}, of 2 files"
    ) as all_:
        yield
    assert all_[0].filename == __file__


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_an_optional_branch_is_zero_where_it_is_absent(
    files: tuple[Path, Path], turned: bool, stream: bool
) -> None:
    paths = list(files)[::-1] if turned else list(files)
    options: dict[str, Any] = {"optional": "HLT_A", "stream": stream, "keep": ("HLT_A", "run")}
    with told("HLT_A", r"b\.root"):
        data = read(paths, WITH_TRIGGER, **options, **QUIET)
    sources = data.sources
    assert [(one.file, one.absent) for one in sources if one.absent] == [("b.root", ("HLT_A",))]
    if stream:
        with closing(data.chunks()) as chunks:
            X = np.concatenate([chunk.X for chunk in chunks])
        np.testing.assert_array_equal(X[:, 1], loop(paths, "HLT_A"))
        return
    np.testing.assert_array_equal(data.X[:, 1], loop(paths, "HLT_A"))
    assert data.extra["HLT_A"].dtype == bool
    assert data.extra["HLT_A"].tolist() == [bool(v) for v in loop(paths, "HLT_A")]
    assert data.files.columns[-1] == "read as 0"
    assert (
        dict(zip((row[0] for row in data.files.rows), data.files.rows, strict=True))["b.root"][-1]
        == "HLT_A"
    )


def test_cuts_and_weights_may_be_optional(files: tuple[Path, Path]) -> None:
    x = FeatureSet("x", "x")
    values, fired, w = (np.array(loop(files, name)) for name in ("x", "HLT_A", "w"))
    with told("HLT_A", r"b\.root"):
        data = read(files, x, cut="HLT_A | x > 12", optional=["HLT_A"], **QUIET)
    assert data.X[:, 0].tolist() == values[(fired > 0) | (values > 12)].tolist()
    with told("HLT_A", r"b\.root"):
        data = read(files, x, cut="!HLT_A", optional=["HLT_A"], **QUIET)
    assert data.X[:, 0].tolist() == values[fired == 0].tolist()
    for weight, expected in (("w", w), ("1 + 2 * w", 1 + 2 * w)):
        with told("w", r"b\.root"):
            data = read(files, x, weight=weight, optional=("w",), **QUIET)
        np.testing.assert_allclose(data.weight, expected)
    counts = list(count({"signal": list(files)}, Reading(x, cut="HLT_A", optional=("HLT_A",))))
    assert counts[-1]["signal"].passed == int(fired.sum())


def test_without_the_option_the_error_names_it(files: tuple[Path, Path]) -> None:
    x = FeatureSet("x", "x")
    asked: list[tuple[FeatureSet, dict[str, Any]]] = [
        (WITH_TRIGGER, {}),
        (x, {"keep": "HLT_A"}),
        (x, {"cut": "HLT_A > 0"}),
        (x, {"weight": "HLT_A"}),
    ]
    for features, options in asked:
        with pytest.raises(DataError, match=r"b\.root.*optional=\['HLT_A'\]"):
            read(files, features, **options, **QUIET)


def test_a_mapped_feature_is_optional_by_both_of_its_names(files: tuple[Path, Path]) -> None:
    features = FeatureSet("trigger", ("x", "fired"))
    for name in ("fired", "HLT_A"):
        with told("HLT_A", r"b\.root"):
            data = read(files, features, branches={"fired": "HLT_A"}, optional=[name], **QUIET)
        np.testing.assert_array_equal(data.X[:, 1], loop(files, "HLT_A"))


def test_a_name_that_no_file_has_is_an_error(files: tuple[Path, Path], tmp_path: Path) -> None:
    x = FeatureSet("x", "x")
    for stream in (False, True):
        options: dict[str, Any] = {"stream": stream, **QUIET}
        with pytest.raises(DataError, match=r"'HLT_B' is in none of 2 files.*'HLT_A'"):
            read(files, x, cut="HLT_B | x > 1", optional=["HLT_B"], **options)
        with pytest.raises(DataError, match="optional='HLT_A' is no branch .* reads: leave it out"):
            read(files, x, optional=["HLT_A"], **options)
    empty = emptied(tmp_path / "c.root", files[0]) if files[0].exists() else None
    assert empty is not None
    with told("HLT_A", r"b\.root"):
        read([empty, *files], WITH_TRIGGER, optional=["HLT_A"], **QUIET)


def test_a_class_may_lack_it_as_a_whole(files: tuple[Path, Path]) -> None:
    with told("HLT_A", r"b\.root"):
        data = load(files[1], files[0], WITH_TRIGGER, optional=["HLT_A"], **QUIET)
    assert not data.signal.X[:, 1].any()
    assert data.background.X[:, 1].sum() == 3


def test_a_variable_of_jets_may_be_optional(tmp_path: Path) -> None:
    pt = ak.Array([[500.0, 400.0], [], [300.0]])
    has = {"jetPt": pt, "jetTau4": pt / 1000, "x": np.arange(3.0)}
    lacks = {"jetPt": pt, "x": np.arange(3.0)}
    paths = [
        write_tree(tmp_path / "a.root", has),
        write_tree(tmp_path / "b.root", lacks),
    ]
    features = FeatureSet("jets", (), ("jetPt", "jetTau4"), jets=2, padding=-1.0)
    with told("jetTau4", r"b\.root"):
        data = read(paths, features, optional=["jetTau4"], **QUIET)
    expected = [[500, 400, 0.5, 0.4], [-1] * 4, [300, -1, 0.3, -1]]
    expected += [[500, 400, 0, 0], [-1] * 4, [300, -1, 0, -1]]
    np.testing.assert_allclose(data.X, np.array(expected, np.float32))
    x = FeatureSet("x", "x", jets=2)
    with told("jetTau4", r"b\.root"):
        assert len(read(paths, x, cut="jetTau4_0 > 0.35", optional=["jetTau4"], **QUIET)) == 1
    with pytest.raises(DataError, match=r"b\.root.*optional=\['jetTau4'\]"):
        read(paths, features, **QUIET)
    no_pt = write_tree(tmp_path / "c.root", {"jetTau4": pt, "x": np.arange(3.0)})
    with pytest.raises(DataError, match="no branch 'jetPt'") as why:
        read([paths[0], no_pt], features, optional=["jetPt"], **QUIET)
    assert "optional=" not in str(why.value)  # nothing tells then what is a jet


def test_inspect_says_what_is_read_as_zero(files: tuple[Path, Path]) -> None:
    assert not inspect(files[1], WITH_TRIGGER).is_readable
    found = inspect(files[1], WITH_TRIGGER, optional=["HLT_A"])
    assert found.is_readable
    assert {one.variable: one.origin[:2] for one in found.variables} == {"x": "x", "HLT_A": "0,"}


@pytest.mark.slow
def test_a_cluster_reads_the_same(two: Any, files: tuple[Path, Path]) -> None:
    read_by = []
    for cluster in (None, two):
        with told("HLT_A", r"b\.root"):
            read_by.append(
                read(files, WITH_TRIGGER, keep="HLT_A", optional="HLT_A", cluster=cluster, **QUIET)
            )
    here, there = read_by
    assert here.X.tobytes() == there.X.tobytes()
    assert (here.sources, here.extra["HLT_A"].dtype) == (there.sources, there.extra["HLT_A"].dtype)


def test_nothing_is_said_where_nothing_is_absent(files: tuple[Path, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = read(files[0], WITH_TRIGGER, optional=["HLT_A"], **QUIET)
    assert data.files.columns[-1] == "events read"
