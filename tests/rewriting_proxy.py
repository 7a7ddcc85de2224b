"""A proxy that says who it is in the place of the server behind it, as many do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = sys_version = "proxy"
    behind: str
    #: Statuses that the proxy itself answers with next.
    refusals: list[int]

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.refusals:
            self._answer(self.refusals.pop(), {}, b"the proxy refuses")
            return
        connection = HTTPConnection(self.behind, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers) | {"Connection": ""})
        found = connection.getresponse()
        own = ("server", "connection", "content-length")
        kept = {name: value for name, value in found.getheaders() if name.lower() not in own}
        self._answer(found.status, kept, found.read())
        connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = _pass  # noqa: N815

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)  # with a Server of its own
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def rewriting(url: str) -> Iterator[tuple[str, list[int]]]:
    """The address of a proxy before `url`, and statuses to be answered in the server's place."""
    refusals: list[int] = []
    behind = urlsplit(url).netloc
    handler: Any = type("Handler", (_Handler,), {"behind": behind, "refusals": refusals})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}", refusals
        finally:
            proxy.shutdown()
            thread.join()
