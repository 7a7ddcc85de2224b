"""Bodies that are a JSON object, whichever the dialect."""

from __future__ import annotations

import json
from typing import Any

import orjson

from tfaas_nb.errors import RequestError


def json_object(body: bytes, wanted: str = "a JSON object") -> dict[str, Any]:
    """The JSON object that a body is.

    Parameters
    ----------
    body : bytes
        The body.
    wanted : str
        What to send, for whoever sent nothing.

    Raises
    ------
    RequestError
        If it is empty, not JSON, or another JSON value.
    """
    if not body.strip():
        raise RequestError(f"the body is empty: send {wanted}")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        found = _with_non_finite(body, error)
    if not isinstance(found, dict):
        raise RequestError(f"the body must be a JSON object, not a {type(found).__name__}")
    return found


def _with_non_finite(body: bytes, error: Exception) -> Any:
    """NaN and Infinity are not JSON, but say which value they are rather than where."""
    try:
        found = json.loads(body)
        # It also takes escapes of half a character, which no answer could repeat.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RequestError(f"the body is not JSON: {error}") from error
    return found
