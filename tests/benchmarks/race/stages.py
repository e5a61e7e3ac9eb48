"""The stages. Each takes a driver and makes figures on fresh databases of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.database import Connection, connect
from sql.scratch import scratch_database
from tests.benchmarks.race.drivers import Crew, Driver, Worker, crew_of

Figures = dict[str, list[float]]
"""Figures by name; several values where a stage measures a thing more than once."""

TOMORROW_SECONDS = 86_400.0
WARM_UP_JOBS = 500
WARM_UP_SECONDS = 60.0
SETTLE_PAUSE_SECONDS = 0.002
DRAIN_CAP_SECONDS = 20.0
"""A drain that is not over by then counts with what it finished."""
RECOVERY_CAP_SECONDS = 150.0
HELD = 50
REPEATS = 3
"""Enqueuing waits for the disk, whose mood changes from second to second."""


@dataclass(frozen=True)
class Sizes:
    """How much work a run does."""

    one_by_one: int = 1000
    ten_producers: int = 2000
    batched: int = 20_000
    drain: int = 20_000
    future: int = 200_000
    due_among_future: int = 5_000
    paced: int = 500
    kills: int = 5
    stored: int = 100_000
    stored_by_peers: int = 20_000
    idle_seconds: float = 20.0


QUICK = Sizes(100, 200, 2_000, 2_000, 20_000, 500, 200, 1, 10_000, 2_000, 5.0)


@dataclass(frozen=True)
class Track:
    """Where the race takes place.

    Attributes:
        server_url: Any database of the server.
    """

    server_url: str
    sizes: Sizes


@asynccontextmanager
async def fresh(track: Track, driver: Driver) -> AsyncIterator[tuple[str, Connection]]:
    """Make a database with the contender's schema, and open a connection that watches it."""
    async with scratch_database(track.server_url, prefix="bench", migrated=False) as url:
        await driver.call("install", url)
        conn = await connect(url)
        try:
            yield url, conn
        finally:
            await conn.close()


async def unfinished(driver: Driver, conn: Connection) -> int:
    """Return how many due jobs are not written down as finished."""
    count: int = await conn.fetchval(driver.contender.unfinished)
    return count


async def settled(driver: Driver, conn: Connection, seconds: float) -> int:
    """Wait until everything due is written down as finished, and return how much is not."""
    give_up_at = time.monotonic() + seconds
    while left := await unfinished(driver, conn):
        if time.monotonic() > give_up_at:
            return left
        await asyncio.sleep(SETTLE_PAUSE_SECONDS)  # the database cannot tell us
    return 0


async def warm_up(driver: Driver, crew: Crew, conn: Connection) -> None:
    """Bring every worker to where it has run jobs and waits for more, then flush the disk."""
    deadline = time.monotonic() + WARM_UP_SECONDS
    while not all(worker.ran for worker in crew.workers):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{driver.contender.name}: a worker does not run jobs")
        wanted = crew.ran + WARM_UP_JOBS
        await driver.call("fill", crew.url, count=WARM_UP_JOBS, due_in=0.0, chunk=WARM_UP_JOBS)
        await crew.until(lambda wanted=wanted: crew.ran >= wanted, WARM_UP_SECONDS)  # type: ignore[misc]
        await settled(driver, conn, WARM_UP_SECONDS)
    await conn.execute("CHECKPOINT")


async def _drain(driver: Driver, crew: Crew, conn: Connection, jobs: int) -> float:
    """Return jobs per second, from the commit that made them visible to the last settlement."""
    wanted = crew.ran + jobs
    filled = await driver.call("fill", crew.url, count=jobs, due_in=0.0, chunk=jobs)
    begun: float = filled["committed_at"]
    await crew.until(lambda: crew.ran >= wanted, DRAIN_CAP_SECONDS)
    left = await settled(driver, conn, begun + DRAIN_CAP_SECONDS - time.time())
    return (jobs - left) / (time.time() - begun)


async def enqueue(track: Track, driver: Driver) -> Figures:
    """Enqueue one by one, by ten producers at once, and in batches; nobody works meanwhile."""
    sizes = track.sizes
    figures = {}
    for how, count, producers in (
        ("one", sizes.one_by_one, 1),
        ("ten", sizes.ten_producers, 10),
        ("batched", sizes.batched, 1),
    ):
        async with fresh(track, driver) as (url, conn):
            await conn.execute("CHECKPOINT")
            figures[f"enqueue_{how}_per_s"] = [
                count / (await driver.call("enqueue", url, **asked))["seconds"]
                for asked in REPEATS * [{"how": how, "count": count, "producers": producers}]
            ]
    return figures


async def drain(track: Track, driver: Driver) -> Figures:
    """Drain a burst with one and with two workers that waited for it."""
    figures = {}
    for workers in (1, 2):
        async with fresh(track, driver) as (url, conn), crew_of(driver, url, workers) as crew:
            await warm_up(driver, crew, conn)
            figures[f"drain_{workers}_per_s"] = [
                await _drain(driver, crew, conn, track.sizes.drain)
            ]
    return figures


async def future(track: Track, driver: Driver) -> Figures:
    """Drain a burst that lies among many jobs of tomorrow."""
    async with fresh(track, driver) as (url, conn):
        await driver.call(
            "fill", url, count=track.sizes.future, due_in=TOMORROW_SECONDS, chunk=5_000
        )
        await conn.execute("VACUUM ANALYZE")
        async with crew_of(driver, url, 2) as crew:
            await warm_up(driver, crew, conn)
            rate = await _drain(driver, crew, conn, track.sizes.due_among_future)
    return {"among_future_per_s": [rate]}


async def pinned(track: Track, driver: Driver) -> Figures:
    """Drain a burst while an open transaction forbids the server to clean up."""
    async with fresh(track, driver) as (url, conn), crew_of(driver, url, 2) as crew:
        analyst = await connect(url)
        async with analyst.transaction(isolation="repeatable_read"):
            await analyst.fetchval("SELECT count(*) FROM pg_class")  # takes the snapshot
            await warm_up(driver, crew, conn)
            rate = await _drain(driver, crew, conn, track.sizes.drain)
        await analyst.close()
    return {"pinned_per_s": [rate]}


async def latency(track: Track, driver: Driver) -> Figures:
    """Measure from the moment a job is due to its start, for jobs planned a second ahead."""
    async with fresh(track, driver) as (url, conn), crew_of(driver, url, 1) as crew:
        await warm_up(driver, crew, conn)
        before, paced = crew.ran, track.sizes.paced
        # Numbers start again at 0 in every call: those of the warm-up must not be taken for them.
        answer = await driver.call("pace", url, count=paced, rate=50.0, ahead=1.0, first=10**6)
        await crew.until(lambda: crew.ran >= before + paced, DRAIN_CAP_SECONDS)
        starts = await crew.finish(crew.workers[0])
    late = sorted(starts.get(number, float("inf")) - due for number, due in answer["dues"])
    return {
        "latency_p50_ms": [1000 * late[len(late) // 2]],
        "latency_p99_ms": [1000 * late[int(len(late) * 0.99)]],
    }


async def recovery(track: Track, driver: Driver) -> Figures:
    """Kill a worker that holds jobs; measure until another has started the last of them."""
    kills = track.sizes.kills if driver.contender.ours else 1
    return {"recovery_s": [await _recover(track, driver) for _ in range(kills)]}


async def _recover(track: Track, driver: Driver) -> float:
    async with fresh(track, driver) as (url, conn), crew_of(driver, url, 0) as crew:
        holder = await crew.add(concurrency=HELD, holding=True)
        await driver.call("fill", url, count=HELD, due_in=0.0, chunk=HELD)
        await _reach(crew, lambda: holder.ran >= HELD)
        heir = await crew.add()
        while not heir.ran:  # a holder with room left may take some of these, too
            await driver.call("fill", url, count=1, due_in=0.0, chunk=1)
            await crew.until(lambda: heir.ran > 0, 2.0)
        await _quiet(driver, crew, conn, holder)
        ready, held = heir.ran, holder.ran
        killed_at = time.time()
        holder.kill()
        if not await crew.until(lambda: heir.ran >= ready + held, RECOVERY_CAP_SECONDS):
            return RECOVERY_CAP_SECONDS
        return time.time() - killed_at


async def _quiet(driver: Driver, crew: Crew, conn: Connection, holder: Worker) -> None:
    """Wait until nothing is due but what the holder holds."""
    deadline = time.monotonic() + WARM_UP_SECONDS
    while await unfinished(driver, conn) > holder.ran:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{driver.contender.name}: jobs are left over")
        await asyncio.sleep(SETTLE_PAUSE_SECONDS)


async def _reach(crew: Crew, reached: Callable[[], bool]) -> None:
    if not await crew.until(reached, WARM_UP_SECONDS):
        raise RuntimeError(f"{crew.driver.contender.name}: a worker does not run jobs")


async def storage(track: Track, driver: Driver) -> Figures:
    """Measure what finished jobs take on disk, scaled to a million, indexes included."""
    sizes = track.sizes
    jobs = sizes.stored if driver.contender.ours else sizes.stored_by_peers
    async with fresh(track, driver) as (url, conn), crew_of(driver, url, 1) as crew:
        await warm_up(driver, crew, conn)
        before = await _sizes(conn)
        await _drain(driver, crew, conn, jobs)
        finished = jobs - await unfinished(driver, conn)
        after = await _sizes(conn)
    total, indexes = (
        1e6 * (new - old) / finished / 2**20 for new, old in zip(after, before, strict=True)
    )
    return {"storage_mb_per_million": [total], "index_mb_per_million": [indexes]}


async def _sizes(conn: Connection) -> tuple[int, int]:
    """Return the bytes of the database and of the indexes in it."""
    row = await conn.fetchrow(
        "SELECT pg_database_size(current_database()), "
        "sum(pg_relation_size(oid)) FILTER (WHERE relkind = 'i') FROM pg_class"
    )
    assert row is not None
    return int(row[0]), int(row[1])


STAGES: dict[str, Callable[[Track, Driver], Awaitable[Figures]]] = {
    "enqueue": enqueue,
    "drain": drain,
    "future": future,
    "pinned": pinned,
    "latency": latency,
    "recovery": recovery,
    "storage": storage,
}
ONCE = ("storage",)
"""Stages whose figures do not vary from round to round."""
