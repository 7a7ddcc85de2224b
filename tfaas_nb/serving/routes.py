"""Addresses, and what answers there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.messages import Response
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import Share

#: Largest body, unless a route says otherwise.
MOST_BYTES = 128 << 20


@dataclass(frozen=True)
class Route:
    """An address.

    Attributes
    ----------
    method : str
        HTTP method.
    pattern : str
        Regular expression that the whole path must match; its named groups are handed to
        `answer`.
    answer : callable
        Takes the request and the named groups; called in a thread, so it may take its time.
    most_bytes : int
        Largest body.
    share : Share
        Whose threads it takes.
    own_coding : str
        Content-Encoding of a body that `answer` itself reads.
    """

    method: str
    pattern: str
    answer: Callable[..., Response]
    most_bytes: int = MOST_BYTES
    share: Share = Share.QUICK
    own_coding: str = ""

    @property
    def is_plain(self) -> bool:
        """True if the pattern is one literal path."""
        return re.escape(self.pattern) == self.pattern

    @property
    def shown(self) -> str:
        """The pattern for people: ``/v2/models/{name}[/versions/{version}]``."""
        named = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", self.pattern)
        return re.sub(r"\(\?:([^)]*)\)\?", r"[\1]", named).replace("\\", "")

    def names(self, path: str) -> dict[str, str | None] | None:
        """Return the named groups of a path; None if it is another route's path."""
        found = re.fullmatch(self.pattern, path)
        return found.groupdict() if found else None


def served(
    service: Service, name: str, version: str | None = None, label: str | None = None
) -> Model:
    """A model by the parts of an address, in the latest version unless it names another.

    Raises
    ------
    ModelNotFound
        If there is no model of that name, or it has no such version or label.
    """
    return service.model(reference(name, version, label))


def reference(name: str, version: str | None = None, label: str | None = None) -> str:
    """Write the reference to a model from the parts of an address."""
    if version is not None:
        return f"{name}/versions/{version}"
    return name if label is None else f"{name}/labels/{label}"
