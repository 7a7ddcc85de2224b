"""A large body, piece by piece; over real connections it is tested in test_http.py."""

from __future__ import annotations

import asyncio
import resource

from tfaas_nb.serving.large_body import LargeBody


class Owner(asyncio.Protocol):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


def test_pieces_go_into_their_place() -> None:
    sizes: list[int] = []
    whole: list[bytes] = []
    body = LargeBody(Owner(), b"abc", 8, sizes.append, whole.append)
    for piece in (b"d", b"ef", b"gh"):
        room = body.get_buffer(-1)
        assert len(room) == 5 - sum(sizes)
        room[: len(piece)] = piece
        assert not whole
        body.buffer_updated(len(piece))
    assert (sizes, whole) == ([1, 2, 2], [b"abcdefgh"])


def test_the_owner_hears_of_everything_else() -> None:
    owner, lost = Owner(), ConnectionError("lost")
    body = LargeBody(owner, b"", 8, lambda size: None, lambda whole: None)
    body.pause_writing()
    body.resume_writing()
    assert body.eof_received()
    body.connection_lost(lost)
    assert owner.told == ["pause", "resume", "eof", lost]


def test_a_body_that_is_merely_announced_takes_no_memory() -> None:
    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak()
    announced = [
        LargeBody(Owner(), b"", 100_000_000, lambda size: None, lambda whole: None)
        for _ in range(20)
    ]
    assert len(announced) == 20
    assert peak() - before < 200_000_000
