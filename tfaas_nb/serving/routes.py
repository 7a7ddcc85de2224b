"""Addresses with names in them, and what answers there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tfaas_nb.errors import ModelNotFound
from tfaas_nb.serving.messages import Response
from tfaas_nb.serving.service import Model, Service


@dataclass(frozen=True)
class Route:
    """An address.

    Attributes
    ----------
    method : str
        HTTP method.
    pattern : re.Pattern
        What the whole path must match; its named groups are handed to `answer`.
    answer : callable
        Takes the request and the named groups; called in a thread, so it may take its time.
    """

    method: str
    pattern: re.Pattern[str]
    answer: Callable[..., Response]

    @classmethod
    def of(cls, method: str, path: str, answer: Callable[..., Response]) -> Route:
        """A route whose path is a regular expression."""
        return cls(method, re.compile(path), answer)


def served(service: Service, name: str, version: str | None) -> Model:
    """A model, if it is served in that version (by default in any).

    Raises
    ------
    ModelNotFound
        If there is none of that name, or another version of it is served.
    """
    model = service.model(name)
    if version is not None and version != str(model.stored.version):
        raise ModelNotFound(
            f"version {version} of {name!r} is not served; version {model.stored.version} is"
        )
    return model
