"""Settings of a server's process, in a form that can be sent to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tfaas_nb.serving.rate import Rate
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import DEFAULT_MEMORY
from tfaas_nb.serving.tls import Tls

#: Seconds that requests under way have when a server ends, unless told otherwise.
DEFAULT_GRACE = 3.0


@dataclass(frozen=True)
class Settings:
    """Settings of a server: the models that it serves, and its clients.

    Attributes
    ----------
    directory : str
        The models' directory, absolute: the current directory may change.
    token : str or None
        What clients must show; None lets everybody in.
    hosts : tuple of str
        Host names under which the server may be asked.
    memory : int
        Bytes of models kept in the memory of each process.
    preload : bool
        Whether models are loaded before the first request.
    access_log : str or None
        File to which answers are noted down, absolute; ``-`` is standard error.
    allow_ops : tuple of str
        Further operations that uploaded graphs may use.
    drain, grace : float
        Seconds for which connections are still accepted at the end, and that requests under way
        then have.
    reader_tokens : tuple of str
        What clients show that only read.
    own_token : str or None
        What the server's own client shows.
    certfile, keyfile, client_ca : str or None
        Files of an encrypted server, absolute.
    admin_subjects : tuple of str
        Subjects of certificates that stand for the token.
    rate : float or None
        Requests per second of each token.
    burst : int or None
        Requests at once of each token.
    """

    directory: str
    token: str | None = field(repr=False)
    hosts: tuple[str, ...]
    memory: int = DEFAULT_MEMORY
    preload: bool = False
    access_log: str | None = None
    allow_ops: tuple[str, ...] = ()
    drain: float = 0.0
    grace: float = DEFAULT_GRACE
    reader_tokens: tuple[str, ...] = field(default=(), repr=False)
    own_token: str | None = field(default=None, repr=False)
    certfile: str | None = None
    keyfile: str | None = None
    client_ca: str | None = None
    admin_subjects: tuple[str, ...] = ()
    rate: float | None = None
    burst: int | None = None

    @property
    def ending(self) -> float:
        """Seconds that the end may take."""
        return self.drain + self.grace

    @property
    def access(self) -> Access:
        """Rules of access for requests."""
        return Access(
            self.token,
            frozenset(self.hosts),
            self.reader_tokens,
            self.own_token,
            self.client_ca is not None,
            frozenset(self.admin_subjects),
        )

    @property
    def tls(self) -> Tls | None:
        """Files for the encryption of connections; None for plain HTTP."""
        return Tls(self.certfile, self.keyfile, self.client_ca) if self.certfile else None

    @property
    def most(self) -> Rate | None:
        """Rate at which each token may ask; None for no limit."""
        return Rate.of(self.rate, self.burst)

    def to_values(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Make settings from the values that `to_values` gave, read from JSON."""
        names = ("hosts", "allow_ops", "reader_tokens", "admin_subjects")
        lists = {name: tuple(values[name]) for name in names}
        return cls(**{**values, **lists})
