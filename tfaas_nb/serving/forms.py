"""HTML forms as clients post them: multipart with files, or url-encoded fields."""

from __future__ import annotations

import base64
import binascii
import logging
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tfaas_nb.errors import RequestError

_MOST_PARTS = 32
#: RFC 2046, section 5.1.1.
_MOST_BOUNDARY = 70
_IN_MEMORY = 1 << 30

# It logs what is wrong with a form; with nobody to listen, that would be printed, into a cell.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


class Part(NamedTuple):
    """A field or a file of a form; a field has no file name."""

    content: bytes
    file_name: str | None = None

    def text(self) -> str:
        """The content of a field."""
        return self.content.decode("utf-8", "replace")


def parse(content_type: str, body: bytes) -> dict[str, bytes]:
    """Contents of a form's fields and files by their name; see `parts`."""
    return {name: part.content for name, part in parts(content_type, body).items()}


def parts(content_type: str, body: bytes) -> dict[str, Part]:
    """Fields and files of a form by their name.

    Parameters
    ----------
    content_type : str
        Value of the header.
    body : bytes
        The request's body.

    Raises
    ------
    RequestError
        If it is not a form, is cut short, or has too many parts or too long a boundary.
    """
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    kind = kind.lower()  # python-multipart does so itself only in newer versions
    if kind == b"application/x-www-form-urlencoded":
        return {name: Part(value) for name, value in _url_encoded(body).items()}
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestError(f"send a form (multipart/form-data), not {content_type or 'nothing'!r}")
    if len(boundary) > _MOST_BOUNDARY:
        raise RequestError(
            f"the form's boundary has {len(boundary)} characters: take at most {_MOST_BOUNDARY}"
        )
    return _multipart(boundary, body)


def _url_encoded(body: bytes) -> dict[str, bytes]:
    # As Latin-1 every byte is a character, so whatever bytes were sent come out again.
    try:
        fields = parse_qsl(
            body.decode("latin-1"),
            keep_blank_values=True,
            encoding="latin-1",
            max_num_fields=_MOST_PARTS,
        )
    except ValueError as error:
        raise RequestError(f"the form has more than {_MOST_PARTS} fields") from error
    return {
        key.encode("latin-1").decode("utf-8", "replace"): value.encode("latin-1")
        for key, value in fields
    }


def decode_base64(content: bytes, name: str) -> bytes:
    """A part's content that TFaaS's Python client sent as base64.

    Raises
    ------
    RequestError
        If it is not base64.
    """
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error as error:
        raise RequestError(f"the form's part {name!r} is not base64: {error}") from error


def _multipart(boundary: bytes, body: bytes) -> dict[str, Part]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import FormParser

    found: dict[str, Part] = {}
    ended: list[bool] = []

    def add(name: bytes | None, part: Part) -> None:
        if len(found) >= _MOST_PARTS:
            raise RequestError(f"the form has more than {_MOST_PARTS} parts")
        if name is None:  # python-multipart refuses it from 0.0.25 on
            raise RequestError("the form cannot be read: a part has no name")
        found[name.decode("utf-8", "replace")] = part

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        name = (file.file_name or b"").decode("utf-8", "replace")
        add(file.field_name, Part(file.file_object.read(), name))

    try:
        parser = FormParser(
            "multipart/form-data",
            lambda field: add(field.field_name, Part(field.value or b"")),
            on_file,
            on_end=lambda: ended.append(True),
            boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": _IN_MEMORY, "MAX_BODY_SIZE": float("inf")},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(f"the form cannot be read: {error}") from error
    if not ended:
        raise RequestError("the form was cut short")
    return found
