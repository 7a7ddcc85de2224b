"""Sockets to listen on: one for a port, or several that share it."""

from __future__ import annotations

import socket
import sys

from tfaas_nb.errors import ServerError
from tfaas_nb.serving import http

DEFAULT_PORT = 8083


def listen(host: str, port: int | None) -> socket.socket:
    """A listening socket: the port asked for, or 8083, or else any free one.

    Raises
    ------
    ServerError
        If the port is taken or the address is not this machine's.
    """
    wanted = (DEFAULT_PORT, 0) if port is None else (port,)
    for choice in wanted:
        try:
            return _bind(_family(host), (host, choice))
        except (OSError, OverflowError) as error:
            failure = error
    raise ServerError(
        f"cannot listen on {host}:{wanted[-1]}: {getattr(failure, 'strerror', failure)}; "
        "choose another port, or none to get a free one"
    ) from failure


def beside(listening: socket.socket) -> socket.socket:
    """Another socket on the port of one that listens, for another process.

    Where the kernel deals out connections among sockets of one port (Linux), it is a socket of
    its own.  Processes that accept from one socket share badly: whoever wakes first takes all
    that wait.  Of eight keep-alive connections made at once one of two processes got all or all
    but one, with a socket each three to five; the rate of requests over a hundred differed by a
    third (two cores, uvloop).  It does not listen yet: nobody should wait for a process that is
    still starting.
    """
    if sys.platform == "linux":
        # Only now, since two servers that both set it could take the same port unawares: the
        # first socket was bound without, so the port was free.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            return _bind(listening.family, listening.getsockname(), shared=True)
        except OSError:  # a kernel that wants it set before
            pass
    return listening.dup()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bind(
    family: int, address: tuple[str, int] | tuple[str, int, int, int], shared: bool = False
) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        if not shared:  # two servers may bind the same port as long as neither listens
            bound.listen(http.BACKLOG)
    except (OSError, OverflowError):
        bound.close()
        raise
    return bound
