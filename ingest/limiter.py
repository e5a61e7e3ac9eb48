"""When a read may start.

Four questions, the cheapest first. Has the target had its reads (one bucket each, so that a
thousand due slots of one project cost nobody else anything)? Is there a place, of the project's
share and of all? Has the host had its reads? And have *all* workers together read the target too
often (`Turns`)? The last one is the promise, the others keep it cheap and fair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID
from weakref import WeakValueDictionary

from aiolimiter import AsyncLimiter

from core.errors import CollectError
from core.types import CollectCode, Target

PROJECT_SHARE: Final = 4
"""A project may hold one place in so many."""


class Turn(NamedTuple):
    """Whether a read of a target may start now, as all workers together see it.

    Attributes:
        pause_seconds: Time until it may; 0: now, and it is counted.
        workers: How many workers there are.
    """

    pause_seconds: float
    workers: int


TakeTurn: TypeAlias = Callable[[Target], Awaitable[Turn]]


async def take_alone(_target: Target) -> Turn:
    """Take a turn where nobody else reads."""
    return Turn(0.0, 1)


@dataclass(slots=True)
class _Bucket:
    """A leaky bucket, how many reads wait at it, and when the last one sent away may come back."""

    limiter: AsyncLimiter
    waiting: int = 0
    promised_at: float = 0.0

    @property
    def as_good_as_new(self) -> bool:
        return self.limiter.has_capacity(self.limiter.max_rate)

    def promise(self, soonest_seconds: float, step_seconds: float, most_seconds: float) -> float:
        """Return how long to stay away, each a step longer than the one before.

        Otherwise a thousand due slots of one target would all come back at once, for one turn.
        """
        now = asyncio.get_running_loop().time()
        promised = max(now + soonest_seconds, self.promised_at + step_seconds)
        self.promised_at = min(promised, now + max(soonest_seconds, most_seconds))
        return self.promised_at - now


class _Buckets:
    """Buckets by key; those that hold nothing any more are forgotten."""

    def __init__(self) -> None:
        self._found: dict[Hashable, _Bucket] = {}  # the longest unused first

    def __len__(self) -> int:
        return len(self._found)

    def find(self, key: Hashable, reads: float, seconds: float) -> _Bucket:
        """Return the bucket of `key` that lets `reads` through at once and per `seconds`."""
        key = (key, reads, seconds)
        bucket = self._found.pop(key, None) or _Bucket(AsyncLimiter(reads, seconds))
        while self._found and (oldest := next(iter(self._found.items())))[1].as_good_as_new:
            del self._found[oldest[0]]
        self._found[key] = bucket
        return bucket


class Limiter:
    """Admits reads. Belongs to the event loop that first uses it, as aiolimiter's buckets do."""

    def __init__(
        self,
        *,
        slot_seconds: float,
        max_concurrency: int,
        host_reads_per_second: float | None = None,
        take_turn: TakeTurn = take_alone,
    ) -> None:
        """Start with nobody admitted.

        Args:
            slot_seconds: The time in which a target may have `Plan.reads_per_slot` reads.
            max_concurrency: Reads of all projects at the same time.
            host_reads_per_second: Reads of one host by all workers together; None: any number.
            take_turn: Asked last; knows what the other workers read.
        """
        self._slot_seconds = slot_seconds
        self._max_concurrency = max_concurrency
        self._host_reads_per_second = host_reads_per_second
        self._take_turn = take_turn
        self._workers = 1
        self._places = asyncio.Semaphore(max_concurrency)
        self._shares: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._targets = _Buckets()
        self._hosts = _Buckets()
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def admit(
        self, target: Target, host: str, patience_seconds: float
    ) -> AsyncIterator[None]:
        """Wait for a turn, and keep a place until the end of the `async with` block.

        Args:
            target: What is to be read.
            host: Where it is.
            patience_seconds: The longest to wait before the read is turned away.

        Raises:
            CollectError: `throttled`, with the pause after which a turn comes free: at once if
                the wait for the target would be too long, else when patience runs out.
        """
        reads = target.plan.reads_per_slot
        bucket = self._targets.find((target.project_id, target.env), reads, self._slot_seconds)
        pause = self._slot_seconds / reads
        # What leaks while we would wait counts as free; those who came first count as served.
        if not bucket.limiter.has_capacity(1 + bucket.waiting - patience_seconds / pause):
            raise self._send_away(target, bucket, pause)
        share = self._shares.setdefault(
            target.project_id, asyncio.Semaphore(max(1, self._max_concurrency // PROJECT_SHARE))
        )
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(patience_seconds):
                    await _wait(bucket)
                    await held.enter_async_context(share)
                    await held.enter_async_context(self._places)
                    await self._wait_for_host(host)
                    await self._take(target, bucket)  # last of all: the request follows at once
            except TimeoutError:
                raise _throttled("too many reads at the same time", pause) from None
            yield

    def _send_away(self, target: Target, bucket: _Bucket, soonest_seconds: float) -> CollectError:
        reads = target.plan.reads_per_slot
        pause = bucket.promise(soonest_seconds, self._slot_seconds / reads, self._slot_seconds)
        return _throttled(f"more than {reads} reads of this target per slot", pause)

    async def _wait_for_host(self, host: str) -> None:
        """Wait for our worker's part of what a host may have.

        One read at a time and no burst, so a worker that starts anew adds at most one. Who waits
        behind another is spaced only when that one is through: by then more may be known of the
        number of workers, of which a worker that starts has yet to hear.
        """
        if self._host_reads_per_second is not None:
            async with self._queues.setdefault(host, asyncio.Lock()):
                seconds = self._workers / self._host_reads_per_second
                await _wait(self._hosts.find(host, 1, seconds))

    async def _take(self, target: Target, bucket: _Bucket) -> None:
        """Take the turn that counts for all workers."""
        try:
            pause_seconds, self._workers = await self._take_turn(target)
        except Exception as error:  # noqa: BLE001 - whatever the database says: it is not the target
            detail = f"no turn could be taken ({type(error).__name__})"
            raise CollectError(CollectCode.INTERNAL, detail) from None
        if pause_seconds > 0:
            raise self._send_away(target, bucket, pause_seconds)


async def _wait(bucket: _Bucket) -> None:
    bucket.waiting += 1
    try:
        await bucket.limiter.acquire()
    finally:
        bucket.waiting -= 1


def _throttled(detail: str, pause: float) -> CollectError:
    return CollectError(CollectCode.THROTTLED, detail, retry_after_seconds=pause)
