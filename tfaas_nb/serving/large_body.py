"""Receiving a large body straight into its place.

The parser hands a body over in pieces, each copied twice before they are joined; for ten
megabytes that takes longer than to score the events in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np


class LargeBody(asyncio.BufferedProtocol):
    """Takes a connection's bytes from its protocol until a body of known length is whole.

    Parameters
    ----------
    owner : asyncio.Protocol
        The connection's protocol; hears of everything but the bytes.
    begun : bytes
        What of the body was received before.
    length : int
        Of the whole body.
    received : callable
        Told the number of bytes of each piece.
    whole : callable
        Given the body, once.
    """

    def __init__(
        self,
        owner: asyncio.Protocol,
        begun: bytes,
        length: int,
        received: Callable[[int], None],
        whole: Callable[[bytes], None],
    ) -> None:
        self._owner, self._received, self._whole = owner, received, whole
        # Not a bytearray: that would be filled with zeros, so merely announcing a large body
        # would take the memory.
        self._body = np.empty(length, np.uint8)
        self._body[: len(begun)] = np.frombuffer(begun, np.uint8)
        self._left = memoryview(self._body.data)[len(begun) :]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes; those after the body are left to the owner."""
        return self._left

    def buffer_updated(self, nbytes: int) -> None:
        """Count what came."""
        self._left = self._left[nbytes:]
        self._received(nbytes)
        if not self._left:
            self._whole(self._body.tobytes())

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._owner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._owner.resume_writing()
