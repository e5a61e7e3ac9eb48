"""How often a caller may call, by moving window, and how much at the same time.

Both are counted in this process. With several api processes behind a balancer each counts on its
own: the bound is the sum. Why not by the library `limits`: docs/adr/0002-dependencies.md.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from api.problems import ProblemError

WINDOW_SECONDS: Final = 60.0


class CallLimits:
    """Counts calls per caller and minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}  # when; who was silent longest comes first

    def count(self, caller: str, per_minute: int) -> None:
        """Count one call.

        Raises:
            ProblemError: 429 with Retry-After; the caller has used up this minute.
        """
        now = self._clock()
        calls = self._calls.pop(caller, deque())
        while calls and calls[0] <= now - WINDOW_SECONDS:
            calls.popleft()
        full = len(calls) >= per_minute
        if not full:
            calls.append(now)
        self._calls[caller] = calls
        self._forget(now)
        if full:
            wait = max(1, math.ceil(calls[-per_minute] + WINDOW_SECONDS - now))
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {per_minute} calls in a minute; try again in {wait} s",
                headers={"Retry-After": str(wait)},
            )

    def _forget(self, now: float) -> None:
        """Drop callers who have not called for a minute, two for each that comes."""
        for caller, calls in list(itertools.islice(self._calls.items(), 2)):
            if calls[-1] <= now - WINDOW_SECONDS:
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
