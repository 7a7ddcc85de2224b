"""Models of attackers, through the socket of a running server: refused, with nothing touched."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests import hostile
from tests.graphs import serialized, weighted_sum
from tfaas_nb.isolation import Limits
from tfaas_nb.serving.server import Server

Make = Callable[[Path], bytes]

BINARY = {"Content-Type": "application/octet-stream"}
EVENT = {"keys": ["a", "b", "c"], "values": [1, 10, 100], "model": "sound"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has the model `sound`."""
    with Server(tmp_path_factory.mktemp("served") / "models", port=0, token=False) as running:
        sent = upload(running, serialized(weighted_sum), "sound", features="a,b,c")
        assert sent.status_code == 200
        yield running


def upload(server: Server, model: bytes, name: str = "evil", **options: str) -> requests.Response:
    asked = {"name": name, **options}
    return requests.post(
        f"{server.url}/upload", params=asked, data=model, headers=BINARY, timeout=60
    )


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check_refused(server: Server, model: bytes, *words: str) -> None:
    """Refused with a reason, nothing stored, and the server answers as before."""
    before = files_below(server.directory)
    answer = upload(server, model)
    assert 400 <= answer.status_code < 500, answer.text
    for word in words:
        assert word in answer.json()["error"]
    assert files_below(server.directory) == before
    assert [m["name"] for m in requests.get(f"{server.url}/models", timeout=10).json()] == ["sound"]
    assert requests.post(f"{server.url}/json", json=EVENT, timeout=10).json() == [321]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (hostile.reads_a_file, ["'evil'", "'ReadFile'", "may not be served"]),
        (hostile.writes_a_file, ["'evil'", "'WriteFile'"]),
        (hostile.lists_files, ["'evil'", "'MatchingFiles'"]),
        (hostile.calls_numpy, ["'evil'", "'PyFunc'"]),
        (hostile.calls_python, ["'evil'", "'EagerPyFunc'"]),
        (hostile.saves, ["'evil'", "'SaveV2'"]),
        (hostile.writes_in_a_nested_function, ["'evil'", "of function '__inference_write", "'Wri"]),
        (hostile.writes_in_a_serialized_graph, ["'data'", "'DatasetFromGraph'"]),
        (hostile.writes_in_an_attribute, ["'evil' of the graph in '_segment' of node 'y'"]),
        (hostile.writes_in_bytes, ["'evil' of the graph in 'value' of node 'hidden'"]),
        (hostile.writes_in_packed_strings, ["'evil' of the graph in 'value' of node 'hidden'"]),
        (hostile.writes_in_numbers, ["'evil' of the graph in 'value' of node 'hidden'"]),
        (
            hostile.writes_in_a_functions_attribute,
            ["'evil' of the graph in '_segment' of function 'mine'"],
        ),
        (hostile.calls_an_operation, ["'evil' calls 'WriteFile', which is no function"]),
        (hostile.hides_behind_a_name, ["called 'WriteFile', as an operation"]),
    ],
)
def test_a_graph_that_does_more_than_compute_is_refused(
    server: Server, tmp_path: Path, make: Make, words: list[str]
) -> None:
    check_refused(server, make(tmp_path / "target"), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_that_writes_is_refused(server: Server, tmp_path: Path) -> None:
    model = hostile.saved_model(tmp_path / "target", tmp_path / "model")
    check_refused(server, model, "'evil' of function", "'WriteFile'")
    assert not (tmp_path / "target").exists()


def test_a_graph_in_a_constant_is_refused_where_its_reader_is_allowed(tmp_path: Path) -> None:
    """An operator allowed the dataset operation, and with it no WriteFile in its constant."""
    with Server(tmp_path / "models", port=0, token=False, allow_ops=["DatasetFromGraph"]) as server:
        answer = upload(server, hostile.writes_in_a_serialized_graph(tmp_path / "target"))
        assert answer.status_code == 422
        told = answer.json()["error"]
        assert "'evil' of the graph in 'value' of node 'hidden' is a 'WriteFile'" in told
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: hostile.onnx_with_weights_in("/etc/passwd"), ["'w' are in another file"]),
        (lambda _: hostile.onnx_with_weights_in("../../etc/passwd"), ["'w' are in another file"]),
        (lambda _: hostile.onnx_with_a_default_elsewhere(), ["'w' are in another file"]),
        (lambda _: hostile.onnx_of_a_custom_domain(), ["'evil' is a 'PyOp' of 'ai.onnx.contrib'"]),
        (hostile.keras_with_a_lambda, ["a Lambda layer, which is Python code"]),
        (lambda _: hostile.h5(), ["an .h5 file", "save the model as .keras"]),
        (lambda folder: hostile.pickled(folder / "target"), ["a pickle, which is a program"]),
        (lambda folder: hostile.pytorch(folder / "target"), ["pickled code"]),
    ],
    ids=[
        "onnx",
        "onnx relative",
        "onnx default",
        "onnx custom",
        "keras lambda",
        "h5",
        "pickle",
        "pytorch",
    ],
)
def test_other_formats_bring_no_code_and_no_other_files(
    server: Server, tmp_path: Path, make: Make, words: list[str]
) -> None:
    check_refused(server, make(tmp_path), *words)
    assert not (tmp_path / "target").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (hostile.symlink_then_a_file_through_it, ["'sum/there' is not a regular file"]),
        (
            lambda t: hostile.packed(
                hostile.sum_files(), hostile.link("sum/hard", str(t), hostile.tarfile.LNKTYPE)
            ),
            ["'sum/hard' is not a regular file"],
        ),
        (lambda t: hostile.packed({str(t): b"content"}), ["points outside"]),
        (lambda t: hostile.packed({f"../{t.name}": b"content"}), ["points outside"]),
        (lambda t: hostile.packed({f"sum/../../{t.name}": b"content"}), ["points outside"]),
        (lambda _: hostile.packed({"sum/a\\..\\b": b""}), ["no plain name"]),
        (lambda _: hostile.packed({"sum/\n": b""}), ["no plain name"]),
        (lambda _: hostile.packed({"sum/" + "a" * 300: b""}), ["no plain name"]),
        (lambda _: hostile.packed({f"sum/{i}": b"" for i in range(65)}), ["more than 64 members"]),
        (lambda _: hostile.bomb(), ["more than 100 times its size"]),
        (lambda _: hostile.bomb_of_bombs(), ["not a whole .tar"]),
        (lambda _: hostile.sparse(), ["'sum/hole0' is not a regular file"]),
    ],
    ids=[
        *("symlink", "hard link", "absolute", "parent", "parent within", "backslash", "newline"),
        *("long name", "too many", "gzip bomb", "gzip bomb of bombs", "sparse"),
    ],
)
def test_archives_reach_nothing_and_unpack_to_little(
    server: Server, tmp_path: Path, make: Make, words: list[str]
) -> None:
    check_refused(server, make(tmp_path / "target"), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "unpacked", "words"),
    [
        (lambda: gzip.compress(hostile.bomb(), mtime=0), 64, "not a whole .tar"),
        (lambda: bz2.compress(hostile.tar_of_zeros()), 64, ""),
        (lambda: hostile.keras_of_zeros(), 80, "config.json is over 64 MB"),
        (hostile.sparse, 500, "'sum/hole0' is not a regular file"),
    ],
    ids=["gzip twice", "bzip2", "keras", "sparse"],
)
def test_a_bomb_of_ten_thousand_to_one_is_refused(
    server: Server, make: Callable[[], bytes], unpacked: int, words: str
) -> None:
    """One layer of gzip reaches 1032 to 1 (see `hostile.bomb`); these reach more."""
    data = make()
    assert (unpacked << 20) / len(data) > 10_000
    check_refused(server, data, words)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
@pytest.mark.parametrize(
    "make",
    [hostile.reads_a_file, lambda target: hostile.onnx_with_weights_in(str(target))],
    ids=["ReadFile", "onnx"],
)
def test_what_would_be_read_is_not_even_opened(server: Server, tmp_path: Path, make: Make) -> None:
    """Try it with a pipe: if the server had opened that for reading, a writer could open it."""
    target = tmp_path / "target"
    os.mkfifo(target)
    check_refused(server, make(target), "")
    with pytest.raises(OSError, match="No such device or address"):
        os.open(target, os.O_WRONLY | os.O_NONBLOCK)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models get two seconds and a gigabyte."""
    monkeypatch.setattr(Limits, "of", lambda size: Limits(seconds=2.0, memory=1 << 30))


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            lambda: serialized(hostile.loops_for_ever),
            ["took more than 2 s"],
            marks=pytest.mark.slow,
        ),
        (lambda: serialized(hostile.fills), ["the graph cannot be run"]),
        (lambda: serialized(hostile.tiles), ["OOM when allocating"]),
        (lambda: serialized(hostile.counts), ["OOM when allocating"]),
        (hostile.unpacks, ["the graph cannot be run"]),
        (hostile.calls_itself, ["ended by SIGSEGV"]),
        (hostile.has_too_many_nodes, ["at most 200000 are read"]),
    ],
    ids=["endless", "fill", "tile", "range", "constant", "crash", "nodes"],
)
def test_a_graph_that_takes_everything_takes_nothing_from_the_kernel(
    server: Server, make: Callable[[], bytes], words: list[str]
) -> None:
    check_refused(server, make(), *words)


def test_a_name_that_is_a_path_is_refused(server: Server) -> None:
    model = serialized(weighted_sum)
    for name in ("../evil", "/tmp/evil", "a/b", ".", "..", ".hidden", "-rf", "a\nb", "ä"):
        answer = upload(server, model, name)
        assert answer.status_code == 422, name
        assert "cannot name a model" in answer.json()["error"]
        form = {"name": (None, name), "model": ("model.pb", model)}
        assert requests.post(f"{server.url}/upload", files=form, timeout=60).status_code == 422
    assert not (server.directory.parent / "evil").exists()
