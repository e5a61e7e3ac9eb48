"""What workers cost that have nothing to do, two of each contender. All rest at the same time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from core.database import Connection, connect
from tests.benchmarks.race.drivers import Crew, Driver, crew_of
from tests.benchmarks.race.stages import Figures, Track, fresh, warm_up

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"
WORKERS = 2
"""Enough of them to look after each other."""
SETTLE_SECONDS = 12.0
"""The server counts an idle connection's last transactions up to ten seconds late."""


async def idle(track: Track, drivers: Sequence[Driver]) -> Mapping[str, Figures]:
    """Count the transactions and the processor time of an idle worker of each contender.

    A window without workers comes first: what the server does there by itself is subtracted.
    """
    async with AsyncExitStack() as stack:
        observer = await connect(track.server_url)  # its own queries count for another database
        stack.push_async_callback(observer.close)
        crews = {driver: await _rest(stack, track, driver, 0) for driver in drivers}
        alone = await _watch(track, observer, crews)
        crews = {driver: await _rest(stack, track, driver, WORKERS) for driver in drivers}
        with_workers = await _watch(track, observer, crews)
    return {
        driver.contender.name: {
            "idle_transactions_per_s": [
                max(0.0, with_workers[driver][0] - alone[driver][0]) / WORKERS
            ],
            "idle_cpu_percent": [with_workers[driver][1] / WORKERS],
        }
        for driver in drivers
    }


async def _rest(stack: AsyncExitStack, track: Track, driver: Driver, workers: int) -> Crew:
    """Make a database and bring workers to where they wait."""
    url, conn = await stack.enter_async_context(fresh(track, driver))
    crew = await stack.enter_async_context(crew_of(driver, url, workers))
    await warm_up(driver, crew, conn)
    await conn.close()
    return crew


async def _watch(
    track: Track, observer: Connection, crews: Mapping[Driver, Crew]
) -> dict[Driver, tuple[float, float]]:
    """Return transactions per second and percent of one processor over a window of quiet."""
    await asyncio.sleep(SETTLE_SECONDS)
    before = {driver: await _count(observer, crew) for driver, crew in crews.items()}
    await asyncio.sleep(track.sizes.idle_seconds)
    after = {driver: await _count(observer, crew) for driver, crew in crews.items()}
    seconds = track.sizes.idle_seconds
    return {
        driver: (
            (after[driver][0] - before[driver][0]) / seconds,
            100 * (after[driver][1] - before[driver][1]) / seconds,
        )
        for driver in crews
    }


async def _count(observer: Connection, crew: Crew) -> tuple[int, float]:
    """Return transactions of the database and processor seconds of the workers up to now."""
    transactions: int = await observer.fetchval(TRANSACTIONS, urlsplit(crew.url).path[1:])
    return transactions, sum(cpu_seconds(worker.process.pid) for worker in crew.workers)


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
