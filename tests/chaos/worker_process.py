"""A real worker in a process of its own, told what to leave behind: `worker_process FOLDER`.

Every job has one effect: a row in `chaos_effects`, made idempotent by its primary key. What is
started and what has had its effect is also written to a file of this process, the witness, which
knows nothing of the scheduler: `start JOB ATTEMPT` and `effect JOB ATTEMPT`, a line each.

The scheduler goes through the proxy (SEQPULSE_DATABASE_URL), effects go straight to the server
(CHAOS_EFFECTS_URL). The clock of this host jumps by up to a day with every look at it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import signal
import sys
import time
from pathlib import Path

DAY_SECONDS = 86_400
EFFECT = "INSERT INTO chaos_effects (job_id) VALUES ($1) ON CONFLICT DO NOTHING"


def jump_clock() -> None:
    """Replace the wall clock of this process by one nobody can rely on."""
    real = time.time

    def jumping() -> float:
        return real() + random.uniform(-DAY_SECONDS, DAY_SECONDS)

    class Jumping(dt.datetime):
        __slots__ = ()

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Jumping:
            return cls.fromtimestamp(jumping(), tz)

    time.time = jumping
    time.time_ns = lambda: int(jumping() * 1e9)
    dt.datetime = Jumping  # type: ignore[misc]


jump_clock()  # before anybody imports a clock

import asyncpg  # noqa: E402

from core import logs  # noqa: E402
from core.database import DATABASE_ERRORS, Pool, create_pool  # noqa: E402
from scheduler import worker  # noqa: E402
from scheduler.jobs import Job, Outcome, Status  # noqa: E402


class Hand:
    """Does the jobs and tells the witness."""

    def __init__(self, pool: Pool, witness: int) -> None:
        self.pool = pool
        self.witness = witness

    async def handle(self, job: Job) -> Outcome:
        self.tell("start", job)
        await asyncio.sleep(random.uniform(0, 0.2))
        try:
            await self.pool.execute(EFFECT, job.id)
        except (*DATABASE_ERRORS, asyncpg.InternalClientError) as error:
            return Outcome(Status.RETRY, retry_in_seconds=0.2, last_error=type(error).__name__)
        self.tell("effect", job)
        await asyncio.sleep(random.uniform(0, 0.1))  # time to die between effect and settle
        return Outcome(Status.COMPLETED)

    def tell(self, what: str, job: Job) -> None:
        os.write(self.witness, f"{what} {job.id} {job.attempt}\n".encode())


async def main(folder: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    witness = os.open(folder / str(os.getpid()), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with await create_pool(os.environ["CHAOS_EFFECTS_URL"], 4) as pool:
        hand = Hand(pool, witness)
        options = worker.Options(concurrency=50, poll_seconds=2, silent_seconds=4)
        await worker.run(os.environ["SEQPULSE_DATABASE_URL"], hand.handle, options, stop)


if __name__ == "__main__":
    logs.configure("info", "json")
    asyncio.run(main(Path(sys.argv[1])))
