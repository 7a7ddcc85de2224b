"""Reading a ROOT file into the matrix of features, against what one would write by hand."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

import tfaas_nb as tn
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section, shown
from tfaas_nb.network import Floats

_TITLE = "Reading"
_METHOD = """The packaged sample five times over in one file of {events} events, a TTree of the same
branches (ZSTD), read into the matrix of 42 features; events per second, in turns (medians of
ratios of the same round). *By hand* is uproot, `ak.num`, `ak.flatten` and one NumPy scatter for
each variable, without a check of any kind, for jets that stand in order. The *loops over events*
fill a row at a time, from awkward's records or from Python's lists; they read {looped} events.
`tn.read` includes its checks, the order of the jets, and the file's sha256."""
_HEADER = (
    "way",
    "events/s ÷ by hand",
    "events/s ÷ loop over records",
    "events/s ÷ loop over lists",
)
_COPIES = 5
LOOPED = 20_000
_FEATURES = tn.TTBAR_ALL_HADRONIC


def measure(options: Options) -> Section:
    with tempfile.TemporaryDirectory() as folder:
        whole = _repeated(Path(folder) / "whole.root", _COPIES)
        rounds = []
        for number in range(1 + 2 * options.rounds):
            options.tell(f"reading, round {number}")
            rounds.append({name: rate(way, whole) for name, way in _WAYS.items()})
    rows = [
        (name, *(shown(_ratio(rounds[1:], name, base)) for base in (_BY_HAND, _RECORDS, _LISTS)))
        for name in _WAYS
    ]
    main = {
        "reading ROOT into 42 features, events/s ÷ by hand with uproot and NumPy": shown(
            _ratio(rounds[1:], _OURS, _BY_HAND)
        ),
        "the same ÷ a loop over events": shown(_ratio(rounds[1:], _OURS, _RECORDS)),
    }
    method = _METHOD.format(events=2 * 20_000 * _COPIES, looped=LOOPED)
    return Section(_TITLE, method, _HEADER, rows, main)


def rate(way: Callable[[Path], Floats], path: Path) -> float:
    """Events per second."""
    started = time.perf_counter()
    X = way(path)
    return len(X) / (time.perf_counter() - started)


def _ratio(rounds: list[Mapping[str, float]], name: str, base: str) -> float:
    return statistics.median(one[name] / one[base] for one in rounds)


def _repeated(path: Path, copies: int) -> Path:
    parts = []
    for name in tn.sample_files():
        with uproot.open(name) as file:
            parts.append(file["events"].arrays(library="ak", how=dict))
    with uproot.recreate(path, compression=uproot.ZSTD(3)) as file:
        file.mktree("events", {name: column.type.content for name, column in parts[0].items()})
        for _ in range(copies):
            for part in parts:
                file["events"].extend(part)
    return path


def ours(path: Path) -> Floats:
    """Read a file as a user does."""
    return tn.read(path, progress=False).X


def by_hand(path: Path) -> Floats:
    """The shortest code that does it with whole arrays."""
    with uproot.open(path) as file:
        arrays = file["events"].arrays(list(_FEATURES.branches), library="ak", how=dict)
    events = len(arrays["nJets"])
    X = np.zeros((events, len(_FEATURES)), np.float32)
    for column, variable in enumerate(_FEATURES.event):
        X[:, column] = ak.to_numpy(arrays[variable.name])
    counts = ak.to_numpy(ak.num(arrays["jetPt"]))
    event = np.repeat(np.arange(events), counts)
    slot = np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = slot < _FEATURES.jets
    event, slot = event[kept], slot[kept]
    for variable in _FEATURES.jet:
        first = _FEATURES.jet_columns(variable.name).start
        X[event, first + slot] = ak.to_numpy(ak.flatten(arrays[variable.name]))[kept]
    return X


def over_records(path: Path, events: int = LOOPED) -> Floats:
    """A loop over events, each a record of awkward arrays."""
    with uproot.open(path) as file:
        records = file["events"].arrays(list(_FEATURES.branches), entry_stop=events)
    return np.array([_row(record) for record in records], np.float32)


def over_lists(path: Path, events: int = LOOPED) -> Floats:
    """A loop over events, each a dictionary of Python's lists."""
    with uproot.open(path) as file:
        records = file["events"].arrays(list(_FEATURES.branches), entry_stop=events)
    return np.array([_row(record) for record in records.to_list()], np.float32)


def _row(event: Mapping[str, float | list[float]]) -> list[float]:
    row = [event[variable.name] for variable in _FEATURES.event]
    for variable in _FEATURES.jet:
        values = list(event[variable.name])[: _FEATURES.jets]  # type: ignore[arg-type]
        row += values + [0.0] * (_FEATURES.jets - len(values))
    return row  # type: ignore[return-value]


_BY_HAND, _OURS = "by hand, uproot and NumPy", "`tn.read`"
_RECORDS, _LISTS = "a loop over records", "a loop over lists"
_WAYS: dict[str, Callable[[Path], Floats]] = {
    _BY_HAND: by_hand,
    _OURS: ours,
    _RECORDS: over_records,
    _LISTS: over_lists,
}
