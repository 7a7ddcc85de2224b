"""JSON in ASCII alone, which readers of any age and encoding take."""

from __future__ import annotations

import json
import re

_BEYOND = re.compile("[^\x00-\x7f]")


def in_ascii(text: bytes) -> bytes:
    r"""JSON with every character beyond ASCII escaped, ``\u03c4`` for τ; it means no other.

    Python 2 mixes bytes and text, and fails on what is not ASCII.
    """
    if text.isascii():
        return text
    # Such characters stand in strings alone (RFC 8259, section 7).
    return _BEYOND.sub(lambda found: json.dumps(found[0])[1:-1], text.decode()).encode()
