from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests import dask
from tests.ntuples import emptied
from tfaas_nb.bundle import Bundle
from tfaas_nb.cli import main
from tfaas_nb.data import event_file
from tfaas_nb.errors import ClusterError, DataError
from tfaas_nb.serving.server import Server

pytestmark = pytest.mark.slow

SIGNAL, BACKGROUND = tn.sample_files()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Four files under names of their own."""
    folder = tmp_path_factory.mktemp("files")
    for i in range(4):
        os.link(os.path.realpath((SIGNAL, BACKGROUND)[i % 2]), folder / f"{i}.root")
    return sorted(map(str, folder.glob("*.root")))


def read(*paths: Path) -> dict[str, Any]:
    """The columns of files of scores one after the other."""
    found = [uproot.open(path)["scores"].arrays(library="np") for path in paths]
    return {name: np.concatenate([f[name] for f in found]) for name in found[0]}


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return list(found) == list(expected) and all(
        found[name].tobytes() == values.tobytes() for name, values in expected.items()
    )


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file.steps, "__defaults__", (6_001,))


@pytest.mark.usefixtures("small_steps")
def test_what_is_written_is_the_same(
    two: Any, files: list[str], bundle: Bundle, tmp_path: Path
) -> None:
    here = tn.score(files, bundle, tmp_path / "a.root", progress=False)
    there = tn.score(files, bundle, tmp_path / "b.root", cluster=two, progress=False)
    assert same(read(there.output), read(here.output))
    assert (there.files, there.columns) == (here.files, here.columns)


@pytest.mark.parametrize("form", ["root", "parquet"])
def test_a_folder_has_a_file_for_each(
    two: Any, files: list[str], bundle: Bundle, tmp_path: Path, form: str
) -> None:
    for _ in range(2):
        made = tn.score(files, bundle, tmp_path / "scores", parts=form, cluster=two, progress=False)
    names = sorted(p.name for p in made.output.iterdir())
    assert names == [f"{i:05d}-{i}.{form}" for i in range(4)]
    assert [p.name for p in tmp_path.iterdir()] == ["scores"]


def test_a_bad_file_is_told_by_name(
    two: Any, files: list[str], bundle: Bundle, tmp_path: Path
) -> None:
    bad, cut = tmp_path / "bad.root", tmp_path / "cut.root"
    bad.write_bytes(b"no ROOT file")
    whole = Path(files[0]).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    given = [files[0], str(bad), files[1], str(cut), files[2]]
    with pytest.raises(DataError, match=r"bad\.root"):
        tn.score(given, bundle, tmp_path / "a.root", cluster=two, progress=False)
    assert not (tmp_path / "a.root").exists()
    made = tn.score(
        given, bundle, tmp_path / "a.root", cluster=two, on_error="skip", progress=False
    )
    here = tn.score(given, bundle, tmp_path / "b.root", on_error="skip", progress=False)
    assert [path for path, _ in made.skipped] == [str(bad), str(cut)]
    assert made.files == here.files == tuple((path, 20_000, 20_000) for path in files[:3])
    assert same(read(made.output), read(here.output))


def test_an_empty_tree_is_a_file_without_events(two: Any, bundle: Bundle, tmp_path: Path) -> None:
    empty = emptied(tmp_path / "empty.root", SIGNAL)
    there = tn.score([empty, SIGNAL], bundle, tmp_path / "a.root", cluster=two, progress=False)
    here = tn.score([empty, SIGNAL], bundle, tmp_path / "b.root", progress=False)
    assert same(read(there.output), read(here.output))
    assert there.files == here.files


def test_workers_ask_a_server(
    two: Any, serving: Server, bundle: Bundle, files: list[str], tmp_path: Path
) -> None:
    address = f"{serving.url}/models/ttbar"
    made = tn.score(
        files[:1], address, tmp_path / "a.root", token=serving.token, cluster=two, progress=False
    )
    here = tn.score(files[:1], bundle, tmp_path / "b.root", progress=False)
    assert np.abs(read(made.output)["score"] - read(here.output)["score"]).max() <= 1e-6


def test_what_is_no_cluster_is_refused(files: list[str], bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="a client of Dask, not str"):
        tn.score(files, bundle, tmp_path / "a.root", cluster="127.0.0.1:8786")
    assert not list(tmp_path.iterdir())


@pytest.mark.endurance
def test_a_million_events_while_a_worker_is_killed(bundle: Bundle, tmp_path: Path) -> None:
    """40 files; every event once, the same bytes as from one process."""
    (tmp_path / "in").mkdir()
    one = tmp_path / "in" / "one.root"
    events = uproot.concatenate([f"{SIGNAL}:events", f"{BACKGROUND}:events"])[:25_000]
    with uproot.recreate(one) as file:
        file.mktree("events", {name: events[name].type.content for name in events.fields})
        file["events"].extend({name: events[name] for name in events.fields})
    paths = [tmp_path / "in" / f"{i:02d}.root" for i in range(40)]
    for path in paths:
        shutil.copy(one, path)
    here = tn.score(paths, bundle, tmp_path / "here.root", progress=False)
    (tmp_path / "dask").mkdir()
    with dask.cluster(tmp_path / "dask", workers=2) as (cluster, client):
        victim = cluster.workers[1]
        done: list[int] = []
        killer = threading.Thread(target=_kill_half_way, args=(client, victim.pid, done))
        killer.start()
        there = tn.score(
            paths, bundle, tmp_path / "there", parts="root", cluster=client, progress=False
        )
        killer.join()
        assert victim.wait(10) == -signal.SIGKILL
    assert 50 <= done[0] < 75, "the worker was lost while events were read"
    assert there.events == here.events == 1_000_000
    assert same(read(*sorted(there.output.iterdir())), read(here.output))


def _kill_half_way(client: Any, pid: int, done: list[int]) -> None:
    """Once 40 files were looked into and 10 of them, or some more, were read."""
    until = time.monotonic() + 120
    while time.monotonic() < until and (count := client.run_on_scheduler(_finished)) < 50:
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    done.append(count)


def _finished(dask_scheduler: Any) -> int:
    """Tasks that were ever finished."""
    return sum(p.state_counts["memory"] for p in dask_scheduler.task_prefixes.values())


def test_the_command_has_a_cluster_score(
    two: Any, bundle: Bundle, files: list[str], tmp_path: Path
) -> None:
    model = bundle.save(tmp_path)
    command = ["score", "--model", str(model), *files, "-o", str(tmp_path / "scores")]
    assert main([*command, "--parts", "root", "--cluster", two.scheduler.address]) == 0
    assert len(list((tmp_path / "scores").iterdir())) == 4
