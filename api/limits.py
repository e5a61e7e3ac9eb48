"""How often a key may call, by moving window (library `limits`), counted in this process.

With several api processes behind a balancer each counts on its own: the bound is the sum.
"""

from __future__ import annotations

import math
import time
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from api.problems import ProblemError


class CallLimits:
    """Counts calls per caller and minute."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def count(self, caller: str, per_minute: int) -> None:
        """Count one call.

        Raises:
            ProblemError: 429 with Retry-After; the caller has used up this minute.
        """
        limit = RateLimitItemPerMinute(per_minute)
        if await self._limiter.hit(limit, caller):
            return
        reset_at, _ = await self._limiter.get_window_stats(limit, caller)
        wait = max(1, math.ceil(reset_at - time.time()))
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"more than {per_minute} calls in a minute; try again in {wait} s",
            headers={"Retry-After": str(wait)},
        )
