"""SeqPulse through the public functions of its scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core import logs
from core.database import Pool, connect, create_pool
from scheduler import queue, worker
from scheduler.jobs import Job, NewJob, Outcome, Status
from scheduler.waker import Waker
from sql import migrate
from tests.benchmarks.peers import protocol

PROJECTS = [UUID(int=number) for number in range(20)]
DONE = Outcome(Status.COMPLETED)


@dataclass
class Enqueuer:
    """Enqueues as the API does: workers are woken after the commit, once for many commits."""

    pool: Pool
    waker: Waker

    async def one(self, number: int, due_in: float) -> None:
        await self.many([number], due_in)

    async def many(self, numbers: Sequence[int], due_in: float) -> None:
        due_at = datetime.now(UTC) + timedelta(seconds=due_in)
        async with self.pool.acquire() as conn:  # one statement is a transaction of its own
            await queue.enqueue(conn, [_plan(number, due_at) for number in numbers])
        self.waker.wake()


def _plan(number: int, due_at: datetime) -> NewJob:
    return NewJob(
        kind="bench",
        project_id=PROJECTS[number % len(PROJECTS)],
        env="bench",
        scheduled_at=due_at,
        payload={"number": number},
    )


@asynccontextmanager
async def producing(url: str, connections: int) -> AsyncIterator[Enqueuer]:
    waker = Waker()
    async with await create_pool(url, connections + 1) as pool:
        async with waker.running(pool):
            yield Enqueuer(pool, waker)
        async with pool.acquire() as conn:
            await queue.wake(conn)  # for the commits since the last one


async def install(url: str) -> None:
    conn = await connect(url)
    await migrate.migrate(conn)
    await conn.close()


async def handle(job: Job) -> Outcome:
    assert job.payload is not None
    await protocol.run_job(job.payload["number"])
    return DONE


async def work(url: str, concurrency: int | None) -> None:
    options = worker.Options()
    if concurrency is not None:
        options = replace(options, concurrency=concurrency)
    await worker.run(url, handle, options, asyncio.Event())


if __name__ == "__main__":
    logs.configure("warning")
    protocol.serve(protocol.Contender(install, producing, work))
