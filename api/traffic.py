"""The API's own requests: each process counts its own and tells the others through the database.

So whichever process is asked answers for all of them, and the traffic of the last minute is still
there when a deploy replaces the processes that served it.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from core.database import DATABASE_ERRORS, Connection, Pool
from core.types import Reading
from sql import traffic
from sql.traffic import Tally

log = structlog.get_logger(__name__)

PATH: Final = "/ds-metrics"
TELL_SECONDS: Final = 5.0
WINDOW_SECONDS: Final = 60.0

LEAST_MS: Final = 0.1
GROWTH: Final = 1.1
CLASSES: Final = 160
"""Class n stands for LEAST_MS * GROWTH ** n: exact to 5 %, up to six minutes."""


class Traffic:
    """What this process served and has not told yet, and how busy it is."""

    def __init__(self) -> None:
        self._errors = 0
        self._latencies: Counter[int] = Counter()
        self._turn = asyncio.Lock()
        self._looks: deque[tuple[float, float]] = deque([_look()])

    def count(self, seconds: float, *, error: bool) -> None:
        """Count one request that took so long."""
        self._errors += error
        self._latencies[classify(seconds * 1000)] += 1

    async def tell(self, conn: Connection) -> None:
        """Write down what was served since the last time; when this returns, it is all there."""
        async with self._turn:
            errors, latencies = self._errors, self._latencies
            if not latencies:
                return
            self._errors, self._latencies = 0, Counter()
            counts = [latencies[number] for number in range(CLASSES)]
            try:
                await traffic.tell(conn, Tally(latencies.total(), errors, counts))
            except BaseException:
                self._errors += errors
                self._latencies += latencies
                raise

    @asynccontextmanager
    async def telling(self, pool: Pool) -> AsyncIterator[None]:
        """Tell every few seconds, and once more at the end of the block."""
        task = asyncio.create_task(self._run(pool))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._try_to_tell(pool)

    async def _run(self, pool: Pool) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            self._look()
            await self._try_to_tell(pool)

    async def _try_to_tell(self, pool: Pool) -> None:
        try:
            async with pool.acquire(timeout=TELL_SECONDS) as conn:
                await self.tell(conn)
        except DATABASE_ERRORS as error:
            log.warning("traffic_not_told", error=type(error).__name__)

    async def read(self, conn: Connection) -> Reading:
        """Return the five numbers of the last minute.

        The first three are of all processes together, the last two of this one: the share of one
        processor it was busy with, and the share of the machine's memory it holds.
        """
        await self.tell(conn)
        tallies = await traffic.load_last_minute(conn)
        requests = sum(tally.requests for tally in tallies)
        latencies = [sum(counts) for counts in zip(*(t.latencies for t in tallies), strict=True)]
        return Reading(
            requests_per_sec=round(requests / WINDOW_SECONDS, 3),
            latency_p95=round(find_p95(latencies), 3),
            error_rate=sum(tally.errors for tally in tallies) / requests if requests else 0.0,
            cpu_usage=self._look(),
            memory_usage=_memory_ratio(),
        )

    def _look(self) -> float:
        """Return the share of one processor used since about a minute ago, 0..1."""
        now, used = _look()
        while len(self._looks) > 1 and self._looks[1][0] <= now - WINDOW_SECONDS:
            self._looks.popleft()
        since, used_then = self._looks[0]
        if now - self._looks[-1][0] >= 1:
            self._looks.append((now, used))
        return min(1.0, (used - used_then) / max(now - since, 0.001))


def classify(milliseconds: float) -> int:
    """Return the class of a latency, 0..CLASSES - 1."""
    milliseconds = min(max(milliseconds, LEAST_MS), LEAST_MS * GROWTH ** (CLASSES - 1))
    return round(math.log(milliseconds / LEAST_MS, GROWTH))


def find_p95(latencies: Sequence[int]) -> float:
    """Return the 95th percentile of counted latencies in ms, 0 if there are none.

    As the SDK computes it: the value at place floor(0.95 (n - 1)) of all in order.
    """
    place = math.floor(0.95 * (sum(latencies) - 1))
    for number, count in enumerate(latencies):
        place -= count
        if count and place < 0:
            return float(LEAST_MS * GROWTH**number)
    return 0.0


def _look() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _memory_ratio() -> float:
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident / os.sysconf("SC_PHYS_PAGES")
