"""Servers that take one event at a time, and some that ask to come again later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs import serialized, weighted_sum
from tests.test_client import GoServer
from tfaas_nb import patience
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import FeatureError, ServerError, TfaasError, TooManyRequests
from tfaas_nb.patience import patiently, seconds_told
from tfaas_nb.serving.server import Server

EVENTS = np.arange(15.0).reshape(5, 3)
EXPECTED = EVENTS @ [1, 2, 3]


class Busy(GoServer):
    """The weighted sum of the values, if it is not refused; `refusals` says when it is."""

    #: Number of a request → status and ``Retry-After`` of the refusal.
    refusals: dict[int, tuple[int, str | None]]
    asked: list[Any]

    def predict(self, body: bytes) -> None:
        self.asked.append(body)
        refusal = self.refusals.get(len(self.asked))
        if refusal is None:
            super().predict(body)
            return
        status, after = refusal
        self.send_response_only(status)
        if after is not None:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def score(self, values: list[float]) -> float:
        return values[0] + 2 * values[1] + 3 * values[2]


@contextmanager
def serving(
    refusals: dict[int, tuple[int, str | None]], asked: list[Any] | None = None
) -> Iterator[Client]:
    more = {"models": {}, "refusals": refusals, "asked": [] if asked is None else asked}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Busy,), more)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        client = Client(f"http://127.0.0.1:{server.server_port}")
        try:
            client.upload(Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum)))
            yield client
        finally:  # else whatever fails amid it would keep the process alive
            server.shutdown()
            thread.join()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each wait, which takes none."""
    seconds: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", seconds.append)
    return seconds


@pytest.mark.slow
def test_a_refused_event_is_asked_again_after_the_time_told(slept: list[float]) -> None:
    asked: list[Any] = []
    with serving({2: (429, "3"), 4: (429, "7")}, asked) as client:
        np.testing.assert_array_equal(client.predict("sum", EVENTS), EXPECTED)
    assert slept == [3, 7]
    assert len(asked) == 7, "the events that were scored are not asked about again"


@pytest.mark.slow
def test_a_date_tells_the_time_as_well(slept: list[float]) -> None:
    until = datetime.now(timezone.utc) + timedelta(seconds=40)
    with serving({1: (429, format_datetime(until, usegmt=True))}) as client:
        np.testing.assert_array_equal(client.predict("sum", EVENTS), EXPECTED)
    assert 30 < slept[0] <= 41


@pytest.mark.slow
@pytest.mark.parametrize("after", [None, "soon"])
def test_waits_grow_where_no_time_is_told(slept: list[float], after: str | None) -> None:
    with serving(dict.fromkeys((2, 3, 4, 6), (429, after))) as client:
        np.testing.assert_array_equal(client.predict("sum", EVENTS), EXPECTED)
    assert slept == pytest.approx([0.1, 0.2, 0.4, 0.1])


def test_an_event_alone_waits_too(slept: list[float]) -> None:
    with serving({1: (429, "2")}) as client:
        assert client.predict("sum", EVENTS[1]) == EXPECTED[1]
    assert slept == [2]


@pytest.mark.slow
def test_a_server_under_maintenance_tells_when_to_come_again(slept: list[float]) -> None:
    with serving({2: (503, "5")}) as client:
        np.testing.assert_array_equal(client.predict("sum", EVENTS), EXPECTED)
    assert slept == [5]


@pytest.mark.slow
def test_what_was_scored_is_kept(slept: list[float]) -> None:
    with serving({4: (500, None)}) as client:
        with pytest.raises(ServerError):
            client.predict("sum", EVENTS)
        assert client.unfinished.dtype == np.float32
        np.testing.assert_array_equal(client.unfinished, EXPECTED[:3, np.newaxis])
        rest = client.predict("sum", EVENTS[len(client.unfinished) :])
        np.testing.assert_array_equal(rest, EXPECTED[3:])
        assert client.unfinished.shape == (0, 1)
    assert slept == []


@pytest.mark.slow
def test_what_was_scored_before_an_interrupt_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(patience.time, "sleep", interrupt)
    with serving({3: (429, "60")}) as client:
        with pytest.raises(KeyboardInterrupt):
            client.predict("sum", EVENTS)
        np.testing.assert_array_equal(client.unfinished[:, 0], EXPECTED[:2])
        np.testing.assert_array_equal(client.predict("sum", EVENTS), EXPECTED)


def test_patience_ends(slept: list[float]) -> None:
    with serving({2: (429, "86400")}) as client:
        with pytest.raises(TooManyRequests, match="86400 s more .*scored before is in client.unf"):
            client.predict("sum", EVENTS)
        assert len(client.unfinished) == 1
    assert slept == []


def test_what_was_scored_of_other_events_is_forgotten(slept: list[float]) -> None:
    with serving({4: (500, None)}) as client:
        with pytest.raises(ServerError):
            client.predict("sum", EVENTS)
        with pytest.raises(FeatureError):
            client.predict("sum", EVENTS, keys=["a", "b", "c"])
        assert len(client.unfinished) == 0


@pytest.mark.slow
@pytest.mark.parametrize("events", [EVENTS, EVENTS[0]])
def test_a_server_of_ours_is_waited_for_too(tmp_path: Path, events: Any) -> None:
    with Server(tmp_path, port=0, token=False, rate=4) as server:
        client = server.client()
        client.upload(Bundle.from_parts(b'{"name": "sum"}', serialized(weighted_sum)))
        for _ in range(6):
            found = client.predict("sum", events, progress=False)
            np.testing.assert_array_equal(found, events @ [1, 2, 3])


@pytest.mark.slow
@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], progress: bool
) -> None:
    monkeypatch.setattr(patience, "_SHOWN_AFTER", 0)
    with serving({}) as client:
        client.predict("sum", EVENTS, progress=progress)
    shown = capsys.readouterr().err
    assert ("scoring" in shown and "5/5" in shown) == progress


@pytest.mark.slow
def test_waiting_has_an_end_in_all() -> None:
    waits = iter(range(1000))

    def refuse() -> None:
        next(waits)
        error = TooManyRequests("later")
        error.retry_after = 0
        raise error

    with pytest.raises(TooManyRequests, match="later"):
        patiently(refuse, most=0.35)
    assert next(waits) == 4, "three waits of a tenth of a second, and no fourth"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("0", 0), ("17", 17), (" 5 ", 5), ("9" * 5000, 999_999_999)),
        *((None, None), ("", None), ("-1", None), ("1.5", None), ("soon", None), ("²", None)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
        *((f"{'0' * 12}5", 5), ("Wed, 99999999999999999999 Oct 2015 07:28:00 GMT", None)),
        ("Wed, 21 Oct 2015 07:28:00 -99999999999999999999", None),
    ],
)
def test_times_to_wait(header: str | None, seconds: int | None) -> None:
    assert seconds_told(header) == seconds


def test_other_errors_are_not_waited_for(slept: list[float]) -> None:
    def fail() -> None:
        raise ServerError("broken")

    failing: Callable[[], None] = fail
    with pytest.raises(TfaasError, match="broken"):
        patiently(failing)
    assert slept == []
