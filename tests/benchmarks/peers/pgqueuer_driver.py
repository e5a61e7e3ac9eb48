"""PgQueuer, as its documentation runs it; the choices are explained in ../README.md.

The environment variable PGQUEUER_BATCH_SIZE sets the one option that is tried with two values.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pgqueuer
import uvloop
from pgqueuer.db import AsyncpgPoolDriver

from tests.benchmarks.peers import protocol

BATCH_SIZE = int(os.environ.get("PGQUEUER_BATCH_SIZE", "10"))
ENTRYPOINT = "job"


@dataclass
class Enqueuer:
    queries: Any

    async def one(self, number: int, due_in: float) -> None:
        await self.queries.enqueue(
            ENTRYPOINT, str(number).encode(), execute_after=timedelta(seconds=due_in)
        )

    async def many(self, numbers: Sequence[int], due_in: float) -> None:
        count = len(numbers)
        await self.queries.enqueue(
            [ENTRYPOINT] * count,
            [str(number).encode() for number in numbers],
            [0] * count,
            execute_after=[timedelta(seconds=due_in)] * count,
        )


@asynccontextmanager
async def producing(url: str, connections: int) -> AsyncIterator[Enqueuer]:
    async with asyncpg.create_pool(url, min_size=connections, max_size=connections) as pool:
        yield Enqueuer(pgqueuer.Queries(AsyncpgPoolDriver(pool)))


async def install(url: str) -> None:
    connection = await asyncpg.connect(url)
    queries = pgqueuer.Queries.from_asyncpg_connection(connection)
    await queries.install()
    await queries.optimize_autovacuum()  # first point of its check list
    await connection.close()


async def handle(job: Any) -> None:  # noqa: ANN401 - the package is not in our environment
    await protocol.run_job(int(job.payload))


async def work(url: str, concurrency: int | None) -> None:
    queue = pgqueuer.PgQueuer.from_asyncpg_connection(await asyncpg.connect(url))
    queue.entrypoint(ENTRYPOINT)(handle)
    await queue.run(batch_size=BATCH_SIZE, max_concurrent_tasks=concurrency)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    protocol.serve(protocol.Contender(install, producing, work, uvloop.run))
