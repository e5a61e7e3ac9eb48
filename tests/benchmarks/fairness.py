"""How long a job waits behind 50,000 due jobs of another project.

    python -P tests/benchmarks/fairness.py [--quick]

A crowd of jobs of one project is due, of the highest priority, and kept at its size. Meanwhile
single jobs of many other projects become due, half of them of the lowest priority. The figure is
the time from when they are due to when they are claimed, by the database's clock.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from core import logs
from core.database import Connection, connect
from core.ids import new_id
from scheduler import queue
from scheduler.jobs import Job, NewJob, Outcome, Priority, Status
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell, working

CROWD: Final = 50_000
JOBS: Final = 400
PAUSE_SECONDS: Final = 0.025
WORK_SECONDS: Final = 0.005
"""What a job of the crowd takes; 200 at once make 40,000 a second, more than a worker can do."""

FILL = """
INSERT INTO scheduled_jobs (kind, priority, project_id, env, slot_at, scheduled_at)
SELECT 'crowd', 0, $1, 'prod', moment, moment
  FROM generate_series(1, $2) AS i,
       LATERAL (SELECT now() - make_interval(hours => 1) + make_interval(secs => i * 0.01)
                       AS moment) AS m
"""
WAITED = """
SELECT count(*) AS jobs,
       percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
           ORDER BY extract(epoch FROM claimed_at - scheduled_at) * 1000) AS waited_ms
  FROM job_runs
 WHERE kind = 'single' AND priority = $1
"""


class Crowd:
    """The jobs in the way."""

    def __init__(self) -> None:
        self.project_id = new_id()
        self.done = 0

    async def handle(self, job: Job) -> Outcome:
        """Take a moment, and count."""
        if job.kind == "crowd":
            self.done += 1
            await asyncio.sleep(WORK_SECONDS)
        return Outcome(Status.COMPLETED)

    async def keep_filled(self, url: str, over: asyncio.Event) -> None:
        """Add as many as were done, until it is over."""
        conn = await connect(url)
        filled = CROWD
        while not over.is_set():
            if missing := CROWD + self.done - filled:
                await conn.execute(FILL, self.project_id, missing)
                filled += missing
            await asyncio.sleep(PAUSE_SECONDS)
        await conn.close()


async def measure(url: str, jobs: int) -> dict[str, object]:
    """Return the waiting times in milliseconds, by priority."""
    crowd = Crowd()
    figures: dict[str, object] = {}
    conn = await connect(url)
    over = asyncio.Event()
    await conn.execute(FILL, crowd.project_id, CROWD)
    async with working(url, crowd.handle), asyncio.TaskGroup() as group:
        group.create_task(crowd.keep_filled(url, over))
        for number in range(jobs):
            await asyncio.sleep(PAUSE_SECONDS)
            await _add_single(conn, (Priority.POST, Priority.UPKEEP)[number % 2])
        left = "SELECT count(*) FROM scheduled_jobs WHERE kind = 'single'"
        while await conn.fetchval(left):  # noqa: ASYNC110 - nobody announces the settle
            await asyncio.sleep(PAUSE_SECONDS)
        over.set()
    figures["crowd_done"] = crowd.done
    for name, priority in (("same", Priority.POST), ("lowest", Priority.UPKEEP)):
        row = await conn.fetchrow(WAITED, priority)
        assert row is not None
        p50, p99, worst = row["waited_ms"]
        figures[name] = {"jobs": row["jobs"], "p50_ms": p50, "p99_ms": p99, "max_ms": worst}
    await conn.close()
    return figures


async def _add_single(conn: Connection, priority: Priority) -> None:
    now = await conn.fetchval("SELECT clock_timestamp()")
    await queue.enqueue(conn, [NewJob("single", new_id(), "prod", now, priority)])
    await queue.wake(conn)


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="how long a job waits behind another project's")
    parser.add_argument("--quick", action="store_true", help="a tenth of the jobs")
    quick = parser.parse_args().quick
    logs.configure("error")
    with server() as url:
        async with scratch_database(url, prefix="fairness") as fresh:
            tell(f"fairness: a crowd of {CROWD} due jobs, and singles")
            figures = await measure(fresh, JOBS // 10 if quick else JOBS)
    holds = {f"p99_below_100_ms_{name}": _p99(figures, name) < 100 for name in ("same", "lowest")}
    report({"benchmark": "fairness", "crowd": CROWD, **figures}, holds)


def _p99(figures: dict[str, object], name: str) -> float:
    found = figures[name]
    assert isinstance(found, dict)
    return float(found["p99_ms"])


if __name__ == "__main__":
    asyncio.run(main())
