"""The id under which a request is found again in the logs of those that passed it on."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

#: The header as it is read and as it is written.
READ, WRITTEN = b"x-request-id", "x-request-id"

_VISIBLE = re.compile(rb"[\x21-\x7e]{1,128}")


def sent(headers: Mapping[bytes, bytes]) -> str | None:
    """The id that a client sent, if it is 1 to 128 visible ASCII characters."""
    given = headers.get(READ)
    return given.decode() if given is not None and _VISIBLE.fullmatch(given) else None


def made() -> str:
    """A new one."""
    return uuid.uuid4().hex
