"""Patience with servers that take one event at a time: waiting, progress, and what was scored."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tfaas_nb.errors import Overloaded, ServerError, TfaasError, TooManyRequests

Floats = npt.NDArray[np.float32]
T = TypeVar("T")

#: Seconds to wait where nothing is told, doubled at each refusal in a row up to the longest.
_FIRST, _LONGEST = 0.1, 30.0
#: Seconds of waiting for one event, after which the server is given up.
MOST_SECONDS = 600.0
#: Seconds after which progress is shown.
_SHOWN_AFTER = 1.0


def seconds_told(header: str | None) -> int | None:
    """Seconds that a ``Retry-After`` asks to wait; None if it is absent or makes no sense.

    Source: RFC 9110, section 10.2.3: a number of seconds, or a date.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return int(text.lstrip("0")[:9] or 0)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return max(math.ceil((until - datetime.now(timezone.utc)).total_seconds()), 0)


def patiently(ask: Callable[[], T], most: float = MOST_SECONDS) -> T:
    """Repeat a call while the server asks to come again later, and return its result.

    Parameters
    ----------
    ask : callable
        Raises `TooManyRequests` or `Overloaded`, or a server's error with a time to wait that is
        not of a kind of its own, while the server has too much to do.
    most : float
        Seconds of waiting in all.

    Raises
    ------
    TfaasError
        What `ask` raised otherwise; or its last refusal, once waiting would take longer.
    """
    waited = 0.0
    for pause in _pauses():
        try:
            return ask()
        except TfaasError as error:
            if not _is_busy(error):
                raise
            seconds = pause if error.retry_after is None else max(error.retry_after, _FIRST)
            if waited + seconds > most:
                raise _given_up(error, waited, seconds, most) from error
            waited += seconds
            time.sleep(seconds)
    raise AssertionError("there is always another pause")


def _is_busy(error: TfaasError) -> bool:
    """Return True if a server has too much to do, not if it lacks its models, for instance."""
    # Other servers, and proxies, answer 503 without our words for the reason.
    is_foreign = type(error) is ServerError and error.retry_after is not None
    return isinstance(error, (TooManyRequests, Overloaded)) or is_foreign


def _given_up(error: TfaasError, waited: float, seconds: float, most: float) -> TfaasError:
    """The refusal, and how long it would still take."""
    last = type(error)(
        f"{error} (waited {waited:.3g} s, {seconds:.0f} s more would be beyond the {most:.3g} s of "
        "patience for one request; what was scored before is in client.unfinished)"
    )
    last.retry_after = error.retry_after
    return last


def _pauses() -> Iterator[float]:
    pause = _FIRST
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)


def score_each(
    parts: Sequence[T],
    score: Callable[[T], Floats],
    scored: list[Floats],
    progress: bool,
    unit: str = "event",
) -> None:
    """Score events, or parts of them, one after the other.

    Parameters
    ----------
    parts : sequence
        What is asked about in one request each.
    score : callable
        Scores of a part.
    scored : list
        Takes the scores of each as soon as they are there: what stands in it when something is
        raised, or an interrupt comes, is what was scored.
    progress : bool
        Whether to show a bar, once it takes longer than a second.
    unit : str
        What a part is, for the bar.
    """
    from tqdm.auto import tqdm

    bar: Any = tqdm(parts, desc="scoring", unit=unit, disable=not progress, delay=_SHOWN_AFTER)
    with bar:
        for part in bar:
            # One by one, so that an interrupt finds what was scored.
            scored.append(patiently(functools.partial(score, part)))  # noqa: PERF401
