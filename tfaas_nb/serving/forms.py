"""HTML forms as clients post them: multipart with files, or url-encoded fields."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl

from tfaas_nb.errors import RequestError

_MOST_PARTS = 32
_IN_MEMORY = 1 << 30


def parse(content_type: str, body: bytes) -> dict[str, bytes]:
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
        If it is not a form, is cut short, or has too many parts.
    """
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    kind = kind.lower()  # python-multipart does so itself only in newer versions
    if kind == b"application/x-www-form-urlencoded":
        return _url_encoded(body)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestError(f"send a form (multipart/form-data), not {content_type or 'nothing'!r}")
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


def _multipart(boundary: bytes, body: bytes) -> dict[str, bytes]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import FormParser

    parts: dict[str, bytes] = {}
    ended: list[bool] = []

    def add(name: bytes | None, content: bytes | None) -> None:
        if len(parts) >= _MOST_PARTS:
            raise RequestError(f"the form has more than {_MOST_PARTS} parts")
        parts[(name or b"").decode("utf-8", "replace")] = content or b""

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        add(file.field_name, file.file_object.read())

    parser = FormParser(
        "multipart/form-data",
        lambda found: add(found.field_name, found.value),
        on_file,
        on_end=lambda: ended.append(True),
        boundary=boundary,
        config={"MAX_MEMORY_FILE_SIZE": _IN_MEMORY, "MAX_BODY_SIZE": float("inf")},
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(f"the form cannot be read: {error}") from error
    if not ended:
        raise RequestError("the form was cut short")
    return parts
