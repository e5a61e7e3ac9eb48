"""How often a caller may call, by moving window, and how much at the same time.

Both are counted in this process. With several api processes behind a balancer each counts on its
own: the bound is the sum. Why not by the library `limits`: docs/adr/0002-dependencies.md.
"""

from __future__ import annotations

import itertools
import math
import time
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

from api.problems import ProblemError

WINDOW_SECONDS: Final = 60.0
MAX_CALLERS: Final = 100_000
"""More are not remembered at the same time; who was silent longest is forgotten first."""


class Limit(NamedTuple):
    """So many calls of a class of routes in any minute, 1 or more."""

    name: str
    quota: int


class Standing(NamedTuple):
    """Where a caller stands after a call.

    Attributes:
        left: Calls that would still pass right now.
        seconds: Until one more will.
    """

    limit: Limit
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """What to tell the caller (draft-ietf-httpapi-ratelimit-headers)."""
        name, quota = self.limit
        return {
            "RateLimit-Policy": f'"{name}";q={quota};w={WINDOW_SECONDS:.0f}',
            "RateLimit": f'"{name}";r={self.left};t={self.seconds}',
        }


class CallLimits:
    """Counts calls per limit and caller."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When each called; who was silent longest comes first.
        self._calls: dict[tuple[str, str], array[float]] = {}

    def count(self, limit: Limit, caller: str) -> Standing:
        """Count one call.

        Raises:
            ProblemError: 429 with Retry-After; the caller has used up this minute.
        """
        now = self._clock()
        calls = self._calls.pop((limit.name, caller), None) or array("d")
        del calls[: bisect_right(calls, now - WINDOW_SECONDS)]
        full = len(calls) >= limit.quota
        if not full:
            calls.append(now)
        self._calls[limit.name, caller] = calls
        self._forget(now)
        wait = max(1, math.ceil(calls[0] + WINDOW_SECONDS - now))
        standing = Standing(limit, limit.quota - len(calls), wait)
        if full:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {limit.quota} calls in a minute; try again in {wait} s",
                headers={"Retry-After": str(wait), **standing.headers},
            )
        return standing

    def _forget(self, now: float) -> None:
        """Drop callers who have not called for a minute, two for each that comes."""
        for caller, calls in list(itertools.islice(self._calls.items(), 2)):
            if calls[-1] <= now - WINDOW_SECONDS or len(self._calls) > MAX_CALLERS:
                del self._calls[caller]


class Places:
    """Bounds how many large bodies are in memory at the same time."""

    def __init__(self, *, overall: int, each: int) -> None:
        """Start empty.

        Args:
            overall: Places for all callers together.
            each: Places one caller may take of them.
        """
        self._overall = overall
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, caller: str) -> Iterator[None]:
        """Keep a place until the end of the block.

        Raises:
            ProblemError: 429 with Retry-After if the caller has his, 503 if all are taken.
        """
        if self._taken[caller] >= self._each:
            raise _full(HTTPStatus.TOO_MANY_REQUESTS, f"more than {self._each} at the same time")
        if self._taken.total() >= self._overall:
            raise _full(HTTPStatus.SERVICE_UNAVAILABLE, "too many at the same time")
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            self._taken += Counter()  # forgets those who have none


def _full(status: HTTPStatus, detail: str) -> ProblemError:
    return ProblemError(status, f"{detail}; try again in 1 s", headers={"Retry-After": "1"})
