"""Procrastinate, as its documentation runs it; the choices are explained in ../README.md."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate

from tests.benchmarks.peers import protocol

CONCURRENCY = 10
POLL_SECONDS = 1.0


async def retry_stalled_jobs(context: Any, timestamp: int) -> None:  # noqa: ANN401
    """The recipe of the documentation, every minute instead of every tenth."""
    jobs = context.app.job_manager
    for job in await jobs.get_stalled_jobs():
        await jobs.retry_job(job)


def open_app(url: str, connections: int) -> Any:  # noqa: ANN401 - the package has no types here
    """Return an app with a pool of at most `connections`."""
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=connections)
    app = procrastinate.App(connector=connector)
    app.task(name="job")(protocol.run_job)
    stalled = app.task(
        name="retry_stalled_jobs", queueing_lock="retry_stalled_jobs", pass_context=True
    )
    app.periodic(cron="* * * * *")(stalled(retry_stalled_jobs))
    return app


@dataclass
class Deferrer:
    app: Any

    def _configured(self, due_in: float) -> Any:  # noqa: ANN401
        due_at = datetime.now(UTC) + timedelta(seconds=due_in) if due_in else None
        return self.app.configure_task("job", schedule_at=due_at)

    async def one(self, number: int, due_in: float) -> None:
        await self._configured(due_in).defer_async(number=number)

    async def many(self, numbers: Sequence[int], due_in: float) -> None:
        await self._configured(due_in).batch_defer_async(*({"number": n} for n in numbers))


@asynccontextmanager
async def producing(url: str, connections: int) -> AsyncIterator[Deferrer]:
    async with open_app(url, connections).open_async() as app:
        yield Deferrer(app)


async def install(url: str) -> None:
    async with open_app(url, 1).open_async() as app:
        await app.schema_manager.apply_schema_async()


async def work(url: str, concurrency: int | None) -> None:
    chosen = concurrency or CONCURRENCY
    # Its pool must also hold the listener and the heartbeat.
    async with open_app(url, min(chosen, CONCURRENCY) + 2).open_async() as app:
        await app.run_worker_async(
            concurrency=chosen,
            fetch_job_polling_interval=POLL_SECONDS,
            install_signal_handlers=False,
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)  # it warns of an app in the main module
    protocol.serve(protocol.Contender(install, producing, work))
