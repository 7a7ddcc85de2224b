"""A request and an answer, as the HTTP connection and the application hand them over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from tfaas_nb.serving import forms
from tfaas_nb.wire.tfaas import JSON


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """What a request says before its body: path decoded, header names lower-case."""

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]

    def header(self, name: bytes) -> str:
        """A header's value, empty if it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def option(self, name: str) -> str | None:
        """An option from the address, as in ``?model=NAME``."""
        values = parse_qs(self.query.decode("utf-8", "replace")).get(name)
        return values[0] if values else None


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """A whole request."""

    head: Head
    body: bytes

    def form(self) -> dict[str, bytes]:
        """Fields and files of a posted form.

        Raises
        ------
        RequestError
            If the body is not a form.
        """
        return forms.parse(self.head.header(b"content-type"), self.body)


@dataclass(frozen=True, eq=False, slots=True)
class Response:
    """Status, content type, body, and further headers."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = field(default=())


#: Takes the answer to a request, from the event loop's thread.
Done = Callable[[Response], None]
