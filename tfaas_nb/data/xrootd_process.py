"""XRootD's client in a process of its own, to which `tfaas_nb.data.xrootd` talks.

It and TensorFlow cannot be in one process: TensorFlow lends everybody its BoringSSL, which takes
the place of the client's OpenSSL, and the client ends the process with a segmentation fault when
it is imported, encrypts or shows a certificate (xrootd/xrootd#2682, root-project/root#20782).

A request is (number, file, method, arguments, seconds), an answer is (number, ok, code, error
number, message, value); many may be under way at once.  The process ends with its connection.
"""

from __future__ import annotations

import os
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

#: Settings of the client, in seconds and times; a user's ``XRD_...`` variables go before them.
#: Its defaults let no connection be tried again within two minutes of a failed one.
_SETTINGS = {
    "TimeoutResolution": 1,
    "ConnectionWindow": 2,
    "ConnectionRetry": 1,
    "StreamErrorWindow": 1,
}
#: The client's own code of a lost connection.
_DISCONNECTED = 107


class _Desk:
    """Desk that takes requests, and sends answers when they are there."""

    def __init__(self, client: Any, connection: Connection) -> None:
        self._client = client
        self._connection = connection
        self._sending = threading.Lock()
        self._files: dict[int, Any] = {}

    def serve(self) -> None:
        """Serve requests until the other end closes the connection."""
        while True:
            try:
                number, file, method, arguments, seconds = self._connection.recv()
            except (EOFError, OSError):
                return
            try:
                self._submit(number, file, method, arguments, seconds)
            except ValueError as error:  # the client closed the file by itself
                self._send(number, False, _DISCONNECTED, 0, f"[ERROR] {error}", None)

    def _submit(
        self, number: int, file: int, method: str, arguments: tuple[Any, ...], seconds: int
    ) -> None:
        if method == "forget":
            forgotten = self._files.pop(file, None)
            if forgotten is not None and forgotten.is_open():
                # Kept until it is closed: its end would wait for that, and keep everybody waiting.
                forgotten.close(timeout=1, callback=lambda *answer, kept=forgotten: None)
            return
        if method == "dirlist":
            server, folder = arguments
            target = self._client.FileSystem(server)
            arguments = (folder, self._client.flags.DirListFlags.STAT)
        elif method == "open":
            target = self._files[file] = self._client.File()
        else:
            target = self._files[file]

        def answer(status: Any, response: Any, hosts: Any, target: Any = target) -> None:
            value = self._plain(method, response) if status.ok else None
            self._send(number, status.ok, status.code, status.errno, status.message, value)

        status = getattr(target, method)(*arguments, timeout=seconds, callback=answer)
        if not status.ok:  # then there is no call back
            self._send(number, False, status.code, status.errno, status.message, None)

    def _plain(self, method: str, response: Any) -> Any:
        """Return the parts of a response that can be sent between processes."""
        if method == "stat":
            return int(response.size)
        if method == "vector_read":
            return {(part.offset, part.length): part.buffer for part in response.chunks}
        if method == "dirlist":
            folder = self._client.flags.StatInfoFlags.IS_DIR
            return {entry.name: bool(entry.statinfo.flags & folder) for entry in response}
        return response

    def _send(self, *answer: Any) -> None:
        try:
            with self._sending:
                self._connection.send(answer)
        except OSError:  # nobody wants it any more
            os._exit(0)


def main(descriptor: int) -> None:
    """Answer requests that come over a connection, of which the file descriptor is inherited."""
    connection = Connection(descriptor)
    try:
        from XRootD import client
    except ImportError as error:
        connection.send(f"{error}")
        return
    for name, value in _SETTINGS.items():
        client.EnvPutInt(name, value)
    connection.send("")
    _Desk(client, connection).serve()
    os._exit(0)  # the client would wait for servers that are away


if __name__ == "__main__":
    main(int(sys.argv[1]))
