"""Rate limit: a token bucket per caller, which fills at a rate and holds a burst."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from tfaas_nb.errors import ServerError, TfaasError, TooManyRequests
from tfaas_nb.serving.calls import Call
from tfaas_nb.serving.messages import Done, Request, Response

#: With more buckets than this, those that are full again are forgotten.
_MOST = 4096


@dataclass(frozen=True)
class Rate:
    """A rate of requests.

    Attributes
    ----------
    per_second : float
        In the long run.
    burst : int
        At once, after silence.

    Raises
    ------
    ServerError
        If either is not positive.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if not (0 < self.per_second < math.inf and self.burst >= 1):
            raise ServerError(
                f"a rate is a positive number of requests per second with a burst of at least one, "
                f"not {self.per_second:g} with {self.burst}"
            )

    @classmethod
    def of(cls, per_second: float | None, burst: int | None = None) -> Rate | None:
        """The rate, by default with the burst of one second; None for none.

        Raises
        ------
        ServerError
            If either is not positive, or there is a burst without a rate.
        """
        if per_second is None:
            if burst is not None:
                raise ServerError("a burst needs a rate: give both")
            return None
        if burst is None:
            burst = max(math.ceil(per_second), 1) if math.isfinite(per_second) else 1
        return cls(per_second, burst)


class Rates:
    """Holds every caller to a rate, each for itself.

    Parameters
    ----------
    rate : Rate
        Of each.
    refuse : callable
        Makes the answer that tells an error.
    """

    def __init__(self, rate: Rate, refuse: Callable[[TfaasError], Response]) -> None:
        self._rate, self._refuse = rate, refuse
        self._buckets: dict[str, _Bucket] = {}

    def limited(self, call: Call, caller: str) -> Call:
        """The call, counted against its caller whenever it is answered.

        Raises
        ------
        TooManyRequests
            If the caller would have to wait now: so it is told before it sends a body.
        """
        bucket = self._bucket(caller)
        wait = bucket.wait()
        if wait:
            raise self._refusal(wait)
        return dataclasses.replace(call, answer=functools.partial(self._answer, bucket, call))

    def _answer(self, bucket: _Bucket, call: Call, request: Request, done: Done) -> None:
        wait = bucket.wait()
        if wait:
            done(self._refuse(self._refusal(wait)))
            return
        bucket.level -= 1.0
        call.answer(request, done)

    def _refusal(self, wait: float) -> TooManyRequests:
        error = TooManyRequests(
            f"this token may ask {self._rate.per_second:g} times a second, "
            f"{self._rate.burst} at once: ask again in {wait:.3g} s"
        )
        error.retry_after = math.ceil(wait)
        return error

    def _bucket(self, caller: str) -> _Bucket:
        if len(self._buckets) > _MOST:
            # Heads that are known keep theirs; it is full, as a new one is.
            self._buckets = {k: b for k, b in self._buckets.items() if not b.is_full()}
        return self._buckets.setdefault(caller, _Bucket(self._rate))


class _Bucket:
    """Token bucket of a caller: the number of requests that it may send at once."""

    __slots__ = ("_rate", "_since", "level")

    def __init__(self, rate: Rate) -> None:
        self._rate, self.level, self._since = rate, float(rate.burst), time.monotonic()

    def wait(self) -> float:
        """Seconds until it may ask; 0 for now."""
        now = time.monotonic()
        filled = self.level + (now - self._since) * self._rate.per_second
        self.level, self._since = min(filled, float(self._rate.burst)), now
        return 0.0 if self.level >= 1.0 else (1.0 - self.level) / self._rate.per_second

    def is_full(self) -> bool:
        self.wait()
        return self.level >= self._rate.burst
