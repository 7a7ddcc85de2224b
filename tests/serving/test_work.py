from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from tfaas_nb.errors import Overloaded, RepositoryUnreachable, RequestError
from tfaas_nb.serving import work
from tfaas_nb.serving.counts import Counts
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.shares import Share, all_in
from tfaas_nb.serving.work import Work

REQUEST = Request(Head("GET", "/", b"", {}), b"")


@pytest.mark.parametrize("share", Share)
def test_more_requests_than_may_wait_are_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch, share: Share
) -> None:
    """At once, and those of the other kind are worked on; later there is room again."""
    monkeypatch.setattr(work, "MOST_REQUESTS", 3)
    monkeypatch.setattr(work, "MOST_LONG", 3)
    go_on = threading.Event()

    def answer(request: Request) -> Response:
        assert go_on.wait(20)
        return Response(b"done")

    async def asked(work: Work, times: int, share: Share) -> list[Response]:
        answers: list[Response] = []
        for _ in range(times):
            work.in_thread(answer, REQUEST, answers.append, share)
        refused = len(answers)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        while len(answers) < times:
            await asyncio.sleep(0.01)
        assert [a.status for a in answers] == [503] * refused + [200] * (times - refused)
        return answers[:refused]

    async def whole() -> None:
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as another:
            work = Work(all_in(another) | {share: one}, Counts())
            (refused,) = await asked(work, 4, share)
            assert refused.headers == (("retry-after", "1"),)
            assert orjson.loads(refused.body)["kind"] == "Overloaded"
            assert await asked(work, 3, share) == []
            for other in set(Share) - {share}:
                assert await asked(work, 3, other) == []

    asyncio.run(whole())


def test_only_what_passes_says_when_to_come_again() -> None:
    with ThreadPoolExecutor(1) as threads:
        work = Work(all_in(threads), Counts())
        assert work.refuse(Overloaded("full")).headers
        assert work.refuse(RepositoryUnreachable("away")).headers == (("retry-after", "5"),)
        assert not work.refuse(RequestError("wrong")).headers
