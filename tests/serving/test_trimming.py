from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfaas_nb.serving import trimming
from tfaas_nb.serving.trimming import Trimming


def test_memory_is_given_back_once_after_large_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(trimming, "trim", lambda: calls.append("trim"))
    monkeypatch.setattr(trimming, "_SECONDS", 0.01)

    async def answers() -> None:
        with ThreadPoolExecutor(1) as threads:
            after = Trimming(threads)
            for size in (1000, 1 << 20, 9 << 20, 100 << 20):
                after.after(size)
            await asyncio.sleep(0.05)
            after.after(9 << 20)
            await asyncio.sleep(0.05)

    asyncio.run(answers())
    assert calls == ["trim", "trim"]


def test_it_can_be_done_anywhere() -> None:
    trimming.trim()
