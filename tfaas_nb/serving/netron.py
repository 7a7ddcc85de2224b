"""Graphs drawn in the browser by Netron, served from its package's files.

Netron's page loads its scripts and the graph by addresses that cannot carry the token.  With a
token set they lie under a key that is derived from it and opens nothing else.

Made for the open web, the page asks a geolocation service where its user is, asks for consent
to cookies, reports usage, and refuses to work when it is half a year old.  Here it does none of
that: what would start it is taken out of the page, and the content security policy lets it
reach nothing but this server.
"""

from __future__ import annotations

import base64
import hmac
import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlencode

from tfaas_nb.bundle import MODEL
from tfaas_nb.errors import MissingExtra, RouteNotFound
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.routes import Route, reference
from tfaas_nb.serving.service import Service

#: Begin of all addresses.
ROOT = "/netron/"
_ROOT = r"/netron(?:/k/(?P<key>[^/]+))?"
_KEYED = re.compile(r"/netron/k/([^/]+)/.*", re.DOTALL)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
#: Content types of its files.
TYPES = tuple(dict.fromkeys(_TYPES.values()))
_INDEX = "index.html"

_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_GUARDED = (("content-security-policy", _POLICY), ("referrer-policy", "no-referrer"))
_KEPT = ("cache-control", "private, max-age=3600")
_NOT_KEPT = ("cache-control", "no-store")

#: Netron looks for its users' consent in a cookie, and asks the open web when there is none.
_QUIET = b"""Object.defineProperty(document, 'cookie', { get: () => 'consent=0', set: () => {} });
"""
_QUIET_FILE = "without-cookies.js"


def key(token: str) -> str:
    """Make the key that, in place of the token, opens Netron's files and the graphs alone."""
    code = hmac.digest(token.encode(), b"netron", "sha256")
    return base64.urlsafe_b64encode(code).rstrip(b"=").decode()


def is_opened(head: Head, token: str) -> bool:
    """Return True if a request shows the key to its address."""
    found = _KEYED.fullmatch(head.path)
    return (
        found is not None
        and head.method in ("GET", "HEAD")
        and hmac.compare_digest(found[1].encode("utf-8", "replace"), key(token).encode())
    )


def without_key(path: str) -> str:
    """A path that may be shown in a log."""
    found = _KEYED.fullmatch(path)
    return path if found is None else path.replace(found[1], "KEY", 1)


def address(name: str, version: int | str, token: str | None, file: str = MODEL) -> str:
    """Address of Netron's page for a model's graph, relative to the server's home page.

    Parameters
    ----------
    name, version
        The model.
    token : str or None
        The server's.
    file : str
        Name of the model's file; Netron knows formats by it.
    """
    suffix = Path(file).suffix
    asked = {
        "url": f"models/{quote(name, safe='')}/{version}/{quote(file, safe='')}",
        "identifier": f"{name}{suffix}",
    }
    folder = f"netron/k/{key(token)}/" if token else "netron/"
    return f"{folder}?{urlencode(asked)}"


class Netron:
    """The page that draws graphs.

    Parameters
    ----------
    service : Service
        Whose graphs.
    token : str or None
        The server's.
    """

    def __init__(self, service: Service, token: str | None) -> None:
        self._service, self._token = service, token

    def routes(self) -> tuple[Route, ...]:
        """All addresses."""
        return (
            Route("GET", "/netron/", self._page),
            Route("GET", r"/netron/k/(?P<key>[^/]+)/", self._opened_page),
            Route("GET", _ROOT + r"/(?P<file>[^/]+)", self._file),
            Route(
                "GET",
                _ROOT + r"/models/(?P<name>[^/]+)/(?P<version>[^/]+)/(?P<file>[^/]+)",
                self._graph,
            ),
        )

    def _page(self, request: Request) -> Response:
        if self._token is None:
            return _index()
        # The token was shown, but the page's scripts could not show it.
        asked = {k: v for k in ("url", "identifier") if (v := request.head.option(k))}
        where = f"k/{key(self._token)}/" + (f"?{urlencode(asked)}" if asked else "")
        return Response(b"", "text/plain", 303, (*_GUARDED, ("location", where)))

    def _opened_page(self, request: Request, key: str) -> Response:
        return _index()

    def _file(self, request: Request, key: str | None, file: str) -> Response:
        if file == _INDEX:
            return _index()
        content = _QUIET if file == _QUIET_FILE else _content(file)
        return Response(content, _TYPES[Path(file).suffix], headers=(*_GUARDED, _KEPT))

    def _graph(
        self, request: Request, key: str | None, name: str, version: str, file: str
    ) -> Response:
        repository = self._service.repository
        graph = repository.load(repository.find(reference(name, version))).graph
        return Response(
            graph.serialized, "application/octet-stream", headers=(*_GUARDED, _NOT_KEPT)
        )


def _index() -> Response:
    """Netron's page as an unpublished version, which reports no usage, and without its date."""
    page = _content(_INDEX)
    page = re.sub(rb'<meta name="version"[^>]*>', b'<meta name="version" content="0.0.0">', page)
    page = re.sub(rb'<meta name="date"[^>]*>', b"", page)
    quiet = f'<script src="{_QUIET_FILE}"></script>'.encode()
    page = page.replace(b"<script", quiet + b"<script", 1)
    return Response(page, _TYPES[".html"], headers=(*_GUARDED, _NOT_KEPT))


def _content(file: str) -> bytes:
    """One of Netron's files."""
    folder = _folder()
    # Among those there are, rather than by a path that was asked for.
    if file not in _files(folder):
        raise RouteNotFound(f"Netron has no file {file!r}")
    return (folder / file).read_bytes()


def _folder() -> Path:
    """Folder of the installed package Netron; none of its code is run."""
    found = importlib.util.find_spec("netron")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("graphs are drawn by Netron: pip install netron")
    return Path(next(iter(found.submodule_search_locations)))


@lru_cache(maxsize=4)
def _files(folder: Path) -> frozenset[str]:
    return frozenset(p.name for p in folder.iterdir() if p.suffix in _TYPES and p.is_file())
