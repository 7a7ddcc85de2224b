"""Requests that offer another protocol besides, such as ``Upgrade: h2c``, as if they did not.

A server may ignore the offer (RFC 9110, section 7.8), but the parser takes what follows the head
for the other protocol, and leaves out the body.  So the head is written again without the offer.
Who offers HTTP/2 goes on with HTTP/1.1 on the connection; others, such as WebSockets, may send
what is no HTTP, so the answer to their request is the connection's last.
"""

from __future__ import annotations

import httptools

_OFFER = (b"upgrade", b"http2-settings", b"connection")
_CONNECT = b"CONNECT"
_HTTP_2 = b"h2c"


def is_offered(parser: httptools.HttpRequestParser) -> bool:
    """Return True if a head, now complete, offers another protocol."""
    return bool(parser.should_upgrade()) and parser.get_method() != _CONNECT


def head_without(
    parser: httptools.HttpRequestParser, url: bytes, headers: dict[bytes, bytes]
) -> bytes:
    """A head without what it offers, with the empty line that ends it.

    Parameters
    ----------
    parser : httptools.HttpRequestParser
        Parser of the head, which refuses names and values that hold the end of a line.
    url : bytes
        The request's target as it was sent.
    headers : dict
        Lower-case names to values.
    """
    version = parser.get_http_version().encode()
    lines = [b"%b %b HTTP/%b" % (parser.get_method(), url, version)]
    lines += [b"%b: %b" % (name, headers[name]) for name in headers if name not in _OFFER]
    offers = headers.get(b"upgrade", b"").lower().replace(b" ", b"").split(b",")
    is_kept = parser.should_keep_alive() and _HTTP_2 in offers
    lines.append(b"connection: " + (b"keep-alive" if is_kept else b"close"))
    return b"\r\n".join((*lines, b"", b""))
