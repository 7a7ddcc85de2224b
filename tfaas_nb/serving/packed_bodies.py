"""Unpacking of requests' bodies before they are answered, within limits of all together."""

from __future__ import annotations

import dataclasses
import functools

from tfaas_nb.serving import codings
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.codings import CONTENT_ENCODING, Unpacking
from tfaas_nb.serving.messages import Done, Head, Request, Response
from tfaas_nb.serving.room import Room
from tfaas_nb.serving.shares import BULK_BYTES
from tfaas_nb.serving.work import Work

#: Of all bodies that are unpacked and worked on.
_HELD_BYTES = 256 << 20
#: Packed bodies up to this are begun at once, others in a thread.
_SMALL = 4 * 1024
#: Smaller bodies take no room worth counting; for larger ones it is taken in such steps.
_SMALL_BODY = 16 * 1024
_STEP = 1 << 20


class PackedBodies:
    """Reads bodies that clients packed.

    Parameters
    ----------
    work : Work
        Where large bodies are unpacked.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._room = Room(_HELD_BYTES)

    def read(self, head: Head, call: Call) -> Call:
        """The call, which gets the body of a request as it was before it was packed.

        Raises
        ------
        UnsupportedCoding
            If the body has a coding that is not read here.
        """
        if head.header(CONTENT_ENCODING).strip().lower() == call.own_coding:
            return call
        has_body = head.headers.keys() & {b"content-length", b"transfer-encoding"}
        coding = codings.coding_of(head) if has_body else ""
        if not coding:
            return call
        return dataclasses.replace(call, answer=functools.partial(self._answer, coding, call))

    def _answer(self, coding: str, call: Call, request: Request, done: Done) -> None:
        if not request.body:
            call.answer(request, done)
            return
        share = _Share(self._room, call.most_bytes)

        def release(response: Response) -> None:
            share.release()
            done(response)

        unpacking = Unpacking(coding, request.body, call.most_bytes, share.grow)

        def unpack(packed: Request) -> Request:
            unpacking.advance()
            return Request(packed.head, unpacking.body())

        try:
            if len(request.body) <= _SMALL and unpacking.advance(BULK_BYTES):
                call.answer(Request(request.head, unpacking.body()), release)
            else:
                self._work.in_two_steps(unpack, request, call.answer, release)
        except Exception as error:
            release(self._work.failed(request, error))


class _Share:
    """Room that one body takes."""

    def __init__(self, room: Room, most: int) -> None:
        self._room, self._most = room, most
        self._taken = 0

    def grow(self, size: int) -> None:
        """Have room for so many bytes in all."""
        if size <= max(self._taken, _SMALL_BODY):
            return
        if size <= self._room.most:
            more = min(max(size - self._taken, _STEP), self._room.most - self._taken)
            self._room.take(more)
            self._taken += more
        elif self._taken <= self._room.most:  # one body at a time may be as large
            self.release()
            self._room.take(self._most)
            self._taken = self._most

    def release(self) -> None:
        """Give back all of it."""
        if self._taken:
            self._room.give(self._taken)
            self._taken = 0
