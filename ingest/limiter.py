"""When a read may start: so many per target and slot, so many at the same time overall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from aiolimiter import AsyncLimiter

from core.errors import CollectError
from core.types import CollectCode, Target


@dataclass(slots=True)
class _Bucket:
    """The leaky bucket of one target, and how many reads are waiting at it."""

    limiter: AsyncLimiter
    waiting: int = 0

    @property
    def as_good_as_new(self) -> bool:
        return self.limiter.has_capacity(self.limiter.max_rate)


class Limiter:
    """Admits reads. Belongs to the event loop that first uses it, as aiolimiter's buckets do."""

    def __init__(self, *, slot_seconds: float, max_concurrency: int) -> None:
        """Start with nobody admitted.

        Args:
            slot_seconds: The time in which a target may have `Plan.reads_per_slot` reads.
            max_concurrency: Reads of all projects at the same time.
        """
        self._slot_seconds = slot_seconds
        self._places = asyncio.Semaphore(max_concurrency)
        self._buckets: dict[tuple[UUID, str, int], _Bucket] = {}  # the longest unused first

    @asynccontextmanager
    async def admit(self, target: Target, patience_seconds: float) -> AsyncIterator[None]:
        """Wait for a turn, and keep a place until the end of the `async with` block.

        Args:
            target: What is to be read.
            patience_seconds: The longest to wait before the read is turned away.

        Raises:
            CollectError: `rate_limited`, with the pause after which a turn comes free: at once if
                the wait for the target would be too long, else when patience runs out.
        """
        plan = target.plan
        bucket = self._bucket(target)
        pause = self._slot_seconds / plan.reads_per_slot
        # What leaks while we would wait counts as free; those who came first count as served.
        if not bucket.limiter.has_capacity(1 + bucket.waiting - patience_seconds / pause):
            raise _limited(f"more than {plan.reads_per_slot} reads of this target per slot", pause)
        try:
            async with asyncio.timeout(patience_seconds):
                await self._take_turn(bucket)
                await self._places.acquire()
        except TimeoutError:
            raise _limited("too many reads at the same time", pause) from None
        try:
            yield
        finally:
            self._places.release()

    async def _take_turn(self, bucket: _Bucket) -> None:
        bucket.waiting += 1
        try:
            await bucket.limiter.acquire()
        finally:
            bucket.waiting -= 1

    def _bucket(self, target: Target) -> _Bucket:
        """Return the bucket of a target, after forgetting those that hold nothing any more."""
        plan = target.plan
        key = (target.project_id, target.env, plan.reads_per_slot)
        bucket = self._buckets.pop(key, None) or _Bucket(
            AsyncLimiter(plan.reads_per_slot, self._slot_seconds)
        )
        while self._buckets and (oldest := next(iter(self._buckets.items())))[1].as_good_as_new:
            del self._buckets[oldest[0]]
        self._buckets[key] = bucket
        return bucket


def _limited(detail: str, pause: float) -> CollectError:
    return CollectError(CollectCode.RATE_LIMITED, detail, retry_after_seconds=pause)
