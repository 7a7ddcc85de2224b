from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import LABELS, MODEL, PARAMS, Bundle
from tfaas_nb.errors import ModelNotFound, RepositoryError
from tfaas_nb.repository import MANIFEST, Repository

#: A process that stores an archive so many times and tells the versions.
STORE = """
import sys
from tfaas_nb.bundle import Bundle
from tfaas_nb.repository import Repository
archive, directory, times = sys.argv[1:]
bundle = Bundle.load(archive)
for _ in range(int(times)):
    print(Repository(directory).store(bundle).version, flush=True)
"""

#: A process whose children store without end and are killed in the midst of it.
KILL = """
import os, signal, sys, time
from tfaas_nb.bundle import Bundle
from tfaas_nb.repository import Repository
archive, directory, times = sys.argv[1:]
bundle = Bundle.load(archive)
for kill in range(int(times)):
    child = os.fork()
    while not child:
        os.write(1, b"%d\\n" % Repository(directory).store(bundle).version)
    time.sleep(0.02 + 0.0017 * kill)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def start(script: str, bundle: Bundle, directory: Path, times: int) -> subprocess.Popen[str]:
    archive = bundle.save_archive(directory.parent)
    command = [sys.executable, "-c", script, str(archive), str(directory), str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def versions_told(process: subprocess.Popen[str]) -> list[int]:
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return [int(line) for line in printed.split()]


@pytest.fixture(scope="module")
def small() -> Bundle:
    return Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum), b"total\n")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "models")


# --- versions ---------------------------------------------------------------------------


def test_a_new_repository_is_empty_and_makes_nothing(repository: Repository) -> None:
    assert repository.models() == ()
    assert repository.last_uploaded() is None
    assert not repository.directory.exists()
    assert repr(repository).endswith("models', 0 models)")


def test_what_is_stored_comes_back(repository: Repository, bundle: Bundle) -> None:
    stored = repository.store(bundle)
    assert repository.find("ttbar") == stored
    assert repository.load(stored).files() == bundle.files()
    assert repository.params(stored) == bundle.params
    assert stored.path == repository.directory / "ttbar" / "versions" / "1"


def test_versions_grow_and_the_latest_is_found(
    repository: Repository, bundle: Bundle, other_bundle: Bundle
) -> None:
    versions = [repository.store(b).version for b in (bundle, other_bundle, bundle)]
    assert versions == [1, 2, 3]
    assert repository.find("ttbar").version == 3
    assert repository.load(repository.find("ttbar")).graph == bundle.graph
    assert [stored.version for stored in repository.models()] == [3]


def test_the_tenth_version_comes_after_the_ninth(repository: Repository, small: Bundle) -> None:
    assert [repository.store(small).version for _ in range(11)] == list(range(1, 12))
    assert repository.find("sum").version == 11


def test_models_are_listed_by_name(repository: Repository, small: Bundle) -> None:
    for name in ("c", "a", "b"):
        repository.store(small.renamed(name))
    assert [stored.name for stored in repository.models()] == ["a", "b", "c"]
    assert repr(repository).endswith(", 3 models)")


def test_the_last_uploaded_model_is_known_after_a_restart(
    repository: Repository, small: Bundle
) -> None:
    for name in ("b", "a", "c", "a"):
        repository.store(small.renamed(name))
    last = Repository(repository.directory).last_uploaded()
    assert last is not None
    assert (last.name, last.version) == ("a", 2)


def test_nothing_is_left_beside_the_versions(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    assert not list((repository.directory / ".incoming").iterdir())


# --- delete -----------------------------------------------------------------------------


def test_a_deleted_model_is_gone_with_all_its_versions(
    repository: Repository, small: Bundle
) -> None:
    repository.store(small)
    repository.store(small)
    repository.store(small.renamed("other"))
    repository.delete("sum")
    assert [stored.name for stored in repository.models()] == ["other"]
    left = [path.name for path in (repository.directory / "sum").rglob("*") if path.is_file()]
    assert left, "the numbers given must be remembered"
    assert all(name.startswith(".deleted") for name in left)
    assert repository.store(small).version == 3, "a number is never given again"


def test_what_killed_uploads_left_is_removed_later(repository: Repository, bundle: Bundle) -> None:
    old, recent = (repository.directory / ".incoming" / name for name in ("old", "recent"))
    for left in (old, recent):
        left.mkdir(parents=True)
        (left / "model.pb").write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    repository.store(bundle)
    assert not old.exists()
    assert recent.exists()


@pytest.mark.parametrize("name", ["none", "", "..", "../models", "a/b", ".incoming", "/etc"])
def test_a_name_that_is_not_there_is_not_found(
    repository: Repository, small: Bundle, name: str
) -> None:
    repository.store(small)
    for ask in (repository.find, repository.delete):
        with pytest.raises(ModelNotFound, match=r"there is no model .*; there are \['sum'\]"):
            ask(name)
    assert repository.find("sum")


def test_an_empty_repository_says_so(repository: Repository) -> None:
    with pytest.raises(ModelNotFound, match="there is no model 'x'; there are none yet"):
        repository.find("x")


# --- directories of TFaaS ---------------------------------------------------------------


def test_a_copied_model_directory_is_version_zero(
    repository: Repository, bundle: Bundle, other_bundle: Bundle
) -> None:
    bundle.save(repository.directory)
    copied = repository.find("ttbar")
    assert (copied.version, copied.uploaded) == (0, 0)
    assert repository.load(copied).graph == bundle.graph
    assert repository.store(other_bundle).version == 1
    assert repository.load(repository.find("ttbar")).graph == other_bundle.graph


def test_a_copied_directory_is_called_as_it_is_named(
    repository: Repository, bundle: Bundle
) -> None:
    bundle.save(repository.directory).rename(repository.directory / "renamed")
    assert repository.load(repository.find("renamed")).name == "renamed"
    assert repository.params(repository.find("renamed")).name == "renamed"


def test_other_things_in_the_directory_are_no_models(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    (repository.directory / "README").write_text("a file")
    (repository.directory / "empty").mkdir()
    (repository.directory / "half" / "versions").mkdir(parents=True)
    (repository.directory / ".git").mkdir()
    assert [stored.name for stored in repository.models()] == ["sum"]


# --- damage -----------------------------------------------------------------------------


@pytest.mark.parametrize("part", [PARAMS, MODEL, LABELS])
def test_a_damaged_file_is_named(repository: Repository, small: Bundle, part: str) -> None:
    stored = repository.store(small)
    content = bytearray((stored.path / part).read_bytes())
    content[len(content) // 2] ^= 1
    (stored.path / part).write_bytes(content)
    with pytest.raises(RepositoryError, match=f"'sum' is damaged on disk: .*/{part} has sha256"):
        repository.load(stored)


@pytest.mark.parametrize("part", [PARAMS, MODEL, LABELS, MANIFEST])
def test_a_lost_file_is_named(repository: Repository, small: Bundle, part: str) -> None:
    stored = repository.store(small)
    (stored.path / part).unlink()
    with pytest.raises(RepositoryError, match=f"'sum' is damaged on disk: .*{part}"):
        repository.load(stored)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"sha256": 5}', b'{"sha256": {"model.pb": 5}}']
)
def test_a_damaged_manifest_is_an_error(
    repository: Repository, small: Bundle, content: bytes
) -> None:
    stored = repository.store(small)
    (stored.path / MANIFEST).write_bytes(content)
    assert repository.find("sum").uploaded == 0
    with pytest.raises(RepositoryError, match="'sum' is damaged on disk"):
        repository.load(stored)


def test_unreadable_params_are_an_error(repository: Repository, small: Bundle) -> None:
    stored = repository.store(small)
    (stored.path / PARAMS).write_bytes(b"{")
    with pytest.raises(RepositoryError, match=r"is damaged on disk: params\.json is not JSON"):
        repository.params(stored)


def test_a_damaged_model_does_not_hide_the_others(repository: Repository, small: Bundle) -> None:
    broken = repository.store(small.renamed("broken"))
    for part in broken.path.iterdir():
        part.unlink()
    repository.store(small)
    assert [stored.name for stored in repository.models()] == ["broken", "sum"]
    assert repository.load(repository.find("sum")).graph == small.graph


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, small: Bundle) -> None:
    (tmp_path / "file").write_text("in the way")
    repository = Repository(tmp_path / "file" / "models")
    with pytest.raises(RepositoryError, match=r"'sum' could not be stored in .*: Not a directory"):
        repository.store(small)
    assert repository.models() == ()


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path, small: Bundle) -> None:
    (tmp_path / "models").write_text("in the way")
    repository = Repository(tmp_path / "models")
    with pytest.raises(RepositoryError, match="models cannot be read: Not a directory"):
        repository.models()
    with pytest.raises(RepositoryError, match="could not be stored"):
        repository.store(small)


def test_a_store_that_fails_changes_nothing(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    blocked = repository.directory / "blocked"
    blocked.write_text("a file where the model's directory should be")
    with pytest.raises(RepositoryError, match="'blocked' could not be stored"):
        repository.store(small.renamed("blocked"))
    assert not list((repository.directory / ".incoming").iterdir())
    assert [stored.name for stored in repository.models()] == ["sum"]


# --- several at once --------------------------------------------------------------------


def test_threads_store_distinct_versions(repository: Repository, small: Bundle) -> None:
    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(repository.store, [small] * 24))
    assert sorted(s.version for s in stored) == list(range(1, 25))
    for one in stored:
        assert repository.load(one).files() == small.files()


@pytest.mark.slow
def test_processes_store_distinct_versions(repository: Repository, small: Bundle) -> None:
    processes = [start(STORE, small, repository.directory, 40) for _ in range(2)]
    told = [version for process in processes for version in versions_told(process)]
    assert sorted(told) == list(range(1, 81))


@pytest.mark.slow
def test_a_killed_process_leaves_whole_versions_only(repository: Repository, small: Bundle) -> None:
    told = versions_told(start(KILL, small, repository.directory, 30))
    versions = repository.directory / "sum" / "versions"
    assert len(told) > 30
    assert {str(version) for version in told} <= {path.name for path in versions.iterdir()}
    for path in versions.iterdir():
        manifest = json.loads((path / MANIFEST).read_bytes())
        assert set(manifest["sha256"]) == {p.name for p in path.iterdir()} - {MANIFEST}
        assert Bundle.load(path).files() == small.files()
    assert list((repository.directory / ".incoming").iterdir()), "some were killed in the midst"
    assert repository.load(repository.find("sum")).files() == small.files()
