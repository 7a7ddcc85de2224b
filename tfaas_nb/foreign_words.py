"""Words of other libraries in one plain line: no colours, traces, or places in their sources."""

from __future__ import annotations

import re

from tfaas_nb.errors import plain

#: A place in a library's sources, with the C++ function there.
_PLACE = re.compile(
    r"(?:[\w.+-]*/)+[\w.+-]+\.(?:cc|cpp|cxx|hpp|h|cu|py):\d+:?"
    r"(?:\s+(?:[\w:<>*&,]+ )*[\w:~<>]+\([^()]*\)(?: const)?)?"
)
_TRACE = "Traceback (most recent call last)"
_MOST_LINE, _MOST = 2000, 400


def reason(error: BaseException) -> str:
    """The line of a library's error that says something, or the error's kind."""
    return first_line(str(error)) or type(error).__name__


def first_line(text: str) -> str:
    """The first line that says something; of a Python traceback the last one."""
    lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
    if _TRACE in text:
        lines.reverse()
    found = (" ".join(_PLACE.sub(" ", line[:_MOST_LINE]).split()) for line in lines)
    line = next(filter(None, found), "")
    return line if len(line) <= _MOST else f"{line[:_MOST]} …"
