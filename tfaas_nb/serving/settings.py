"""What a server's process must know, as it travels to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import DEFAULT_MEMORY

#: Seconds that requests under way have when a server ends, unless told otherwise.
DEFAULT_GRACE = 3.0


@dataclass(frozen=True)
class Settings:
    """What is served, and to whom.

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

    @property
    def ending(self) -> float:
        """Seconds that the end may take."""
        return self.drain + self.grace

    @property
    def access(self) -> Access:
        """What a request must show."""
        return Access(self.token, frozenset(self.hosts))

    def to_values(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """What `to_values` gave, read from JSON."""
        lists = {name: tuple(values[name]) for name in ("hosts", "allow_ops")}
        return cls(**{**values, **lists})
