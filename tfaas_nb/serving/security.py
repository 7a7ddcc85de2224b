"""Who may talk to a server: the token, and the host and origin of a request.

Jupyter's rules for a local server: a random token by default, and no answer to a page of
another site, nor under a foreign host name (DNS rebinding).
"""

from __future__ import annotations

import functools
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tfaas_nb.errors import Forbidden, Unauthorized

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: Where a command's token may stand instead of its arguments, which other users can see.
TOKEN_VARIABLE = "TFAAS_NB_TOKEN"

_SCHEME = b"bearer "


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Access:
    """What a request must show.

    Attributes
    ----------
    token : str or None
        As ``Authorization: Bearer TOKEN`` or ``?token=TOKEN``; None lets everybody in.
    hosts : frozenset of str
        Host names under which the server may be asked.
    """

    token: str | None
    hosts: frozenset[str] = LOOPBACK

    def check(self, headers: Mapping[bytes, bytes], query: bytes) -> None:
        """Let a request pass.

        Parameters
        ----------
        headers : mapping
            Lower-case names to values.
        query : bytes
            The address's query string.

        Raises
        ------
        Forbidden
            If its ``Host`` or ``Origin`` is foreign.
        Unauthorized
            If the token is missing or wrong.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if host_name(host) not in self.hosts:
            raise Forbidden(
                f"this server does not answer for host {host!r}; "
                "allow the name with allowed_hosts=[...] or --allow-host"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            raise Forbidden(f"pages of {origin.decode('latin-1')!r} may not ask this server")
        if self.token is not None and not self._shown(headers, query):
            raise Unauthorized(
                "the token is missing or wrong: send 'Authorization: Bearer TOKEN' or ?token=TOKEN"
            )

    def _shown(self, headers: Mapping[bytes, bytes], query: bytes) -> bool:
        assert self.token is not None
        given = headers.get(b"authorization", b"")
        if given[: len(_SCHEME)].lower() == _SCHEME:
            shown = given[len(_SCHEME) :].strip()
        else:
            values = parse_qs(query.decode("utf-8", "replace"))
            shown = values.get("token", [""])[0].encode()
        return hmac.compare_digest(shown, self.token.encode())


@functools.lru_cache(maxsize=256)
def host_name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
