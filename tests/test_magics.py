"""The magics in a real IPython shell, on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import tfaas_nb as tn
from tests import tables
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server, running


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "tfaas_nb")
    yield shell
    for server in running():
        if server.directory.resolve().is_relative_to(tmp_path):
            server.stop()


def told(shell: Any, capsys: pytest.CaptureFixture[str], cell: str) -> str:
    """Message of a cell that goes wrong: one line, no traceback."""
    done = shell.run_cell(cell)
    assert not done.success
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return said.out + said.err


def result(shell: Any, cell: str) -> Any:
    done = shell.run_cell(cell)
    done.raise_error()
    return done.result


def test_one_event_of_json_gets_the_clients_number(
    shell: Any, serving: Server, events: Dataset
) -> None:
    score = result(shell, "%%predict ttbar\n" + json.dumps(events.event(3), indent=1))
    assert isinstance(score, float)
    assert score == serving.client().predict("ttbar", events.event(3))
    assert shell.user_ns["_"] == score


@pytest.mark.parametrize("form", ["events", "rows", "body", "records"])
def test_many_events_of_json_get_an_array(
    shell: Any, serving: Server, events: Dataset, form: str
) -> None:
    rows = events.X[:3].tolist()
    body: Any = {
        "events": [events.event(i) for i in range(3)],
        "rows": rows,
        "body": {
            "keys": list(events.features.names[::-1]),
            "values": [row[::-1] for row in rows],
            "model": "ttbar",
        },
        "records": {"records": [events.event(i) for i in range(3)]},
    }[form]
    scores = result(shell, "%%predict ttbar\n" + json.dumps(body))
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, serving.client().predict("ttbar", events[:3]))


@pytest.mark.slow
def test_columns_of_json_are_matched_by_name(
    shell: Any, serving: Server, classifier: tn.Classifier, events: Dataset
) -> None:
    names = events.features.names
    columns = {name: events.X[:3, names.index(name)].tolist() for name in reversed(names)}
    scores = result(shell, "%%predict ttbar\n" + json.dumps(columns))
    np.testing.assert_allclose(scores, classifier.predict(events.X[:3]), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_table_of_the_cells_variables_is_matched_by_name(
    shell: Any, serving: Server, classifier: tn.Classifier, events: Dataset
) -> None:
    frame = tables.pandas_frame(tables.columns_of(events.features.names, events.X[:5]))
    shell.user_ns["frame"] = frame
    scores = result(shell, "%%predict ttbar\nframe")
    np.testing.assert_allclose(scores, classifier.predict(events.X[:5]), rtol=0, atol=1e-6)
    shell.user_ns["frame"] = frame.drop(columns="jetPt_0")
    assert not shell.run_cell("%%predict ttbar\nframe").success


@pytest.mark.slow
@pytest.mark.parametrize("name", ["events.parquet", "events.csv"])
def test_a_table_in_a_file_is_matched_by_name(
    shell: Any,
    serving: Server,
    classifier: tn.Classifier,
    events: Dataset,
    tmp_path: Path,
    name: str,
) -> None:
    frame = tables.polars_frame(tables.columns_of(events.features.names, events.X[:5]))
    getattr(frame, f"write_{name.partition('.')[2]}")(tmp_path / name)
    scores = result(shell, f"%%predict ttbar\n{name}")
    np.testing.assert_allclose(scores, classifier.predict(events.X[:5]), rtol=0, atol=1e-6)


def test_a_python_expression_knows_the_cells_variables(
    shell: Any, serving: Server, events: Dataset
) -> None:
    shell.user_ns["data"] = events
    scores = result(shell, "%%predict ttbar\ndata[\n  :4\n]")
    np.testing.assert_array_equal(scores, serving.client().predict("ttbar", events[:4]))


@pytest.mark.slow
def test_files_are_read_as_the_model_wants_them(
    shell: Any, serving: Server, events: Dataset, tmp_path: Path
) -> None:
    path = tn.sample_files()[0]
    scores = result(shell, f"%%predict ttbar\n{path}")
    assert len(scores) == 20_000
    np.testing.assert_array_equal(scores[:9], serving.client().predict("ttbar", events)[:9])
    (tmp_path / "one event.json").write_text(json.dumps(events.event(0)))
    assert result(shell, "%%predict ttbar\none event.json") == pytest.approx(scores[0], abs=1e-6)
    shell.user_ns["where"] = tmp_path / "one event.json"
    assert result(shell, "%%predict ttbar\nwhere") == pytest.approx(scores[0], abs=1e-6)


def test_a_server_is_started_found_and_stopped(shell: Any, bundle: tn.Bundle) -> None:
    server = result(shell, "server = %tfaas start here --port 0\nserver")
    assert server.is_running
    assert running()[-1] is server
    assert result(shell, "%tfaas start here") is server
    server.client().upload(bundle)
    assert ("ttbar", 1) in [row[:2] for row in result(shell, "%tfaas models").rows]
    assert ("models", "ttbar") in result(shell, "%tfaas status").rows
    assert result(shell, "%tfaas stop") is server
    assert not server.is_running
    assert "stopped" in repr(result(shell, "%tfaas"))


def test_one_stop_stops_one_server(shell: Any, tmp_path: Path) -> None:
    with Server(tmp_path / "elsewhere", port=0) as other:
        with pytest.raises(UsageError, match=r"no server was started or used .* %tfaas stop NAME"):
            result(shell, "%tfaas stop")
        server = result(shell, "server = %tfaas start here --port 0\nserver")
        assert result(shell, "%tfaas stop") is server
        assert result(shell, "%tfaas stop") is server
        assert (server.is_running, other.is_running) == (False, True)
        assert "stopped" in repr(result(shell, "%tfaas status"))
        with pytest.raises(UsageError, match="not running"):
            result(shell, "%tfaas models")
        shell.user_ns["other"] = other
        assert result(shell, "%tfaas stop other") is other
        assert not other.is_running


def test_a_server_that_took_the_place_of_a_stopped_one_is_asked(shell: Any) -> None:
    first = result(shell, "server = %tfaas start here --port 0\nserver")
    with Server(first.directory, port=0) as second:
        assert not first.is_running
        assert result(shell, "%tfaas models").caption == second.url


def test_what_is_used_goes_before_what_was_started_last(
    shell: Any, serving: Server, graph: FrozenGraph
) -> None:
    result(shell, "%tfaas start other --port 0")
    shell.user_ns["client"] = serving.client()
    assert result(shell, "%tfaas models").rows == ()
    result(shell, "%tfaas use client")
    assert [row[0] for row in result(shell, "%tfaas models").rows] == ["ttbar"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%tfaas dance", "does not know 'dance'"),
        ("%tfaas start a b", "unrecognized arguments: b"),
        ("%tfaas use nothing", "NAME is a variable"),
        ("%%predict\n1", "which model"),
        ("%%predict ttbar\n\n", "write the events below"),
        ("%%predict nosuch\n{}", "no model"),
        ("%%predict ttbar\n{'nJets' 2}", "neither JSON nor"),
        ('%%predict ttbar\n{"nJetz": 2}', "did you mean 'nJets'"),
        ("%%predict ttbar\nmissing.root", "missing.root does not exist"),
        (
            '%%predict ttbar\n{"keys": [], "values": [], "model": "other"}',
            "asks 'ttbar', and its JSON 'other'",
        ),
        ('%%predict ttbar\n{"keys": [], "values": [], "modle": "x"}', "unknown key 'modle'"),
        ("%%predict ttbar\nmissing.json", "missing.json cannot be read"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(
    shell: Any, serving: Server, capsys: pytest.CaptureFixture[str], cell: str, words: str
) -> None:
    assert words in told(shell, capsys, cell)


def test_without_a_server_it_says_how_to_start_one(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "%tfaas start" in told(shell, capsys, "%%predict ttbar\n1")
    assert "%tfaas start" in repr(result(shell, "%tfaas status"))


def test_it_can_be_loaded_twice_and_unloaded(
    shell: Any, serving: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    result(shell, "%reload_ext tfaas_nb")
    assert [row[0] for row in result(shell, "%tfaas models").rows] == ["ttbar"]
    result(shell, "%unload_ext tfaas_nb")
    assert "not found" in told(shell, capsys, "%tfaas models")
