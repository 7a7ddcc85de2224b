"""Faults of files and disks below a running server: an error for what is touched, no more."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.reliability.disks import Disk, mounted
from tests.reliability.sums import KEYS, SUM, VALUES, sum_of
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import (
    ModelNotFound,
    RepositoryError,
    RepositoryFull,
    RepositoryUnreachable,
    TfaasError,
)
from tfaas_nb.repository import Repository
from tfaas_nb.serving.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def good() -> Bundle:
    return sum_of("good")


@pytest.fixture(scope="module")
def twice() -> Bundle:
    return sum_of("twice", factor=2.0)


def score(client: Client, name: str) -> float:
    found = client.predict(name, VALUES, keys=KEYS)
    assert isinstance(found, float)
    return found


def status(server: Server, name: str) -> int:
    body = {"keys": KEYS, "values": VALUES, "model": name}
    return requests.post(f"{server.url}/json", json=body, timeout=10).status_code


def left_overs(server: Server) -> list[str]:
    return sorted(path.name for path in (server.directory / ".incoming").iterdir())


# --- a disk that is full, or read-only --------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk") as found:
        yield found


@pytest.fixture
def on_disk(disk: Disk, good: Bundle, twice: Bundle) -> Iterator[Server]:
    """A server whose models are on a small disk; one of two is in memory at a time."""
    with Server(disk.path / "models", port=0, token=False, memory=1) as server:
        for bundle in (good, twice):
            server.client().upload(bundle)
        yield server


def test_a_full_disk_refuses_uploads_and_serves(
    disk: Disk, on_disk: Server, good: Bundle, twice: Bundle
) -> None:
    client = on_disk.client()
    for blocks in range(6):  # so that it is full at one file of the upload or another
        disk.fill(left=blocks * 4096)
        with pytest.raises(RepositoryFull, match=r"No space left on device; delete models or"):
            client.upload(sum_of("twice", factor=3.0 + blocks))
        assert score(client, "twice") == 2 * SUM
        assert score(client, "good") == SUM
        assert left_overs(on_disk) == []
        assert [row[0] for row in client.models().rows] == ["good", "twice"]
        disk.empty()
        version = client.upload(twice)
        assert version == 2 + blocks, "a refused upload takes no number"
    assert RepositoryFull.status == 507


def test_a_full_disk_can_be_emptied_by_deleting(
    disk: Disk, on_disk: Server, good: Bundle, twice: Bundle
) -> None:
    client = on_disk.client()
    assert [client.upload(good) for _ in range(3)] == [2, 3, 4]
    disk.fill()
    client.delete("good/versions/1")
    disk.fill()
    client.delete("good")
    with pytest.raises(ModelNotFound):
        score(client, "good")
    assert score(client, "twice") == 2 * SUM
    assert client.upload(good) == 5, "its numbers are remembered"
    assert score(client, "good") == SUM


def test_a_read_only_disk_serves_what_is_there(disk: Disk, on_disk: Server, good: Bundle) -> None:
    client = on_disk.client()
    disk.set_readonly(True)
    changes: list[Callable[[], object]] = [
        lambda: client.upload(good),
        lambda: client.delete("good"),
        lambda: client.delete("good/versions/1"),
        lambda: client.label("good", "best"),
    ]
    for change in changes:
        with pytest.raises(RepositoryError, match=r"('good|'best).*: Read-only file system"):
            change()
    for _ in range(2):
        assert score(client, "good") == SUM
        assert score(client, "twice") == 2 * SUM
    on_disk.stop()
    with Server(disk.path / "models", port=0, token=False, preload=True) as again:
        assert again.damaged == {}
        assert score(again.client(), "good") == SUM
        disk.set_readonly(False)
        assert again.client().upload(good) == 2
        again.client().delete("good/versions/1")


# --- a directory that is away -----------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, good: Bundle, twice: Bundle) -> Iterator[Server]:
    with Server(tmp_path / "models", port=0, token=False, memory=1) as running:
        for bundle in (twice, good):
            running.client().upload(bundle)
        assert score(running.client(), "good") == SUM
        yield running


@pytest.mark.parametrize("in_its_place", ["nothing", "an empty directory"])
def test_while_the_directory_is_away_models_in_memory_are_served(
    server: Server, good: Bundle, tmp_path: Path, in_its_place: str
) -> None:
    client, away = server.client(), tmp_path / "away"
    server.directory.rename(away)
    if in_its_place != "nothing":  # as a mount point is when its disk is gone
        server.directory.mkdir()
    for _ in range(3):
        assert score(client, "good") == SUM
        with pytest.raises(RepositoryUnreachable, match="was there and is no more: bring it back"):
            score(client, "twice")
    for ask in (client.models, lambda: client.upload(good), lambda: client.delete("good")):
        with pytest.raises(RepositoryUnreachable, match="was there and is no more"):
            ask()
    assert status(server, "twice") == 503
    assert "was there and is no more" in repr(server)
    assert "was there and is no more" in server._repr_html_()
    assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    if in_its_place != "nothing":
        assert not list(server.directory.iterdir()), "what is stored here would be hidden later"
        server.directory.rmdir()
    away.rename(server.directory)
    assert score(client, "twice") == 2 * SUM
    assert client.upload(good) == 2
    assert score(client, "good") == SUM


def test_what_was_changed_while_it_was_away_is_noticed(
    server: Server, twice: Bundle, tmp_path: Path
) -> None:
    client, away = server.client(), tmp_path / "away"
    server.directory.rename(away)
    assert score(client, "good") == SUM
    Repository(away).store(twice.renamed("good"))
    away.rename(server.directory)
    assert score(client, "good") == 2 * SUM


def test_another_directory_in_its_place_is_served(
    server: Server, twice: Bundle, tmp_path: Path
) -> None:
    client = server.client()
    shutil.rmtree(server.directory)
    with pytest.raises(RepositoryUnreachable):
        score(client, "twice")
    Repository(server.directory).store(twice.renamed("new"))
    assert score(client, "new") == 2 * SUM
    with pytest.raises(ModelNotFound):
        score(client, "good")


# --- a file that is not what it was -----------------------------------------------------

FILES = (
    *("params.json", "model.pb", "model.pb.txt", "labels.txt"),
    *("model_card.json", "reference_events.json", "manifest.json"),
)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replaced_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def endless(path: Path) -> None:
    path.symlink_to(path)


def unreadable(path: Path) -> None:
    """Whoever reads it gets the system's error of a broken disk, EIO."""
    path.symlink_to("/proc/self/mem")


FAULTS: dict[str, Callable[[Path], None]] = {
    "a bit has flipped": flipped,
    "the end is missing": cut,
    "it is gone": Path.unlink,
    "it is a directory": replaced_by(Path.mkdir),
    "it is a pipe": replaced_by(os.mkfifo),
    "it leads to itself": replaced_by(endless),
    "it cannot be read (EIO)": replaced_by(unreadable),
}


@pytest.fixture(scope="module")
def damaging(
    tmp_path_factory: pytest.TempPathFactory, good: Bundle, twice: Bundle
) -> Iterator[Server]:
    """A server that reads a model anew whenever another one was asked."""
    directory = tmp_path_factory.mktemp("damaging")
    with Server(directory / "models", port=0, token=False, memory=1) as server:
        for bundle in (good, twice):
            server.client().upload(bundle)
        yield server


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_an_error_of_its_model_alone(
    damaging: Server, tmp_path: Path, name: str, fault: str
) -> None:
    client, path = damaging.client(), damaging.directory / "twice" / "versions" / "1" / name
    # A hash that is not what it was is told as if the file were not.
    told = ".*sha256" if name == "manifest.json" and fault == "a bit has flipped" else name
    saved = tmp_path / "saved"
    shutil.copy2(path, saved)
    assert score(client, "good") == SUM
    FAULTS[fault](path)
    try:
        for _ in range(2):
            with pytest.raises(RepositoryError, match=f"'twice' is damaged on disk: .*{told}"):
                score(client, "twice")
            assert status(damaging, "twice") == 500
            assert score(client, "good") == SUM
        listed = {row[0] for row in client.models().rows}
        assert listed == {"good", "twice"}
    finally:
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        saved.rename(path)
    assert score(client, "twice") == 2 * SUM


def test_every_file_of_a_version_is_among_those(damaging: Server) -> None:
    path = damaging.directory / "twice" / "versions" / "1"
    assert {found.name for found in path.iterdir()} == set(FILES)


@pytest.mark.parametrize("where", ["versions", "versions/1"])
def test_a_directory_that_cannot_be_read_is_an_error_of_its_model_alone(
    damaging: Server, tmp_path: Path, where: str
) -> None:
    client, path = damaging.client(), damaging.directory / "twice" / where
    assert score(client, "good") == SUM
    path.rename(tmp_path / "saved")
    path.symlink_to(path)
    try:
        # Somebody else's change makes it look again.
        client.label("good", "best")
        for _ in range(2):
            with pytest.raises(RepositoryError) as caught:
                score(client, "twice")
            assert not isinstance(caught.value, ModelNotFound)
            assert "Too many levels of symbolic links" in str(caught.value)
            assert score(client, "good") == SUM
        told = {model["name"]: model.get("error", "") for model in client.describe_models()}
        assert told["good"] == ""
        assert "symbolic links" in told["twice"]
    finally:
        path.unlink()
        (tmp_path / "saved").rename(path)
    assert score(client, "twice") == 2 * SUM


def test_a_damaged_model_is_healed_by_an_upload(server: Server, twice: Bundle) -> None:
    client = server.client()
    flipped(server.directory / "twice" / "versions" / "1" / "model.pb")
    with pytest.raises(RepositoryError, match="upload the model again"):
        score(client, "twice")
    assert client.upload(twice) == 2
    assert score(client, "twice") == 2 * SUM


# --- a clock that jumps -----------------------------------------------------------------

DAY = 86_400 * 10**9


@pytest.mark.parametrize("jump", [-365 * DAY, -1, 365 * DAY])
def test_versions_do_not_depend_on_the_clock(
    server: Server, good: Bundle, twice: Bundle, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    client, now = server.client(), time.time_ns()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now + jump)
        assert client.upload(twice.renamed("good")) == 2
        assert score(client, "good") == 2 * SUM
        assert client.upload(good) == 3
    assert score(client, "good") == SUM
    assert client.upload(twice) == 2
    last = Repository(server.directory).last_uploaded()
    assert last is not None
    assert (last.name, last.version) == ("twice", 2)
    assert server.service.model(None).stored == last


@pytest.mark.parametrize("jump", [-365 * DAY, 365 * DAY])
def test_files_of_another_time_are_served(
    server: Server, good: Bundle, twice: Bundle, jump: int
) -> None:
    """As another machine writes them whose clock is wrong."""
    client, other = server.client(), Repository(server.directory)
    for bundle, expected in ((twice.renamed("good"), 2 * SUM), (good, SUM)):
        other.store(bundle)
        then = time.time_ns() + jump
        for path in sorted(server.directory.rglob("*"), reverse=True):
            os.utime(path, ns=(then, then))
        assert score(client, "good") == expected
    assert client.upload(twice.renamed("good")) == 4
    assert score(client, "good") == 2 * SUM


def test_errors_have_statuses_of_their_own() -> None:
    kinds: tuple[type[TfaasError], ...] = (RepositoryError, RepositoryUnreachable, RepositoryFull)
    assert [kind.status for kind in kinds] == [500, 503, 507]
