"""How often a key may call, by moving window (library `limits`), and how much at the same time.

Both are counted in this process. With several api processes behind a balancer each counts on its
own: the bound is the sum.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.problems import ProblemError


class CallLimits:
    """Counts calls per caller and minute."""

    def __init__(self) -> None:
        # Not the library's asyncio storage: for every call, it sends a task per caller to a thread.
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def count(self, caller: str, per_minute: int) -> None:
        """Count one call.

        Raises:
            ProblemError: 429 with Retry-After; the caller has used up this minute.
        """
        limit = RateLimitItemPerMinute(per_minute)
        if self._limiter.hit(limit, caller):
            return
        reset_at, _ = self._limiter.get_window_stats(limit, caller)
        wait = max(1, math.ceil(reset_at - time.time()))
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"more than {per_minute} calls in a minute; try again in {wait} s",
            headers={"Retry-After": str(wait)},
        )


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
