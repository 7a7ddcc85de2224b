"""Heads on which two servers may differ: where a request ends, and whom it asks.

A proxy before this server and the server must agree on that; otherwise a part of one client's
request passes for the next client's (request smuggling, RFC 9112, section 11.2).  The parser
refuses most of what is ambiguous; what it lets pass and the standard does not is refused here.
"""

from __future__ import annotations

import httptools

from tfaas_nb.errors import RequestError

#: Sent twice, one server may take the first and another the last.
_ONCE = frozenset({b"host", b"authorization", b"origin", b"transfer-encoding"})
_VERSIONS = ("1.0", "1.1")
#: Of a length: longer ones are zeros, or more than any computer counts.
_MOST_DIGITS = 19
_SCHEMES = (b"http", b"https")


def check_repeated(name: bytes) -> None:
    """Refuse a header that was sent before, if it may be sent once only.

    Raises
    ------
    RequestError
        If so.
    """
    if name in _ONCE:
        raise RequestError(f"the request has two {name.decode().title()} headers")


def check(parser: httptools.HttpRequestParser, url: bytes, headers: dict[bytes, bytes]) -> None:
    """Refuse a head that leaves room, and take the host from an address that names one.

    Parameters
    ----------
    parser : httptools.HttpRequestParser
        What has parsed the head.
    url : bytes
        The request's target as it was sent.
    headers : dict
        Lower-case names to values; ``host`` becomes that of a target in absolute form.

    Raises
    ------
    RequestError
        If it does.
    """
    version = parser.get_http_version()
    if version not in _VERSIONS:
        raise RequestError(f"the request is HTTP/{version}: send HTTP/1.1")
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.lower() != b"chunked"):
        raise RequestError("a body is sent with Content-Length, or as HTTP/1.1's chunked alone")
    digits = len(headers.get(b"content-length", b"").strip())
    if digits > _MOST_DIGITS:
        raise RequestError(f"the Content-Length has {digits} digits")
    if version == "1.1" and b"host" not in headers:
        raise RequestError("the request has no Host header")
    if b"#" in url:
        raise RequestError(f"the address {without_query(url)!r} has a fragment")
    if not url.startswith((b"/", b"*")):
        headers[b"host"] = _authority(url)


def _authority(url: bytes) -> bytes:
    """The host and port in a target in absolute form, which stand for the Host header."""
    scheme, _, rest = url.partition(b"://")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    if scheme.lower() not in _SCHEMES or not authority or b"@" in authority:
        raise RequestError(f"the address {without_query(url)!r} is not one")
    return authority


def without_query(url: bytes) -> str:
    """An address that may be told: a token may stand in the rest of it."""
    return url.partition(b"?")[0].decode("latin-1")
