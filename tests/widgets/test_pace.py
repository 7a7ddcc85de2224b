from __future__ import annotations

import math
from typing import Any

import pytest

from tfaas_nb.serving.server import Server
from tfaas_nb.widgets.pace import Gauge


def status(uptime: float, json: tuple[int, ...], own: int = 0) -> dict[str, Any]:
    return {
        "uptime": uptime,
        "bounds": [0.001, 0.1],
        "seconds": {"/json": list(json), "/status": [own, 0, 0]},
    }


def test_the_pace_is_that_of_the_last_readings() -> None:
    gauge = Gauge()
    first = gauge.read(status(10, (100, 0, 0)), now=10.0)
    assert (first.requests, first.total) == (0, 100)
    assert math.isnan(first.median)
    assert str(first) == "none now, 100 since the start"
    second = gauge.read(status(12, (110, 9, 1), own=5), now=12.0)
    assert (second.requests, second.per_second, second.total) == (20, 10.0, 120)
    assert (second.median, second.slow) == (0.001, 0.1)
    assert str(second).startswith("10.0 per second, half of them answered within 1 ms, 95 % within")
    for n in range(6):
        last = gauge.read(status(14 + 2 * n, (110, 9, 1)), now=14.0 + 2 * n)
    assert last.requests == 0


def test_another_server_begins_anew() -> None:
    gauge = Gauge()
    gauge.read(status(100, (50, 0, 0)), now=100.0)
    assert gauge.read(status(1, (60, 0, 0)), now=102.0).requests == 0


def test_slower_than_all_bounds() -> None:
    gauge = Gauge()
    gauge.read(status(1, (0, 0, 0)), now=1.0)
    assert "within more than 10 s" in str(gauge.read(status(2, (0, 0, 4)), now=2.0))


def test_a_real_server_is_read(serving: Server) -> None:
    gauge, client = Gauge(), serving.client()
    before = gauge.read(client.status())
    for _ in range(3):
        client.params("ttbar")
    assert gauge.read(client.status()).total == before.total + 3
    assert gauge.read(client.status()).requests == pytest.approx(3)
