from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

import tfaas_nb as tn
from tests.xrootd import XRootDServer, needs_xrootd
from tfaas_nb.data import passes
from tfaas_nb.data.event_file import EventFile
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.root import load, read
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, TrainingError
from tfaas_nb.features import FeatureSet, Variable

FEATURES = FeatureSet("ids", (Variable("id"), Variable("x")), ())
#: Events of each signal and background file; every id is there once.
SIGNAL = (1500, 200, 3000)
BACKGROUND = (4000, 2600, 1200, 1, 3199)
N = sum(SIGNAL) + sum(BACKGROUND)
#: So little (MB) that a block is a fraction of the events.
SMALL = 0.15
ID, X = 0, 1


def write(path: Path, first: int, count: int) -> None:
    number = np.arange(first, first + count)
    random = np.random.default_rng(first)
    with uproot.recreate(path) as file:
        file.mktree("events", {"id": np.int64, "x": np.float32, "w": np.float32})
        for part in np.array_split(number, max(count // 500, 1)):
            file["events"].extend(
                {"id": part, "x": random.normal(size=len(part)), "w": 1 + part % 3}
            )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files ``s0.root``, ``b0.root`` ..."""
    folder, first = tmp_path_factory.mktemp("streamed"), 0
    for letter, counts in (("s", SIGNAL), ("b", BACKGROUND)):
        for number, count in enumerate(counts):
            write(folder / f"{letter}{number}.root", first, count)
            first += count
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Copies that a test may damage."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def stream(folder: Path, memory: float = SMALL, **options: Any) -> Stream:
    return load(
        folder / "s*.root",
        folder / "b*.root",
        FEATURES,
        stream=True,
        memory=memory,
        progress=False,
        **options,
    )


def whole(folder: Path, **options: Any) -> tn.Dataset:
    return load(folder / "s*.root", folder / "b*.root", FEATURES, progress=False, **options)


def ids(parts: Iterator[tn.Dataset]) -> list[int]:
    return [int(number) for part in parts for number in part.X[:, ID]]


def readers() -> list[str]:
    return [
        t.name
        for t in threading.enumerate()
        if t.name.startswith(("tfaas-nb reading", "tfaas-nb opening"))
    ]


def open_files(folder: Path) -> list[str]:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    there = [str(link.readlink()) for link in links if link.is_symlink()]
    return [path for path in there if path.startswith(str(folder))]


def damage(path: Path) -> None:
    """Make the middle of a file unreadable, as a disk does; its head and tail are as before."""
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))


# What it is.


def test_it_tells_what_is_in_the_files_without_reading_them(made: Path) -> None:
    events = stream(made)
    assert repr(events) == f"Stream(8 files, {N} entries, 2 features)"
    assert len(events) == N
    assert [(file.name, file.entries) for file in events.files[:2]] == [
        ("s0.root", SIGNAL[0]),
        ("s1.root", SIGNAL[1]),
    ]
    html = events._repr_html_()
    assert all(f"b{number}.root" in html for number in range(len(BACKGROUND)))
    assert "signal + " not in repr(events)


def test_it_tells_more_when_it_has_looked(made: Path) -> None:
    events = stream(made)
    assert events.counts == (sum(BACKGROUND), sum(SIGNAL))
    assert f"{sum(SIGNAL)} signal + {sum(BACKGROUND)} background events" in repr(events)
    assert [source.events for source in events.sources] == [*SIGNAL, *BACKGROUND]
    assert events.sources[0].uuid == whole(made).sources[0].uuid


def test_looking_tells_how_far_it_is_and_may_be_ended(made: Path) -> None:
    events, told = stream(made), []
    entries = sum(file.entries for file in events.files)

    def cancel(done: int, of: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        events.look(cancel)
    events.look(lambda done, of: told.append((done, of)))
    assert told[-1] == (entries, entries)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    events.look(lambda done, of: pytest.fail("the files were read again"))


def test_a_long_list_of_files_is_cut_short(made: Path) -> None:
    events = stream(made)
    many = Stream(events.files * 5, events._shared)
    assert "and 21 more" in many._repr_html_()


@pytest.mark.slow
def test_its_description_is_that_of_a_sample(made: Path) -> None:
    everything = stream(made, memory=10).describe()
    assert everything.rows == whole(made).describe().rows
    assert "all events" in everything.caption
    some = stream(made)
    assert f": {len(some.sample)} events drawn at random" in some.describe().caption
    assert 1000 < len(some.sample) < 1200


def test_the_sample_is_random(made: Path) -> None:
    sample = stream(made).sample
    assert len(set(sample.X[:, ID])) == len(sample)
    assert abs(sample.X[:, X].mean()) < 5 / np.sqrt(len(sample))
    assert sample.y.mean() == pytest.approx(sum(SIGNAL) / N, abs=5 / np.sqrt(len(sample)))


# Reading in order.


@pytest.mark.parametrize("memory", [2 * SMALL, 0.6, 100])
def test_chunks_are_the_events_in_the_order_of_the_files(made: Path, memory: float) -> None:
    chunks = list(stream(made, memory, keep=["w"]).chunks())
    expected = whole(made, keep=["w"])
    for name in ("X", "y", "weight"):
        got = np.concatenate([getattr(chunk, name) for chunk in chunks])
        assert got.tobytes() == getattr(expected, name).tobytes()
    assert np.concatenate([c.extra["w"] for c in chunks]).tolist() == expected.extra["w"].tolist()
    assert max(map(len, chunks)) * 8 < memory * 1e6 / 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"cut": "x > 0.5"},
        {"cut": lambda data: data.X[:, X] > 0.5},
        {"weight": "w"},
        {"weight": 0.25},
        {"cut": "x > 0", "weight": "w * 2", "keep": "w"},
    ],
    ids=["text", "function", "branch", "number", "all"],
)
def test_selection_and_weights_are_those_of_a_load(made: Path, options: dict[str, Any]) -> None:
    events, expected = stream(made, 2 * SMALL, **options), whole(made, **options)
    assert len(events) == len(expected)
    chunks = list(events.chunks())
    assert np.concatenate([c.X for c in chunks]).tobytes() == expected.X.tobytes()
    assert np.concatenate([c.weight for c in chunks]).tobytes() == expected.weight.tobytes()
    for y, part in enumerate((expected.background, expected.signal)):
        assert events.counts[y] == len(part)
        assert events.weight_sums[y] == pytest.approx(part.weight.sum(dtype=float), rel=1e-6)


@pytest.mark.slow
def test_samples_are_scaled_to_their_cross_section(made: Path) -> None:
    def loaded(**options: Any) -> Any:
        return load(
            Sample(str(made / "s*.root"), xsec=2.0, weight="w"),
            [Sample(str(made / f"b{i}.root"), xsec=10.0 * (i + 1), lumi=3.0) for i in range(5)],
            FEATURES,
            cut="x > 0",
            progress=False,
            **options,
        )

    events, expected = loaded(stream=True, memory=SMALL), loaded()
    for _ in range(2):
        weights = np.concatenate([chunk.weight for chunk in events.chunks()])
        np.testing.assert_allclose(weights, expected.weight, rtol=1e-6)
    first, _ = events.split(0.5, seed=2)
    assert first.weight_sums[1] < events.weight_sums[1]
    assert events.weight_sums[1] == pytest.approx(expected.signal.weight.sum(dtype=float), rel=1e-5)
    mixed = np.concatenate([block.weight for block in events.blocks(1)])
    np.testing.assert_allclose(np.sort(mixed), np.sort(expected.weight), rtol=1e-6)
    assert events.sample.weight.max() <= expected.weight.max() * 1.0001


def test_events_of_no_known_class_can_be_streamed(made: Path) -> None:
    events = read(made / "b*.root", FEATURES, stream=True, memory=SMALL, progress=False)
    assert ids(events.chunks()) == list(range(sum(SIGNAL), N))


# Splitting.


@pytest.mark.slow
def test_both_parts_have_all_events_once(made: Path) -> None:
    train, test = stream(made).split(0.3, seed=1)
    first, second = set(ids(train.chunks())), set(ids(test.chunks()))
    assert not first & second
    assert first | second == set(range(N))
    assert len(test) == len(second)
    assert len(second) / N == pytest.approx(0.3, abs=0.02)


@pytest.mark.slow
def test_the_split_depends_on_the_seed_and_on_nothing_else(made: Path, folder: Path) -> None:
    _, test = stream(made).split(0.3, seed=1)
    expected = ids(test.chunks())
    assert ids(stream(made, memory=50).split(0.3, 1)[1].chunks()) == expected
    assert ids(stream(made).split(0.3, 2)[1].chunks()) != expected
    alone = load(
        folder / "s2.root", folder / "b1.root", FEATURES, stream=True, progress=False
    ).split(0.3, 1)[1]
    assert set(ids(alone.chunks())) < set(expected)
    cut = stream(made, cut="x > 0").split(0.3, 1)[1]
    assert set(ids(cut.chunks())) < set(expected)


@pytest.mark.slow
def test_a_part_can_be_split_again_by_the_same_seed(made: Path) -> None:
    train, _ = stream(made).split(0.3, seed=1)
    first, second = (set(ids(part.chunks())) for part in train.split(0.5, seed=1))
    assert not first & second
    assert first | second == set(ids(train.chunks()))
    assert len(first) / len(second) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("test", [0, 1, -0.1, 3, 30, 1.5, float("nan"), "0.3", None, True])
def test_a_split_needs_a_fraction(made: Path, test: Any) -> None:
    with pytest.raises(DataError, match="it must lie between 0 and 1"):
        stream(made).split(test)


# Training.


@pytest.mark.slow
@pytest.mark.parametrize("part", [None, 0.4], ids=["all", "a part"])
def test_every_epoch_has_every_event_once(made: Path, part: float | None) -> None:
    events = stream(made)
    if part is not None:
        _, events = events.split(part, seed=3)
    expected = sorted(ids(events.chunks()))
    orders = [ids(events.blocks(epoch)) for epoch in (1, 2, 3)]
    assert all(sorted(order) == expected for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert ids(events.blocks(2)) == orders[1]
    assert ids(events.blocks(2, seed=9)) != orders[1]


@pytest.mark.slow
def test_every_block_is_like_the_whole(made: Path) -> None:
    blocks = list(stream(made).blocks(1))
    assert len(blocks) > 5
    edges = np.cumsum([0, *SIGNAL, *BACKGROUND])
    for block in blocks:
        assert len(block) * 16 < SMALL * 1e6 / 8
        assert block.y.sum() == pytest.approx(len(block) * sum(SIGNAL) / N, abs=1)
        from_each, _ = np.histogram(block.X[:, ID], edges[3:])
        assert np.count_nonzero(from_each) >= 3
        assert from_each.max() < 0.7 * from_each.sum()
        assert ((block.X[:, ID] < sum(SIGNAL)) == block.y).all()


def test_events_are_held_out_once_and_learned_from_never(made: Path) -> None:
    events = stream(made, memory=10)
    ready = events.hold_out(0.15, seed=5)
    held = ids(iter([ready.validation]))
    assert len(held) == round(0.15 * N)
    for epoch in (1, 2):
        learned = ids(ready.training.blocks(epoch))
        assert sorted([*learned, *held]) == list(range(N))
    assert ready.training.count == len(learned)
    assert set(ids(iter([ready.known]))) == set(learned)


@pytest.mark.slow
def test_as_many_are_held_out_as_fit(made: Path) -> None:
    events = stream(made, weight="w")
    ready = events.hold_out(0.9, seed=5)
    held, learned = ids(iter([ready.validation])), ids(ready.training.blocks(1))
    assert len(held) < 1200
    assert sorted([*learned, *held]) == list(range(N))
    assert set(ids(iter([ready.known]))) <= set(learned)
    expected = whole(made, weight="w")
    left = expected[np.isin(expected.X[:, ID], learned)]
    assert ready.training.weight_sums == pytest.approx(
        (left.background.weight.sum(), left.signal.weight.sum()), rel=1e-6
    )


def test_what_fits_into_one_block_is_read_once(folder: Path) -> None:
    ready = stream(folder, memory=100).hold_out(0.1, seed=1)
    (first,) = ready.training.blocks(1)
    for path in folder.iterdir():
        path.unlink()
    (second,) = ready.training.blocks(2)
    assert second is first


@pytest.mark.slow
@pytest.mark.parametrize("how", ["absolute", "ignore"])
def test_negative_weights_are_treated_as_one_likes(made: Path, how: str) -> None:
    events, expected = stream(made, weight="w - 2"), whole(made, weight="w - 2")
    assert events.negative_weights == np.count_nonzero(expected.weight < 0) > 0
    treated = events.with_negative_weights(how)
    if how == "ignore":
        expected = expected[expected.weight >= 0]
    assert len(treated) == len(expected)
    blocks = list(treated.blocks(1))
    assert sorted(ids(iter(blocks))) == sorted(expected.X[:, ID])
    total = sum(float(block.weight.sum()) for block in blocks)
    assert total == pytest.approx(np.abs(expected.weight).sum(), rel=1e-6)
    assert sum(treated.weight_sums) == pytest.approx(total, rel=1e-6)


# What goes wrong.


def test_an_unreadable_file_stops_the_job_at_once(folder: Path) -> None:
    (folder / "b1.root").write_bytes(b"broken" * 200)
    with pytest.raises(DataError, match=r"b1\.root cannot be read"):
        stream(folder)
    assert not readers()


@pytest.mark.slow
def test_an_unreadable_file_is_listed_if_wanted(folder: Path) -> None:
    (folder / "b1.root").write_bytes(b"broken" * 200)
    events = stream(folder, on_error="skip")
    assert len(events) == N - BACKGROUND[1]
    ((skipped),) = events.skipped
    assert (Path(skipped.file).name, skipped.role) == ("b1.root", "background")
    assert "cannot be read" in skipped.reason
    assert "files skipped: 1" in repr(events)
    assert "b1.root" in events._repr_html_()
    assert len(ids(events.blocks(1))) == len(events)


def test_if_all_are_unreadable_nothing_is_left_to_go_on_with(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"broken" * 200)
    with pytest.raises(DataError, match=r"none of 8 files could be read: .*s0\.root"):
        stream(folder, on_error="skip")


READINGS: dict[str, Callable[[Stream], Any]] = {
    "in order": lambda events: ids(events.chunks()),
    "mixed": lambda events: ids(events.blocks(1)),
    "looked at": lambda events: events.counts,
}


@pytest.mark.parametrize("how", READINGS)
def test_a_file_that_breaks_later_stops_the_job(folder: Path, how: str) -> None:
    events = stream(folder)
    damage(folder / "b0.root")
    with pytest.raises(DataError, match=r"b0\.root"):
        READINGS[how](events)
    assert not readers()
    assert not open_files(folder)


@pytest.mark.slow
def test_a_file_that_breaks_later_is_listed_if_wanted(folder: Path) -> None:
    events = stream(folder, on_error="skip")
    counts = events.counts
    damage(folder / "b0.root")
    first = ids(events.blocks(1))
    assert len(set(first)) == len(first) >= N - BACKGROUND[0]
    assert [Path(one.file).name for one in events.skipped] == ["b0.root"]
    others = sorted(set(range(N)) - set(range(sum(SIGNAL), sum(SIGNAL) + BACKGROUND[0])))
    assert sorted(ids(events.blocks(2))) == others
    assert ids(events.chunks()) == others
    assert events.counts == counts  # as they were when it was looked at


def test_events_of_a_file_that_breaks_are_not_counted(folder: Path) -> None:
    events = stream(folder, on_error="skip")
    damage(folder / "b0.root")
    assert events.counts == (sum(BACKGROUND[1:]), sum(SIGNAL))
    lost = range(sum(SIGNAL), sum(SIGNAL) + BACKGROUND[0])
    assert not set(ids(iter([events.sample]))) & set(lost)


def test_a_file_that_was_replaced_is_noticed(folder: Path) -> None:
    events = stream(folder)
    (folder / "b0.root").write_bytes((folder / "b1.root").read_bytes())
    with pytest.raises(DataError, match=r"b0\.root has changed: it had 4000 .* now has 2600"):
        ids(events.chunks())


def test_too_little_memory_is_said_so(made: Path) -> None:
    with pytest.raises(DataError, match=r"memory=0\.01 MB is too little: give it 0\.1") as raised:
        stream(made, memory=0.01)
    enough = float(str(raised.value).split()[-3])
    assert len(stream(made, memory=enough)) == len(stream(made))
    with pytest.raises(DataError, match="is too little"):
        stream(made, memory=enough - 0.01)


@pytest.mark.parametrize("memory", [0, -1.0, 1e-12, float("nan"), "50", None, True])
def test_memory_is_a_number_of_megabytes(made: Path, memory: Any) -> None:
    with pytest.raises(DataError, match=r"^memory(=| must be a positive number of megabytes)"):
        stream(made, memory=memory)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, 2**32])
def test_a_seed_of_a_stream_is_a_whole_number(made: Path, seed: Any) -> None:
    events = stream(made)
    for use in (
        events.split,
        lambda **s: events.hold_out(0.1, **s),
        lambda **s: next(events.blocks(1, **s)),
    ):
        with pytest.raises(DataError, match="seed must be a whole number from 0 to 4294967295"):
            use(seed=seed)
    with pytest.raises(DataError, match="epoch must be a whole number, 0 or more"):
        next(events.blocks(seed if seed != 2**32 else 0.5))


@pytest.mark.parametrize("fraction", [0, 1, 30, 1.5, float("nan"), "0.3", None, True])
def test_what_is_held_out_of_a_stream_is_a_fraction(made: Path, fraction: Any) -> None:
    with pytest.raises(DataError, match="fraction must be a fraction between 0 and 1"):
        stream(made).hold_out(fraction, 1)


def test_a_stream_knows_two_ways_with_negative_weights(made: Path) -> None:
    with pytest.raises(DataError, match=r"one of \('absolute', 'ignore'\), not 'abs'"):
        stream(made).with_negative_weights("abs")  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["chunks", "blocks"])
def test_leaving_in_the_middle_leaves_nothing_behind(made: Path, how: str) -> None:
    events = stream(made)
    with closing(events.chunks() if how == "chunks" else events.blocks(1)) as parts:
        next(parts)
        assert readers()
    assert not readers()
    assert not open_files(made)


@pytest.mark.slow
def test_few_files_are_open_at_a_time(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: set[str] = set()
    counts: list[int] = []

    class Counted(EventFile):
        def __enter__(self) -> EventFile:
            assert self.path not in opened
            opened.add(self.path)
            counts.append(len(opened))
            return super().__enter__()

        def close(self) -> None:
            opened.discard(self.path)
            super().close()

    events = stream(made)
    ids(events.blocks(1))
    monkeypatch.setattr(passes, "EventFile", Counted)
    ids(events.blocks(1))
    assert len(counts) == len(events.files)  # each is opened once in an epoch
    assert max(counts) <= 7  # three signal files, four of background
    assert not opened


# Training and scoring.


@pytest.fixture(scope="module")
def streamed() -> Stream:
    """The packaged sample, a part of it in memory."""
    signal, background = tn.sample_files()
    return load(signal, background, stream=True, memory=16.0, progress=False)


@pytest.mark.slow
def test_a_classifier_learns_from_a_stream_as_from_a_dataset(streamed: Stream) -> None:
    options = {"epochs": 3, "hidden": (16,), "embedding": (8,), "seed": 7}
    train, test = streamed.split(0.3, seed=1)
    classifier = tn.Classifier(**options).fit(train, progress=False)
    evaluation = classifier.evaluate(test)
    first, second = tn.sample().split(0.3, seed=1)
    other = tn.Classifier(**options).fit(first, progress=False).evaluate(second)
    spread = np.hypot(evaluation.auc_error, other.auc_error)
    assert abs(evaluation.auc - other.auc) < 5 * spread
    bundle = classifier.bundle("ttbar")
    assert bundle.card["events"] == {"signal": train.counts[1], "background": train.counts[0]}
    assert [source["events"] for source in bundle.card["training"]] == list(train.counts[::-1])
    again = tn.Classifier(**options).fit(train, progress=False)
    assert again.predict(test).tobytes() == evaluation.scores.tobytes()


@pytest.mark.slow
def test_scores_of_a_stream_are_those_of_its_events(
    classifier: tn.Classifier, streamed: Stream
) -> None:
    scores = classifier.predict(streamed)
    sample = tn.sample()
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, classifier.predict(sample), rtol=0, atol=1e-6)
    with pytest.raises(DataError, match="of the 40000 events .* were in the training"):
        classifier.evaluate(streamed)
    evaluation = classifier.evaluate(streamed, allow_overlap=True)
    assert evaluation.y.tolist() == sample.y.tolist()
    assert evaluation.scores.tobytes() == scores.tobytes()


@pytest.mark.slow
def test_negative_weights_are_refused_unless_one_said_otherwise(made: Path) -> None:
    events = stream(made, weight="w - 2")
    classifier = tn.Classifier(hidden=(4,), epochs=1, members=1)
    with pytest.raises(TrainingError, match="negative_weights='absolute'"):
        classifier.fit(events, progress=False)


@pytest.mark.slow
def test_a_stopped_training_leaves_no_thread(streamed: Stream) -> None:
    def stop(epoch: Any) -> None:
        raise KeyboardInterrupt

    tn.Classifier(hidden=(4,), embedding=()).fit(streamed, progress=False, on_epoch=stop)
    assert not readers()


@pytest.mark.slow
def test_progress_is_shown(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tfaas_nb.data import stream as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BAR_AFTER", 0)
        events = stream(made)
        ids(events.chunks(progress=True))
        assert "reading: 100%" in capfd.readouterr().err
        ids(events.chunks())
        assert capfd.readouterr().err == ""


# Over XRootD.


@pytest.fixture
def xrootd(made: Path) -> Iterator[XRootDServer]:
    needs_xrootd()
    server = XRootDServer()
    try:
        for path in made.iterdir():
            (server.folder / path.name).write_bytes(path.read_bytes())
        server.start()
        yield server
    finally:
        server.remove()


def far(server: XRootDServer, **options: Any) -> Stream:
    root = f"{server.url}/"
    return load(
        f"{root}s*.root",
        f"{root}b*.root",
        FEATURES,
        stream=True,
        memory=SMALL,
        progress=False,
        **options,
    )


@pytest.mark.slow
def test_an_epoch_is_complete_over_xrootd(xrootd: XRootDServer, made: Path) -> None:
    assert ids(far(xrootd).blocks(1)) == ids(stream(made).blocks(1))
    assert not readers()


@pytest.mark.slow
def test_an_epoch_is_complete_when_the_server_dies_in_the_middle_and_returns(
    xrootd: XRootDServer,
) -> None:
    events, found = far(xrootd), []
    for number, block in enumerate(events.blocks(1)):
        found += ids(iter([block]))
        if number == 1:
            xrootd.kill()
            threading.Timer(1.5, xrootd.start).start()
    assert sorted(found) == list(range(N))


@pytest.mark.slow
def test_a_server_that_stays_away_ends_the_epoch(xrootd: XRootDServer) -> None:
    events = far(xrootd, timeout=2.0)
    blocks = events.blocks(1)
    next(blocks)
    xrootd.kill()
    with pytest.raises(DataError, match=r"root://localhost.* did not answer for 2 s"):
        ids(blocks)
    assert not readers()


@pytest.mark.slow
def test_leaving_does_not_wait_for_a_server_that_is_away(xrootd: XRootDServer) -> None:
    blocks = far(xrootd).blocks(1)
    next(blocks)
    xrootd.suspend()
    blocks.close()
    assert not readers()
