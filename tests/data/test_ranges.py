"""Equality of the datasets that a cluster and one process read."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests import dask
from tests.ntuples import add_tree, nano, write_tree
from tfaas_nb.data import event_file
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.errors import ClusterError, DataError, WeightError

SIGNAL, BACKGROUND = tn.sample_files()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four files of events each class, in the working directory, in steps of 6 000 entries."""
    for i in range(8):
        os.link(os.path.realpath((SIGNAL, BACKGROUND)[i % 2]), tmp_path / f"{'sb'[i % 2]}{i}.root")
    monkeypatch.setattr(event_file.steps, "__defaults__", (6_001,))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same(one: Dataset, other: Dataset) -> bool:
    """To the last byte, types and what is told of the files included."""
    arrays = [
        {"X": d.X, "y": d.y, "weight": d.weight, **{f"extra {k}": v for k, v in d.extra.items()}}
        for d in (one, other)
    ]
    return (
        list(arrays[0]) == list(arrays[1])
        and all(a.dtype == arrays[1][k].dtype for k, a in arrays[0].items())
        and all(a.tobytes() == arrays[1][k].tobytes() for k, a in arrays[0].items())
        and (one.sources, one.skipped) == (other.sources, other.skipped)
        and one.features == other.features
    )


def both(two: Any, *arguments: Any, **options: Any) -> tuple[Dataset, Dataset]:
    here = tn.load(*arguments, **options, progress=False)
    return here, tn.load(*arguments, **options, progress=False, cluster=two)


@pytest.mark.slow
def test_the_dataset_is_the_same(two: Any, files: Path) -> None:
    options = {
        "cut": "nJets >= 2 & jetPt_0 > 450",
        "keep": ["evtNo", "runNo"],
        "weight": "jetPt_0 / 450",
    }
    here, there = both(two, "s*.root", "b*.root", **options)
    assert same(here, there)
    assert len(here.sources) == 8
    assert here.sources[0].sha256
    samples = [Sample(f"b{i}.root", xsec=10.0 * i, lumi=2.0) for i in (1, 3)]
    assert same(*both(two, Sample("s0.root", xsec=1.0), samples))


@pytest.mark.slow
def test_a_selection_may_be_a_function(two: Any, files: Path) -> None:
    assert same(*both(two, "s0.root", "b1.root", cut=lambda data: data.X[:, 0] > 2))


@pytest.mark.slow
def test_generated_weights_are_those_of_the_files(two: Any, files: Path) -> None:
    for name in "tu":
        write_tree(files / f"{name}.root", nano(), "Events")
    weighted = [Sample(f"{name}.root", xsec=2.0, weight="genWeight") for name in "tu"]
    assert same(*both(two, *weighted))
    with pytest.warns(UserWarning, match="genWeight of both signs") as warned:
        assert same(*both(two, Sample("t.root", xsec=2.0), Sample("u.root", xsec=3.0)))
    assert len(warned) == 4, "one for each sample, here and there"
    add_tree(files / "u.root", {"genEventSumw": [100.0], "genEventCount": [100]}, "Runs")
    skim, said = Sample("u.root", xsec=2.0, weight="abs(genWeight)"), []
    for cluster in (None, two):
        for on_error in ("stop", "skip"):
            with pytest.raises(WeightError, match=r"u\.root: it was skimmed: 60 of 100") as raised:
                tn.load("s0.root", skim, progress=False, cluster=cluster, on_error=on_error)
            said.append(str(raised.value))
    assert len(set(said)) == 1


@pytest.mark.slow
def test_a_bad_file_is_told_by_name(two: Any, files: Path) -> None:
    whole = (files / "s0.root").read_bytes()
    (files / "s1.root").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    (files / "s9.root").write_bytes(b"no ROOT file")
    told = []
    for cluster in (None, two):
        with pytest.raises(DataError) as raised:
            tn.load("s*.root", "b*.root", progress=False, cluster=cluster)
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert "s1.root" in told[0]
    here, there = both(two, "s*.root", "b*.root", on_error="skip")
    assert same(here, there)
    assert [one.file for one in there.skipped] == ["s1.root", "s9.root"]


@pytest.mark.slow
def test_what_is_the_same_file_twice_is_told_the_same(two: Any, files: Path) -> None:
    with pytest.warns(UserWarning, match="read once"):
        assert len(tn.load(["s0.root", "s0.root"], "b1.root", progress=False, cluster=two)) == 4e4
    with pytest.warns(UserWarning, match="signal and background"):
        again = tn.load("s0.root", "s0.root", progress=False, cluster=two)
    assert np.array_equal(again.signal.X, again.background.X)


@pytest.mark.slow
def test_a_lost_worker_costs_no_event(files: Path, tmp_path: Path) -> None:
    here = tn.load("s*.root", "b*.root", progress=False)
    (tmp_path / "dask").mkdir()
    with dask.cluster(tmp_path / "dask", workers=2) as (cluster, client):
        victim, done = cluster.workers[0], []
        killer = threading.Thread(target=_kill_half_way, args=(client, victim.pid, done))
        killer.start()
        there = tn.load("s*.root", "b*.root", progress=False, cluster=client)
        killer.join()
        assert victim.wait(10) == -signal.SIGKILL
    assert 8 < done[0] < 8 + 8 * 4, "the worker was lost while events were read"
    assert same(here, there)


def _kill_half_way(client: Any, pid: int, done: list[int]) -> None:
    """Once all files were looked into, and the first ranges of them were read."""
    until = time.monotonic() + 60
    while time.monotonic() < until and (count := client.run_on_scheduler(_finished)) < 12:
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    done.append(count)


def _finished(dask_scheduler: Any) -> int:
    """Tasks that were ever finished."""
    return sum(p.state_counts["memory"] for p in dask_scheduler.task_prefixes.values())


@pytest.mark.slow
def test_what_cannot_be_is_refused(files: Path) -> None:
    with pytest.raises(ClusterError, match="a client of Dask, not str"):
        tn.load("s0.root", "b1.root", cluster="127.0.0.1:8786")
    with pytest.raises(DataError, match="leave out cluster="):
        tn.load("s0.root", "b1.root", stream=True, cluster=object())
