"""Values of a server's options, as Python code or a command line gives them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from tfaas_nb.errors import ServerError
from tfaas_nb.options import bytes_in, is_number

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
_HIGHEST_PORT = 65_535
_MOST_WORKERS = 1_000


def size(value: Any, option: str) -> int:
    """Bytes, from their number or from text such as ``500MB``; the units are powers of 1024.

    Raises
    ------
    ServerError
        If it is neither, or zero.
    """
    if _is_whole(value) and value > 0:
        return int(value)
    found = bytes_in(value) if isinstance(value, str) else None
    if found is None:
        raise _refused(option, value, "no size: write for instance 500MB or 2GB")
    return found


def seconds(value: Any, option: str) -> float:
    """Seconds, zero or more, from a number or its digits.

    Raises
    ------
    ServerError
        If it is neither, negative or not finite.
    """
    number = _number(value)
    if number is None or number < 0:
        raise _refused(option, value, "no time: write a number of seconds, zero or more")
    return number


def rate(value: Any, option: str) -> float | None:
    """Number per second, or None; `Rate` says of which numbers there are rates.

    Raises
    ------
    ServerError
        If it is neither.
    """
    if value is None or isinstance(value, float):
        return value
    if is_number(value):
        return value  # type: ignore[no-any-return]
    number = _number(value)
    if number is None:
        raise _refused(option, value, "no rate: a rate is a positive number of requests per second")
    return number


def count(value: Any, option: str) -> int:
    """Whole number.

    Raises
    ------
    ServerError
        If it is none.
    """
    number = int(value) if isinstance(value, str) and _is_digits(value) else value
    if not _is_whole(number):
        raise _refused(option, value, "not a whole number of at least one")
    return int(number)


def workers(value: Any, option: str = "workers") -> int:
    """Number of processes; the texts ``0`` and ``auto`` stand for one a core.

    Raises
    ------
    ServerError
        If it is none.
    """
    if isinstance(value, str) and value in ("auto", "0"):
        from tfaas_nb.serving.cores import usable_cores

        return usable_cores()
    if not _is_whole(value) and not (isinstance(value, str) and _is_digits(value)):
        raise _refused(option, value, "neither a number nor auto")
    number = int(value)
    if number < 1:
        raise ServerError(f"a server needs at least one worker, not {number}")
    if number > _MOST_WORKERS:
        raise _refused(option, value, f"more than {_MOST_WORKERS} processes: auto is one a core")
    return number


def port(value: Any, host: str) -> int | None:
    """Number of a port to listen on, 0 for any; None stays.

    Raises
    ------
    ServerError
        If it is none.
    """
    number = int(value) if isinstance(value, str) and _is_digits(value) else value
    if number is not None and not (_is_whole(number) and 0 <= number <= _HIGHEST_PORT):
        raise ServerError(
            f"cannot listen on {host}:{value}: a port is a number in 0-{_HIGHEST_PORT}, 0 for any"
        )
    return None if number is None else int(number)


def flag(value: Any, option: str) -> bool:
    """True or False.

    Raises
    ------
    ServerError
        If it is neither.
    """
    if not isinstance(value, bool):
        raise _refused(option, value, "neither True nor False")
    return value


def path(value: Any, option: str) -> str | None:
    """Path as text; None stays.

    Raises
    ------
    ServerError
        If it is empty or no path.
    """
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise _refused(option, value, "not a path")
    return text


def texts(value: Any, option: str) -> tuple[str, ...]:
    """One text or several; empty ones are left out.

    Raises
    ------
    ServerError
        If there is something else.
    """
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, Iterable) or isinstance(several, (bytes, bytearray)):
        raise _refused(option, value, "neither a text nor several")
    listed = tuple(several)
    for one in listed:
        if not isinstance(one, str):
            raise _refused(option, one, "not a text")
    return tuple(filter(None, listed))


def token(value: Any, option: str = "token") -> str | bool | None:
    """Text, False for none, or None (as True and empty text) for a random one.

    Raises
    ------
    ServerError
        If it is something else.
    """
    if not (value is None or isinstance(value, (str, bool))):
        raise _refused(option, type(value).__name__, "not a text, False or None")
    return value


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value) if is_number(value) else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_digits(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 16


def _refused(option: str, value: Any, reason: str) -> ServerError:
    return ServerError(f"{option}={value!r} is {reason}")
