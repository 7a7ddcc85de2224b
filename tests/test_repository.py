from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.graphs import serialized, weighted_sum
from tfaas_nb import durable, writer
from tfaas_nb.bundle import LABELS, MODEL, PARAMS, TEXT, Bundle
from tfaas_nb.errors import BundleError, ModelNotFound, RepositoryError
from tfaas_nb.repository import MANIFEST, REREAD_SECONDS, Repository

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

def store():
    os.write(1, b"%d\\n" % Repository(directory).store(bundle).version)

store()
began = time.monotonic()
store()
usual = time.monotonic() - began
for kill in range(int(times)):
    child = os.fork()
    while not child:
        store()
    time.sleep(usual * (0.3 + 0.1 * kill))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""

#: A process whose children store, label and delete versions at random and say what they did.
CHANGE = """
import os, random, sys
from tfaas_nb.bundle import Bundle
from tfaas_nb.errors import BundleError, ModelNotFound
from tfaas_nb.repository import Repository
archive, directory, children = sys.argv[1:]
bundle = Bundle.load(archive)
bundle.files()
repository = Repository(directory)

def change(own, choose):
    try:
        versions = [stored.version for stored in repository.versions("sum")][-3:]
    except ModelNotFound:
        versions = []
    act = choose.choice(["store", "label", "label", "delete", "delete"]) if versions else "store"
    version = choose.choice(versions) if versions else 0
    try:
        if act == "store":
            return "stored", repository.store(bundle).version
        if act == "label":
            return "labelled", repository.label("sum", own, version).version
        repository.delete(f"sum/versions/{version}")
        return "deleted", version
    except ModelNotFound:
        return "gone", version
    except BundleError:
        return "refused", version

for child in range(int(children)):
    if not os.fork():
        own, choose = f"of-{child}", random.Random(child)
        for _ in range(30):
            act, version = change(own, choose)
            os.write(1, f"{own} {act} {version}\\n".encode())
        os._exit(0)
for child in range(int(children)):
    assert os.wait()[1] == 0
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


def test_what_killed_uploads_left_is_removed_later(
    repository: Repository, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, recent = (repository.directory / ".incoming" / name for name in ("old", "recent"))
    for left in (old, recent):
        left.mkdir(parents=True)
        (left / "model.pb").write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    for path in (old / "model.pb", old):
        os.utime(path, (two_hours_ago, two_hours_ago))
    repository.store(bundle)
    assert old.exists(), "that would hold up every upload"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 7200)
    repository.store(bundle)
    assert not old.exists()
    assert recent.exists()


def test_a_version_is_deleted_alone(repository: Repository, small: Bundle) -> None:
    for _ in range(3):
        repository.store(small)
    repository.delete("sum/versions/2")
    assert repository.numbers("sum") == (1, 3)
    assert [stored.version for stored in repository.versions("sum")] == [1, 3]
    with pytest.raises(ModelNotFound, match=r"no version 2 of 'sum'; there are \[1, 3\]"):
        repository.delete("sum/versions/2")
    assert repository.load(repository.find("sum")).files() == small.files()


def test_the_latest_version_gives_way_to_the_one_before(
    repository: Repository, bundle: Bundle, other_bundle: Bundle
) -> None:
    repository.store(bundle)
    repository.store(other_bundle)
    repository.delete("ttbar/versions/2")
    assert repository.find("ttbar").version == 1
    assert repository.load(repository.find("ttbar")).graph == bundle.graph
    again = Repository(repository.directory).store(other_bundle)
    assert again.version == 3, "a number is never given again"


def test_with_its_last_version_a_model_is_gone(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    repository.store(small)
    for version in (2, 1):
        repository.delete(f"sum/versions/{version}")
    assert repository.models() == ()
    with pytest.raises(ModelNotFound, match="there is no model 'sum'; there are none yet"):
        repository.find("sum")
    assert repository.store(small).version == 3


def test_a_deleted_version_takes_no_place(repository: Repository, small: Bundle) -> None:
    stored = repository.store(small)
    repository.store(small)
    repository.delete("sum/versions/1")
    assert [path.stat().st_size for path in stored.path.iterdir()] == [0]
    assert not list((repository.directory / ".incoming").iterdir())


def test_a_deletion_that_was_cut_short_is_done_or_not(
    repository: Repository, small: Bundle
) -> None:
    """As it is left by a process killed after each of its steps."""
    first, second, third = (repository.store(small) for _ in range(3))
    (second.path / ".deleted-0123").touch()
    assert [stored.version for stored in repository.versions("sum")] == [1, 3]
    (repository.directory / "sum" / ".deleted").write_text("3\n")
    assert repository.models() == ()
    assert not any(repository.is_stored(stored) for stored in (first, second, third))
    assert repository.store(small).version == 4
    assert [stored.version for stored in repository.versions("sum")] == [4]


@pytest.mark.parametrize(
    "reference", ["sum/versions/9", "sum/versions/0", "sum/versions/1x", "sum/labels/none"]
)
def test_a_version_that_is_not_there_is_not_found(
    repository: Repository, small: Bundle, reference: str
) -> None:
    repository.store(small)
    for ask in (repository.find, repository.delete):
        with pytest.raises(ModelNotFound):
            ask(reference)
    assert repository.find("sum")


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


# --- labels -----------------------------------------------------------------------------


def test_a_label_is_put_moved_and_removed(repository: Repository, small: Bundle) -> None:
    for _ in range(3):
        repository.store(small)
    assert repository.labels("sum") == {}
    for version in (2, 1):
        assert repository.label("sum", "production", version).version == version
        assert repository.find("sum/labels/production").version == version
    assert repository.label("sum", "best").version == 3
    assert Repository(repository.directory).labels("sum") == {"best": 3, "production": 1}
    assert repository.find("sum").version == 3
    repository.unlabel("sum", "production")
    with pytest.raises(ModelNotFound, match=r"no label 'production'; it has \['best'\]"):
        repository.find("sum/labels/production")
    with pytest.raises(ModelNotFound, match="no label 'production'"):
        repository.unlabel("sum", "production")
    assert not list((repository.directory / ".incoming").iterdir())


def test_a_version_with_a_label_is_not_deleted(repository: Repository, small: Bundle) -> None:
    for _ in range(2):
        repository.store(small)
    repository.label("sum", "production", 1)
    for reference in ("sum/versions/1", "sum/labels/production"):
        with pytest.raises(BundleError, match="carries the label 'production': move or remove"):
            repository.delete(reference)
    repository.label("sum", "production")
    repository.delete("sum/versions/1")
    assert repository.labels("sum") == {"production": 2}
    repository.delete("sum")
    assert repository.store(small).version == 3
    assert repository.labels("sum") == {}, "a deleted model's labels do not come back"


def test_a_label_on_no_version_stays_where_it_was(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    repository.label("sum", "production")
    for version in (0, 2):
        with pytest.raises(ModelNotFound, match=f"no version {version} of 'sum'"):
            repository.label("sum", "production", version)
    with pytest.raises(ModelNotFound, match="no model 'none'"):
        repository.label("none", "production")
    assert repository.labels("sum") == {"production": 1}
    assert not (repository.directory / "none").exists()


def test_a_label_on_a_deleted_version_is_none(repository: Repository, small: Bundle) -> None:
    """As it is left by processes killed while one labels and the other deletes."""
    for _ in range(2):
        repository.store(small)
    repository.label("sum", "production", 1)
    (repository.find("sum/versions/1").path / ".deleted-0123").touch()
    assert repository.labels("sum") == {}
    with pytest.raises(ModelNotFound, match="no label 'production'; it has none"):
        repository.find("sum/labels/production")
    repository.label("sum", "production", 2)
    assert repository.labels("sum") == {"production": 2}


@pytest.mark.parametrize(
    "label", ["", "3", "007", "versions", "labels", "a/b", "..", ".hidden", "a b", "x" * 101, "ä"]
)
def test_a_label_needs_a_usable_name(repository: Repository, small: Bundle, label: str) -> None:
    repository.store(small)
    with pytest.raises(BundleError, match="cannot name a label"):
        repository.label("sum", label)
    with pytest.raises(ModelNotFound):
        repository.unlabel("sum", label)
    assert repository.labels("sum") == {}


def test_a_damaged_label_is_none(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    repository.label("sum", "production")
    (repository.directory / "sum" / "labels" / "production").write_bytes(b"\xff")
    assert repository.labels("sum") == {}
    repository.label("sum", "production")
    assert repository.labels("sum") == {"production": 1}


# --- unloaded models --------------------------------------------------------------------


def test_an_unloaded_model_is_listed_but_not_the_last_uploaded(
    repository: Repository, small: Bundle
) -> None:
    repository.store(small.renamed("first"))
    repository.store(small)
    repository.set_unloaded("sum", True)
    repository.set_unloaded("sum", True)
    assert Repository(repository.directory).is_unloaded("sum")
    assert [stored.name for stored in repository.models()] == ["first", "sum"]
    last = repository.last_uploaded()
    assert last is not None
    assert last.name == "first"
    repository.set_unloaded("sum", False)
    assert not repository.is_unloaded("sum")
    with pytest.raises(ModelNotFound):
        repository.set_unloaded("none", True)


def test_an_upload_or_a_deletion_ends_unloading(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    repository.set_unloaded("sum", True)
    repository.store(small)
    assert not repository.is_unloaded("sum")
    repository.set_unloaded("sum", True)
    repository.delete("sum")
    assert not repository.is_unloaded("sum")


# --- changes are noticed ----------------------------------------------------------------


def test_every_change_changes_the_stamp(repository: Repository, small: Bundle) -> None:
    assert repository.stamp() is None
    changes: list[Callable[[], object]] = [
        lambda: repository.store(small),
        lambda: repository.store(small),
        lambda: repository.label("sum", "production"),
        lambda: repository.unlabel("sum", "production"),
        lambda: repository.set_unloaded("sum", True),
        lambda: repository.set_unloaded("sum", False),
        lambda: repository.delete("sum/versions/1"),
        lambda: repository.delete("sum"),
    ]
    stamps = [repository.stamp()]
    for change in changes:
        change()
        stamps.append(Repository(repository.directory).stamp())
        assert repository.stamp() == stamps[-1]
    assert len(set(stamps)) == len(stamps)


@pytest.mark.slow
def test_changes_in_quick_succession_all_differ(repository: Repository, small: Bundle) -> None:
    """Also those a tick of the file system's clock apart that get the same inode."""
    repository.store(small)
    stamps = set()
    for _ in range(200):
        repository.label("sum", "production")
        stamps.add(repository.stamp())
    assert len(stamps) == 200


def test_a_directory_that_was_copied_again_is_another(
    repository: Repository, bundle: Bundle, other_bundle: Bundle
) -> None:
    bundle.save(repository.directory)
    stored = repository.find("ttbar")
    first = repository.identity(stored)
    assert repository.identity(repository.find("ttbar")) == first
    other_bundle.save(repository.directory)
    assert repository.find("ttbar") == stored
    assert repository.identity(stored) != first
    assert hash(repository.identity(stored))


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


def test_a_copied_directory_is_a_version_beside_the_uploaded(
    repository: Repository, bundle: Bundle, other_bundle: Bundle
) -> None:
    bundle.save(repository.directory)
    repository.store(other_bundle)
    assert repository.numbers("ttbar") == (0, 1)
    assert [stored.version for stored in repository.versions("ttbar")] == [0, 1]
    copied = repository.find("ttbar/versions/0")
    assert repository.load(copied).graph == bundle.graph
    repository.label("ttbar", "old", 0)
    assert repository.find("ttbar/labels/old") == copied
    with pytest.raises(BundleError, match="carries the label 'old'"):
        repository.delete("ttbar/versions/0")
    repository.unlabel("ttbar", "old")
    repository.delete("ttbar/versions/0")
    assert [stored.version for stored in repository.versions("ttbar")] == [1]
    assert repository.load(repository.find("ttbar")).graph == other_bundle.graph
    assert not (repository.directory / "ttbar" / MODEL).exists()


def test_a_copied_directory_is_deleted_and_may_be_copied_again(
    repository: Repository, bundle: Bundle
) -> None:
    for _ in range(2):
        path = bundle.save(repository.directory)
        (path / "variables").mkdir()
        repository.delete("ttbar")
        assert repository.models() == ()
        assert not path.exists()
    bundle.save(repository.directory)
    repository.store(bundle)
    repository.delete("ttbar")
    assert repository.models() == ()
    bundle.save(repository.directory)
    assert repository.find("ttbar").version == 0


def test_the_size_is_that_of_the_files_that_are_read(repository: Repository, small: Bundle) -> None:
    files = small.files()
    read = sum(len(content) for name, content in files.items() if name != TEXT)
    stored = repository.store(small)
    assert repository.size(stored) == read + (stored.path / MANIFEST).stat().st_size
    small.save(repository.directory)
    assert repository.size(repository.find("sum/versions/0")) == read
    repository.delete("sum")
    assert repository.size(stored) == 0


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
    for read in (repository.load, repository.check):
        with pytest.raises(RepositoryError, match=f"'sum' is damaged on disk: .*/{part} has sha25"):
            read(stored)


@pytest.mark.parametrize("part", [PARAMS, MODEL, LABELS, MANIFEST])
def test_a_lost_file_is_named(repository: Repository, small: Bundle, part: str) -> None:
    stored = repository.store(small)
    repository.check(stored)
    (stored.path / part).unlink()
    for read in (repository.load, repository.check):
        with pytest.raises(RepositoryError, match=f"'sum' is damaged on disk: .*{part}"):
            read(stored)


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


def test_a_damaged_version_leaves_the_others(repository: Repository, small: Bundle) -> None:
    repository.store(small)
    (repository.store(small).path / MODEL).write_bytes(b"\xff")
    with pytest.raises(RepositoryError, match=r"'sum' is damaged on disk: .*\(version 2\)"):
        repository.load(repository.find("sum"))
    assert repository.load(repository.find("sum/versions/1")).files() == small.files()


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


@pytest.mark.endurance
def test_processes_store_distinct_versions(repository: Repository, small: Bundle) -> None:
    processes = [start(STORE, small, repository.directory, 40) for _ in range(2)]
    told = [version for process in processes for version in versions_told(process)]
    assert sorted(told) == list(range(1, 81))


@pytest.mark.slow
def test_processes_that_change_one_model_agree_in_the_end(
    repository: Repository, small: Bundle
) -> None:
    """Numbers are given once; what is labelled is there, what was deleted is not."""
    process = start(CHANGE, small, repository.directory, 4)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    acts: dict[str, list[tuple[str, int]]] = {}
    for line in printed.splitlines():
        own, act, version = line.split()
        acts.setdefault(own, []).append((act, int(version)))
    assert {len(done) for done in acts.values()} == {30}
    every = [act for done in acts.values() for act in done]
    stored = [version for act, version in every if act == "stored"]
    deleted = {version for act, version in every if act == "deleted"}
    assert len(stored) == len(set(stored))
    assert deleted
    assert {s.version for s in repository.versions("sum")} == set(stored) - deleted
    found = repository.labels("sum")
    assert set(found.values()) <= set(stored) - deleted
    for label, done in acts.items():
        # Who is told that a version is gone may have moved its label at that very moment.
        last = [(act, version) for act, version in done if act in ("labelled", "gone")][-1:]
        if last and last[0][0] == "labelled":
            assert found[label] == last[0][1]
    for kept in repository.versions("sum"):
        assert repository.load(kept).files() == small.files()
    assert not list((repository.directory / ".incoming").iterdir())


@pytest.mark.slow
def test_a_killed_process_leaves_whole_versions_only(repository: Repository, small: Bundle) -> None:
    told = versions_told(start(KILL, small, repository.directory, 30))
    versions = repository.directory / "sum" / "versions"
    assert len(told) > 3, "some were stored before the kill, on however busy a machine"
    assert {str(version) for version in told} <= {path.name for path in versions.iterdir()}
    for path in versions.iterdir():
        manifest = json.loads((path / MANIFEST).read_bytes())
        assert set(manifest["sha256"]) == {p.name for p in path.iterdir()} - {MANIFEST}
        assert Bundle.load(path).files() == small.files()
    assert list((repository.directory / ".incoming").iterdir()), "some were killed in the midst"
    assert repository.load(repository.find("sum")).files() == small.files()


# --- what killed processes leave --------------------------------------------------------


def age(path: Path, hours: float) -> None:
    then = time.time() - 3600 * hours
    for part in (*path.rglob("*"), path):
        os.utime(part, (then, then))


def left_by(repository: Repository, name: str) -> Path:
    left = repository.directory / ".incoming" / name
    left.mkdir(parents=True)
    (left / "model.pb").write_bytes(b"half")
    return left


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the age tells")
def test_the_next_start_removes_what_killed_processes_left(
    repository: Repository, small: Bundle
) -> None:
    repository.store(small)
    name = "from tfaas_nb import writer; print(writer.named())"
    dead = subprocess.run([sys.executable, "-c", name], capture_output=True, text=True).stdout
    killed = left_by(repository, dead.strip())
    own = left_by(repository, writer.named())
    elsewhere = left_by(repository, "0" + writer.named())
    age(own, hours=100)
    age(elsewhere, hours=0.9)
    repository.tidy()
    assert not killed.exists()
    assert own.exists(), "however long it takes, its writer lives"
    assert elsewhere.exists(), "a machine elsewhere may still write it"
    age(elsewhere, hours=1.1)
    repository.tidy()
    assert [path.name for path in elsewhere.parent.iterdir()] == [own.name]


def test_what_is_written_slowly_is_not_removed(repository: Repository) -> None:
    left = left_by(repository, "elsewhere")
    age(left, hours=100)
    (left / "model.pb").write_bytes(b"more than half")
    repository.tidy()
    assert left.exists()


def test_the_age_is_told_by_the_file_system(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by(repository, "elsewhere")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e9)
    repository.tidy()
    assert left.exists()


def test_the_next_start_removes_files_of_deleted_models(
    repository: Repository, small: Bundle
) -> None:
    """As they are left by a process that was killed after it had said that they are deleted."""
    first, second, third = (repository.store(small) for _ in range(3))
    (repository.directory / "sum" / ".deleted").write_text("1\n")
    (second.path / ".deleted-0123").touch()
    repository.tidy()
    assert not list(first.path.iterdir())
    assert (second.path / MODEL).exists(), "who marked it may still take that back, for a label"
    assert [stored.version for stored in repository.versions("sum")] == [3]
    repository.check(third)
    assert repository.store(small).version == 4


def test_there_is_nothing_to_tidy(repository: Repository, tmp_path: Path) -> None:
    repository.tidy()
    assert not repository.directory.exists()
    (tmp_path / "file").touch()
    Repository(tmp_path / "file").tidy()


# --- network file systems ---------------------------------------------------------------


def test_a_rename_that_was_sent_twice_is_done(
    repository: Repository, small: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer was lost on the way; the second says that there is no such file."""
    rename = Path.rename

    def sent_twice(self: Path, target: Path) -> Path:
        rename(self, target)
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", sent_twice)
        stored = repository.store(small)
    assert stored.version == 1
    assert [found.version for found in repository.versions("sum")] == [1]
    assert not list((repository.directory / ".incoming").iterdir())


@pytest.mark.slow
def test_a_change_is_read_from_the_file_system_itself_now_and_then(
    repository: Repository, small: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may remember what a file was like; to open it is to ask."""
    repository.store(small)
    time.sleep(REREAD_SECONDS)
    other = Repository(repository.directory)
    first = other.stamp()
    remembered = (repository.directory / ".changed").stat()
    repository.store(small)
    monkeypatch.setattr(Path, "stat", lambda self: remembered)
    seen = {other.stamp() for _ in range(100)}
    assert first in seen or len(seen) == 1
    time.sleep(REREAD_SECONDS)
    assert other.stamp() != first


def test_a_directory_that_is_made_for_the_first_model_survives_with_it(
    tmp_path: Path, small: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flush its parents, too: a crash would lose the directory with all that is in it."""
    flushed: set[Path] = set()
    flush = durable.flush

    def noted(directory: Path) -> None:
        flushed.add(directory)
        flush(directory)

    monkeypatch.setattr(durable, "flush", noted)
    Repository(tmp_path / "new" / "models").store(small)
    assert flushed >= {tmp_path, tmp_path / "new", tmp_path / "new" / "models"}
