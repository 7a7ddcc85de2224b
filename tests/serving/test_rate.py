from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tfaas_nb.errors import ServerError, TooManyRequests
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.messages import Done, Head, Request, Response
from tfaas_nb.serving.rate import Rate, Rates
from tfaas_nb.serving.server import Server

REQUEST = Request(Head("GET", "/", b"", {}), b"")
SLOW = 1e-3


def answer(request: Request, done: Done) -> None:
    done(Response(b"here"))


def refuse(error: Exception) -> Response:
    return Response(str(error).encode(), status=429)


CALL = Call(1, answer)


def statuses(call: Call, count: int) -> list[int]:
    found: list[Response] = []
    for _ in range(count):
        call.answer(REQUEST, found.append)
    return [response.status for response in found]


def test_a_burst_is_answered_and_no_more() -> None:
    rates = Rates(Rate(SLOW, 3), refuse)
    assert statuses(rates.limited(CALL, "one"), 5) == [200] * 3 + [429] * 2


def test_others_are_not_affected() -> None:
    rates = Rates(Rate(SLOW, 1), refuse)
    assert statuses(rates.limited(CALL, "one"), 2) == [200, 429]
    assert statuses(rates.limited(CALL, "another"), 1) == [200]


def test_all_addresses_count_together() -> None:
    rates = Rates(Rate(SLOW, 2), refuse)
    calls = [rates.limited(CALL, "one") for _ in range(3)]
    assert [statuses(call, 1) for call in calls] == [[200], [200], [429]]


def test_who_would_have_to_wait_is_told_before_the_body() -> None:
    rates = Rates(Rate(0.1, 1), refuse)
    statuses(rates.limited(CALL, "one"), 1)
    with pytest.raises(TooManyRequests, match=r"0.1 times a second, 1 at once: ask again") as told:
        rates.limited(CALL, "one")
    assert told.value.retry_after in (9, 10)


def test_to_be_told_costs_nothing() -> None:
    rates = Rates(Rate(20.0, 1), refuse)
    call = rates.limited(CALL, "one")
    until = time.monotonic() + 10
    found = []
    while found.count(200) < 4 and time.monotonic() < until:
        found += statuses(call, 1)
    assert found.count(200) == 4
    assert 429 in found


def test_who_comes_once_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfaas_nb.serving.rate._MOST", 5)
    rates = Rates(Rate(SLOW, 1), refuse)
    assert statuses(rates.limited(CALL, "often"), 1) == [200]
    for number in range(20):
        rates.limited(CALL, f"once {number}")
    assert len(rates._buckets) <= 7
    with pytest.raises(TooManyRequests):
        rates.limited(CALL, "often")


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ((None,), None),
        ((2.5,), Rate(2.5, 3)),
        ((0.1,), Rate(0.1, 1)),
        ((5, 50), Rate(5, 50)),
    ],
)
def test_a_burst_is_that_of_a_second(given: Any, rate: Rate | None) -> None:
    assert Rate.of(*given) == rate


@pytest.mark.parametrize(
    "given", [(0,), (-1,), (float("nan"),), (float("inf"),), (1, 0), (None, 3)]
)
def test_what_is_no_rate_is_told(tmp_path: Path, given: Any) -> None:
    rate, burst = (*given, None)[:2]
    with pytest.raises(ServerError, match="a rate is a positive number|a burst needs a rate"):
        Server(tmp_path, rate=rate, burst=burst)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="thread"),
        pytest.param({"isolated": True}, id="process", marks=pytest.mark.slow),
    ],
)
def test_a_server_answers_429_at_once_and_recovers(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    readers = ("one", "two")
    with Server(tmp_path, port=0, rate=2.0, burst=5, reader_token=readers, **options) as server:

        def get(token: str) -> requests.Response:
            return session.get(f"{server.url}/v2?token={token}", timeout=5)

        with requests.Session() as session:
            answers = [get("one") for _ in range(30)]
            codes = [answer.status_code for answer in answers]
            assert codes[:5] == [200] * 5
            refused = answers[codes.index(429)]
            assert refused.headers["Retry-After"] == "1"
            assert refused.json()["kind"] == "TooManyRequests"
            assert get("two").status_code == 200
            assert session.get(f"{server.url}/health", timeout=5).status_code == 200
            until = time.monotonic() + 10
            while get("one").status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.1)
