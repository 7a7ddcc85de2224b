"""A request and an answer, as the HTTP connection and the application hand them over.

Named tuples, not frozen dataclasses: three are made for every single event, and a frozen
dataclass takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from tfaas_nb.errors import RequestError
from tfaas_nb.nearest import misspelt
from tfaas_nb.serving import forms
from tfaas_nb.wire.tfaas import JSON


class Head(NamedTuple):
    """Head of a request: method, path (decoded), query and headers (names in lower case).

    `subject` is that of the certificate that the client showed, empty if it showed none.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    subject: str = ""

    def header(self, name: bytes) -> str:
        """A header's value, empty if it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def option(self, name: str) -> str | None:
        """An option from the address, as in ``?model=NAME``."""
        values = parse_qs(self.query.decode("utf-8", "replace")).get(name)
        return values[0] if values else None

    def accepts_only(self, kind: str) -> bool:
        """Return True if the client accepts a media type and names no other."""
        kinds = [one.partition(";")[0].strip() for one in self.header(b"accept").split(",")]
        return {one.lower() for one in kinds} == {kind}

    def check_options(self, *known: str) -> None:
        """Refuse a misspelt option; the others may be for somebody on the way.

        Raises
        ------
        RequestError
            Naming the option that was probably meant.
        """
        if not self.query:
            return
        options = parse_qs(self.query.decode("utf-8", "replace"), keep_blank_values=True)
        if wrong := misspelt(options, (*known, "token")):
            raise RequestError(f"the address has an {wrong}")


class Request(NamedTuple):
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

    def parts(self) -> dict[str, forms.Part]:
        """Parts of a form by name, each with the name of the client's file.

        Raises
        ------
        RequestError
            If the body is not a form.
        """
        return forms.parts(self.head.header(b"content-type"), self.body)


class Response(NamedTuple):
    """Status, content type, body, and further headers."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


#: Headers of a server that ends: another one, in its place or beside it, answers soon.
ENDING = (("retry-after", "1"),)

#: Takes the answer to a request, from the event loop's thread.
Done = Callable[[Response], None]
