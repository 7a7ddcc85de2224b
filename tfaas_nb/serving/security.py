"""Access control: tokens, client certificates, and the host and origin of a request.

Jupyter's rules for a local server: a random token by default, and no answer to a page of
another site, nor under a foreign host name (DNS rebinding).  The role that each address asks for
stands in `tfaas_nb.serving.roles`.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import NamedTuple
from urllib.parse import parse_qs

from tfaas_nb.errors import Forbidden, ServerError, Unauthorized
from tfaas_nb.serving.roles import Role

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: Where a command's tokens may stand instead of its arguments, which other users can see.
TOKEN_VARIABLE = "TFAAS_NB_TOKEN"
READER_TOKEN_VARIABLE = "TFAAS_NB_READER_TOKEN"
TOKEN_VARIABLES = frozenset({TOKEN_VARIABLE, READER_TOKEN_VARIABLE})

_SCHEME = b"bearer "
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]*)?")
_ORIGINS = ("http://", "https://")


def new_token() -> str:
    """Random token of 192 bits, in hexadecimal digits.

    It begins with a letter or digit: a dash would make it an option on a command line.
    """
    return secrets.token_hex(24)


def check_token(token: str) -> None:
    """Refuse a token that no client could show.

    Raises
    ------
    ServerError
        If it is not ASCII, or has what a header cannot hold.
    """
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise ServerError(
            "a token must be printable ASCII without blanks around it, or clients cannot send it "
            "in a header: give another, or none for a random one"
        )


class Caller(NamedTuple):
    """Authenticated sender of a request, with its role.

    Attributes
    ----------
    name : str
        The subject of its certificate, or which token it showed, but never the token.
    role : Role
        What it may.
    """

    name: str
    role: Role


@dataclass(frozen=True)
class Access:
    """Rules of access: the tokens, host names and certificates that a request must show.

    Attributes
    ----------
    token : str or None
        The admins', as ``Authorization: Bearer TOKEN`` or ``?token=TOKEN``; None lets everybody
        in who shows a certificate, as a reader, or where none is asked for, as an admin.
    hosts : frozenset of str
        Host names under which the server may be asked, as `canonical` writes them;
        ``*.example.org`` is any name with one part more.
    reader_tokens : tuple of str
        Those of readers.
    own_token : str or None
        That of the server's own client, which needs no certificate.
    certificates : bool
        Whether a client's certificate must be shown, too.
    admin_subjects : frozenset of str
        Subjects whose certificates make admins without a token.
    """

    token: str | None = field(repr=False)
    hosts: frozenset[str] = LOOPBACK
    reader_tokens: tuple[str, ...] = field(default=(), repr=False)
    own_token: str | None = field(default=None, repr=False)
    certificates: bool = False
    admin_subjects: frozenset[str] = frozenset()

    def check(self, headers: Mapping[bytes, bytes], query: bytes, subject: str = "") -> Caller:
        """Let a request pass, and tell whose it is.

        Parameters
        ----------
        headers : mapping
            Lower-case names to values.
        query : bytes
            The address's query string.
        subject : str
            Of the client's certificate, which was verified; empty if none was shown.

        Raises
        ------
        Forbidden
            If its ``Host`` or ``Origin`` is foreign.
        Unauthorized
            If the token or the certificate is missing or wrong.
        """
        self._check_page(headers)
        holder = self._holder(_shown(headers, query)) if self._holders else None
        if holder and holder.name == _OWN:
            return holder
        if not self.is_certified(subject):
            raise Unauthorized(
                "this server asks for a client certificate, of an authority that it knows, and "
                "none was sent: curl --cert, or tn.Client(url, cert=...)"
            )
        if subject in self.admin_subjects:
            return Caller(subject, Role.ADMIN)
        if holder:
            return holder
        if self.token is not None:
            raise Unauthorized(
                "the token is missing or wrong: send 'Authorization: Bearer TOKEN' or ?token=TOKEN"
            )
        return Caller(subject, Role.READER if self.certificates else Role.ADMIN)

    def is_certified(self, subject: str) -> bool:
        """Return True if a client certificate was shown, or none is asked for."""
        return bool(subject) or not self.certificates

    def _check_page(self, headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._answers_for(host_name(host)):
            raise Forbidden(
                f"this server does not answer for host {host!r}; "
                "allow the name with allowed_hosts=[...] or --allow-host"
            )
        origin = headers.get(b"origin")
        # Whether a page was encrypted is not compared: a proxy may end TLS.
        if origin is not None and origin.decode("latin-1") not in [f"{s}{host}" for s in _ORIGINS]:
            raise Forbidden(f"pages of {origin.decode('latin-1')!r} may not ask this server")

    def _answers_for(self, name: str) -> bool:
        """Return True if a host name is allowed, by itself or by a wildcard for its first part."""
        first, _, rest = name.partition(".")
        return name in self.hosts or (bool(first) and f"*.{rest}" in self.hosts)

    @functools.cached_property
    def _holders(self) -> tuple[tuple[bytes, Caller], ...]:
        """Digests of tokens, and who has them."""
        held = [
            (self.own_token, Caller(_OWN, Role.ADMIN)),
            (self.token, Caller(_ADMIN, Role.ADMIN)),
        ]
        readers = enumerate(self.reader_tokens, 1)
        held += [(token, Caller(f"reader {number}", Role.READER)) for number, token in readers]
        return tuple((_digest(token.encode()), who) for token, who in held if token)

    def _holder(self, shown: bytes) -> Caller | None:
        """Return the caller that owns a token; None if nobody does.

        Digests are compared: they are of one length, and how far one agrees with another tells
        nothing of the token.  All are looked at, whichever it is.
        """
        digest, found = _digest(shown), None
        for known, who in self._holders:
            if compare_digest(digest, known):
                found = who
        return found


_OWN, _ADMIN = "own", "admin"


def check_listening(host: str, is_closed: bool, is_encrypted: bool) -> None:
    """Refuse to let other machines in unless somebody decides who, and over what.

    Parameters
    ----------
    host : str
        Address to listen on.
    is_closed : bool
        Whether a token or a client's certificate is asked for.
    is_encrypted : bool
        Whether connections are, or somebody answers for it that they need not be.

    Raises
    ------
    ServerError
        If other machines reach it, and it is not both.
    """
    if is_loopback(host):
        return
    if not is_closed:
        raise ServerError(
            f"anybody who reaches {host or 'this machine'} could upload models: leave "
            "token=False (--no-token) out, or listen on 127.0.0.1"
        )
    if not is_encrypted:
        raise ServerError(
            f"whoever listens on the way to {host or 'this machine'} could read the token: give "
            "certfile=... (--certfile), listen on 127.0.0.1, or, where a proxy ends TLS or the "
            "network is trusted, say plain_http=True (--plain-http)"
        )


def is_loopback(host: str) -> bool:
    """Return True if a server that listens on an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@functools.lru_cache(maxsize=256)
def host_name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets; empty if there is more in it."""
    found = _HOST.fullmatch(host)
    return canonical(found[1] or found[2].removesuffix(".")) if found else ""


def canonical(name: str) -> str:
    """A host's name in lower case; of all spellings of an IPv6 address the shortest."""
    try:
        return str(ipaddress.IPv6Address(name.strip()))
    except ValueError:
        return name.lower()


def _shown(headers: Mapping[bytes, bytes], query: bytes) -> bytes:
    """The token that a request shows."""
    given = headers.get(b"authorization", b"")
    if given[: len(_SCHEME)].lower() == _SCHEME:
        return given[len(_SCHEME) :].strip()
    values = parse_qs(query.decode("utf-8", "replace"))
    return values.get("token", [""])[0].encode("utf-8", "replace")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
