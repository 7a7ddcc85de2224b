"""A connection to a server that speaks HTTP: who it is, who asks, and what it reports."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import requests

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import ServerError, ServerUnreachable, TfaasError, from_answer
from tfaas_nb.options import check_kind, check_option, is_number
from tfaas_nb.patience import patiently, seconds_told

#: What our server says of itself: a proxy leaves the first as it is, but rewrites ``Server``.
_OURS, _SERVER = "X-Tfaas-Nb", "tfaas_nb/"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
#: Bytes per second of a model that a busy machine reads, tries and stores at least.
_SLOWEST = 1e6
_QUOTED = 300
#: Of MD5, SHA-1 or SHA-256.
_FINGERPRINT = re.compile("(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})")
_UNAUTHORIZED = 401


@checked_calls(ServerError)
class Connection:
    """A connection to a server, ours or a Go TFaaS; see `tfaas_nb.client.Client`."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 60.0,
        *,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | tuple[str | os.PathLike[str], ...] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        parts = _address(url)
        check_option("token", token, token is None or isinstance(token, str), "text", ServerError)
        seconds = is_number(timeout) and timeout > 0
        check_option("timeout", timeout, seconds, "a positive number of seconds", ServerError)
        _check_certificates(ca, cert, fingerprint)
        # The token goes into a header: an address is shown, and noted in logs.
        self.url = parts._replace(query="", fragment="").geturl().rstrip("/")
        self.token = token = token or parse_qs(parts.query).get("token", [None])[0]
        self.timeout = timeout
        self._session = requests.Session()
        # A proxy does not reach this machine, and ~/.netrc would take the token's place.
        self._session.trust_env = urlsplit(self.url).hostname not in _LOOPBACK
        if token:
            self._session.auth = _Bearer(token)
        # Given with each request: the session's would yield to the environment's.
        known = False if fingerprint else None
        self._trusted: bool | str | None = str(Path(ca).expanduser()) if ca else known
        if cert:
            files = cert if isinstance(cert, tuple) else (cert,)
            paths = tuple(str(Path(file).expanduser()) for file in files)
            self._session.cert = paths[0] if len(paths) == 1 else (paths[0], paths[1])
        if fingerprint:
            self._session.mount("https://", _Pinned(fingerprint))
        self._is_ours: bool | None = None

    def is_ours(self) -> bool:
        """Return True if the server is tfaas_nb; a Go TFaaS knows neither archives nor ``.npy``."""
        if self._is_ours is None:
            try:
                patiently(lambda: self._ask("GET", "/status"))
            except TfaasError:
                if self._is_ours is None:  # a refusal tells whose it is, too
                    raise
        return bool(self._is_ours)

    def close(self) -> None:
        """Let go of the connections; a later call opens new ones."""
        self._session.close()

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        more: int = 0,
        **options: Any,
    ) -> requests.Response:
        """An answer to a request; `more` bytes of a model take the server longer."""
        timeout = self.timeout + more / _SLOWEST
        try:
            answer = self._session.request(
                method,
                self.url + path,
                headers=headers,
                timeout=timeout,
                verify=self._verify(),
                **options,
            )
        except requests.exceptions.SSLError as error:
            raise ServerUnreachable(
                f"{self.url} is not trusted, or speaks no TLS: {_reason(error, timeout)}; "
                "ca=FILE names the authority of its certificate, fingerprint=... the certificate"
            ) from error
        except (requests.RequestException, OSError) as error:
            raise ServerUnreachable(
                f"no answer from {self.url}: {_reason(error, timeout)}; is the server running "
                "there?"
            ) from error
        ours = _OURS in answer.headers or answer.headers.get("Server", "").startswith(_SERVER)
        # A refusal may be the word of a proxy, which says nothing of the server behind it.
        if ours or answer.ok:
            self._is_ours = ours
        if answer.status_code >= 400:
            raise _reported(answer, self.token, self.url)
        return answer

    def _verify(self) -> bool | str | None:
        """Return the `verify` option for requests: certificates to trust; None for its default."""
        if self._trusted is None and not self._session.trust_env:
            return os.environ.get("REQUESTS_CA_BUNDLE") or None
        return self._trusted


def _check_certificates(ca: object, cert: object, fingerprint: object) -> None:
    """Refuse what names no file and is no fingerprint, before the first request."""
    paths = (str, os.PathLike, type(None))
    check_kind("ca", ca, paths, "the path of a PEM file", ServerError)
    files = cert if isinstance(cert, tuple) and len(cert) in (1, 2) else (cert,)
    for file in files:
        check_kind("cert", file, paths, "the path of a PEM file, or a tuple of two", ServerError)
    digits = fingerprint.replace(":", "") if isinstance(fingerprint, str) else ""
    right = (isinstance(fingerprint, (str, type(None))) and not fingerprint) or bool(
        _FINGERPRINT.fullmatch(digits)
    )
    wanted = "the hexadecimal digits of a certificate's fingerprint, 64 of SHA-256"
    check_option("fingerprint", fingerprint, right, wanted, ServerError)


class _Pinned(requests.adapters.HTTPAdapter):
    """Knows a server by the fingerprint of its certificate, also through a proxy."""

    __attrs__ = [*requests.adapters.HTTPAdapter.__attrs__, "_fingerprint"]  # noqa: RUF012

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, assert_fingerprint=self._fingerprint, **options)


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._value = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def json_of(answer: requests.Response) -> Any:
    """The JSON of an answer.

    Raises
    ------
    ServerError
        If it is none: somebody else answers at the address.
    """
    try:
        return answer.json()
    except ValueError as error:
        raise ServerError(
            f"{answer.url} answered {answer.text[:_QUOTED]!r} and no JSON: is it a TFaaS server?"
        ) from error


def _address(url: Any) -> SplitResult:
    """The parts of a server's address, which names its protocol."""
    if not isinstance(url, str):
        raise ServerError(
            f"a server's address is text such as 'http://127.0.0.1:8083', not {url!r:.100}"
        )
    if "://" not in url:
        raise ServerError(
            f"the address {url!r} does not begin with http:// or https://: write 'http://{url}'"
        )
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise ServerError(f"the address {url!r} cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not whole:
        raise ServerError(
            f"{url!r} is no address of a server: it is http:// or https://, a host, and a port "
            "in 1-65535 such as 'http://127.0.0.1:8083'"
        )
    return parts


def _reported(answer: requests.Response, token: str | None, url: str) -> TfaasError:
    try:
        found = answer.json()
        message, kind = str(found["error"]), found.get("kind")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, kind = answer.text[:_QUOTED].strip() or answer.reason, None
    if answer.status_code == _UNAUTHORIZED:
        shown = "shows another one" if token else "shows none"
        message += f"; this client {shown}: give that of {url} with token=..."
    error = from_answer(answer.status_code, kind, message)
    error.retry_after = seconds_told(answer.headers.get("Retry-After"))
    return error


def _reason(error: Exception, timeout: float) -> str:
    """The cause of a failed request in a few words, not the chain of libraries it went through."""
    for cause in _causes(error):
        if isinstance(cause, requests.Timeout):
            return f"nothing came within {timeout:g} s"
        if isinstance(cause, socket.gaierror):
            return "its name is not known"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(error)[:_QUOTED]


def _causes(error: object) -> Iterator[BaseException]:
    """An exception and those it came of; urllib3 keeps some as arguments."""
    seen: list[BaseException] = []
    todo = [error]
    while todo:
        cause = todo.pop(0)
        if isinstance(cause, BaseException) and cause not in seen:
            seen.append(cause)
            yield cause
            todo += [getattr(cause, "reason", None), cause.__cause__, cause.__context__]
            todo += list(cause.args)
