"""Chancy, as its documentation runs it; the choices are explained in ../README.md."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import chancy

from tests.benchmarks.peers import protocol

POLL_SECONDS = 1
JOB = f"{protocol.__name__}.{protocol.run_job.__name__}"
LOG = logging.getLogger("bench.chancy")


def open_app(url: str, connections: int) -> Any:  # noqa: ANN401 - the package has no types here
    """Return an app with a pool of at most `connections`; its log of every job is left out."""
    return chancy.Chancy(url, log=LOG, max_connection_pool_size=connections)


@dataclass
class Pusher:
    app: Any

    def _job(self, number: int, due_in: float) -> Any:  # noqa: ANN401
        return chancy.Job(
            func=JOB,
            kwargs={"number": number},
            scheduled_at=datetime.now(UTC) + timedelta(seconds=due_in),
        )

    async def one(self, number: int, due_in: float) -> None:
        await self.app.push(self._job(number, due_in))

    async def many(self, numbers: Sequence[int], due_in: float) -> None:
        jobs = [self._job(number, due_in) for number in numbers]
        async for _ in self.app.push_many(jobs, batch_size=len(jobs)):
            pass


@asynccontextmanager
async def producing(url: str, connections: int) -> AsyncIterator[Pusher]:
    async with open_app(url, connections) as app:
        yield Pusher(app)


async def install(url: str) -> None:
    async with open_app(url, 1) as app:
        await app.migrate()


async def work(url: str, concurrency: int | None) -> None:
    queue = chancy.Queue(
        name="default",
        concurrency=concurrency,  # None: the 100 of the executor
        executor=chancy.Chancy.Executor.Async,
        eager_polling=True,
        polling_interval=POLL_SECONDS,
    )
    async with open_app(url, 10) as app:
        await app.declare(queue, upsert=True)
        worker = chancy.Worker(app, register_signal_handlers=False)
        await worker.start()
        await worker.wait_for_shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    protocol.serve(protocol.Contender(install, producing, work))
