"""Encrypted connections, and who is at their other end.

Python's ``ssl`` does it all.  What is added: errors that name the file, a trial of the certificate
before the first client makes it, renewal without a restart, and the person behind a grid proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import ssl
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, cast

from tfaas_nb.errors import ServerError

#: Seconds that a client may take over its handshake, and over a farewell.
HANDSHAKE_SECONDS = 10.0
_FAREWELL_SECONDS = 0.5

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
#: Files of a folder of authorities, called by the hash of their subject (``openssl rehash``).
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")

#: What makes a certificate a proxy of RFC 3820: the extension 1.3.6.1.5.5.7.1.14.
_PROXY = bytes.fromhex("06082b0601050507010e")

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}

_log = logging.getLogger("tfaas_nb")

Name = Sequence[Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Tls:
    """Files of an encrypted server.

    Attributes
    ----------
    certfile : str
        The server's certificate, and those that lead from it to its authority, in PEM.
    keyfile : str or None
        Its private key, if that does not stand in `certfile`.
    client_ca : str or None
        Authorities whose clients' certificates are taken: a PEM file, or a folder of them under
        hashed names, such as ``/etc/grid-security/certificates``.
    """

    certfile: str
    keyfile: str | None = None
    client_ca: str | None = None

    def context(self) -> ssl.SSLContext:
        """Make the context that encrypts connections, by TLS 1.2 at least.

        Raises
        ------
        ServerError
            If a file cannot be used, or no client could trust the certificate.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_alpn_protocols(["http/1.1"])
        self.load(made)
        if self.client_ca:
            _trust(made, self.client_ca)
        _tried(made, self.leaf(), self.certfile)
        return made

    def load(self, context: ssl.SSLContext) -> None:
        """Have a context show the certificate from its next connection on.

        Raises
        ------
        ServerError
            If a file cannot be used.
        """
        key = self.keyfile or self.certfile
        for path, what in ((self.certfile, "certificate"), (key, "private key")):
            _read(path, what)

        def encrypted() -> NoReturn:
            raise ServerError(
                f"the private key {key} is encrypted, and nobody is there to be asked for its "
                f"password: openssl pkey -in {key} -out key.pem decrypts it"
            )

        try:
            context.load_cert_chain(self.certfile, self.keyfile, encrypted)
        except (ssl.SSLError, ValueError) as error:
            raise ServerError(
                f"the certificate {self.certfile} with the private key {key} cannot be used: "
                f"{_reason(error)}"
            ) from error

    def leaf(self) -> bytes:
        """The server's own certificate, in DER.

        Raises
        ------
        ServerError
            If there is none.
        """
        found = _PEM.search(_read(self.certfile, "certificate"))
        if not found:
            raise ServerError(f"{self.certfile} holds no certificate in PEM")
        return ssl.PEM_cert_to_DER_cert(found[0])

    def fingerprint(self) -> str:
        """SHA-256 of the server's own certificate, by which its own client knows it.

        Raises
        ------
        ServerError
            If the file cannot be used.
        """
        return hashlib.sha256(self.leaf()).hexdigest()

    def names(self) -> frozenset[str]:
        """Hosts that the certificate is for: a page of another site cannot come under them.

        Raises
        ------
        ServerError
            If a file cannot be used, or no client could trust the certificate.
        """
        told = _tried(self.context(), self.leaf(), self.certfile)
        named = cast("Sequence[tuple[str, str]]", told.get("subjectAltName", ()))
        return frozenset(name for kind, name in named if kind in ("DNS", "IP Address"))

    def stamps(self) -> tuple[tuple[int, int, int], ...]:
        """Times, sizes and inodes of the certificate's files, which change when one is replaced."""
        files = [self.certfile, *([self.keyfile] if self.keyfile else [])]
        found = [Path(file).stat() for file in files]
        return tuple((f.st_mtime_ns, f.st_size, f.st_ino) for f in found)


class Encrypted:
    """Encryption of a listening socket, with a certificate that may be renewed.

    Parameters
    ----------
    tls : Tls
        The files.

    Raises
    ------
    ServerError
        If one cannot be used.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls, self._seen = tls, tls.stamps()
        self._context = tls.context()

    def options(self, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
        """Options of `asyncio.loop.create_server`."""
        found = {"ssl": self._context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        # asyncio's own loops know it since Python 3.11.
        if sys.version_info >= (3, 11) or not isinstance(loop, asyncio.BaseEventLoop):
            found["ssl_shutdown_timeout"] = _FAREWELL_SECONDS
        return found

    def look(self) -> None:
        """Take the certificate from its files again, if they have changed."""
        try:
            found = self._tls.stamps()
            if found == self._seen:
                return
            self._seen = found
            self._tls.context()
            self._tls.load(self._context)
        except OSError:  # it is being replaced
            return
        except ServerError as error:
            _log.warning("%s; the former certificate is still shown", error)


def subject(shown: ssl.SSLObject) -> str:
    """Subject of a client's certificate, as ``/DC=ch/DC=cern/CN=Some One``; empty without one.

    For a proxy certificate (RFC 3820) it is the person who signed it: it appends a name for
    every proxy on the way, which OpenSSL has checked.
    """
    try:
        found = shown.getpeercert()
        if not found:
            return ""
        parts = cast("Name", found["subject"])
        is_proxy = found["issuer"] == parts[:-1]
        proxies = sum(1 for _ in takewhile(_is_proxy, _chain(shown))) if is_proxy else 0
    except (OSError, ValueError):  # OpenSSL took what Python cannot read
        return ""
    return written(parts[: len(parts) - proxies])


def written(name: Name) -> str:
    """A distinguished name as the grid writes it; no two names look the same."""
    return "".join(f"/{'+'.join(_pairs(part))}" for part in name) or "/"


def _pairs(part: Iterable[tuple[str, str]]) -> Iterable[str]:
    for kind, value in part:
        # What would begin another part is marked; "host/cms.example" needs no mark.
        quoted = re.sub(r"\\|[/+](?=[\w.]+=)", lambda found: f"\\{found[0]}", value)
        shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)
        yield f"{_SHORT.get(kind, kind)}={shown}"


def _is_proxy(certificate: bytes) -> bool:
    return _PROXY in certificate


def _chain(shown: ssl.SSLObject) -> list[bytes]:
    """The certificates that were verified, the client's first, in DER."""
    if sys.version_info >= (3, 13):
        return list(shown.get_verified_chain())
    import _ssl

    inner: Any = shown  # what is public since then was there before
    found = inner._sslobj.get_verified_chain()
    return [one.public_bytes(_ssl.ENCODING_DER) for one in found or ()]


def _trust(context: ssl.SSLContext, authorities: str) -> None:
    """Have clients' certificates verified, those of grid proxies among them.

    A client without one gets through the handshake, to be told what is missing: liveness is
    anybody's.
    """
    place = Path(authorities)
    if place.is_dir():
        if not any(_HASHED.fullmatch(file.name) for file in place.iterdir()):
            raise ServerError(
                f"no file in {authorities} is called by the hash of an authority, such as "
                f"1d879c6c.0: openssl rehash {authorities} links them so"
            )
        context.load_verify_locations(capath=authorities)
    else:
        _read(authorities, "file of authorities")
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError as error:
            raise ServerError(
                f"the file of authorities {authorities} cannot be used: {_reason(error)}"
            ) from error
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    # Each connection is to be verified: who takes up a former one shows no certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def _tried(context: ssl.SSLContext, leaf: bytes, path: str) -> Mapping[str, object]:
    """Shake hands with a client that trusts the certificate; return its view of it, or raise."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_ALLOW_PROXY_CERTS
    trusting.load_verify_locations(cadata=leaf)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there)
    server = context.wrap_bio(there, back, server_side=True)
    try:
        for _ in range(2):
            for end in (client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise ServerError(
            f"no client would trust the certificate {path}: {error.verify_message}; renew it"
        ) from error
    return client.getpeercert() or {}


def _read(path: str, what: str) -> str:
    try:
        return Path(path).read_text("latin-1")
    except OSError as error:
        raise ServerError(f"the {what} {path} cannot be read: {error.strerror}") from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error)
