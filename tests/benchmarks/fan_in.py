"""Many deployments in their post window: what they cost, and how fast their verdicts come.

    python -P tests/benchmarks/fan_in.py [--quick]

Runs 20 and then 500 deployments of as many projects through a real worker, real reads of a target
on loopback and the real judge. Figures in milliseconds are between the settle of the last slot and
the judge being due, claimed, and its verdict stored, by the database's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import threading
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from analytics import policy
from core import logs
from core import settings as configuration
from core.database import Pool, create_pool
from core.secrets import Vault
from core.types import DeploymentResult, Project
from ingest.collector import Collector
from scheduler import plan, queue, tasks
from sql import deployments, projects, targets
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, target, tell, working

COUNTS: Final = (20, 500)
SLOTS: Final = 5
LOOK_SECONDS: Final = 0.05
LATE = """
WITH late AS (
    SELECT j.scheduled_at - s.last_at AS due, j.claimed_at - s.last_at AS claimed,
           v.created_at - s.last_at AS stored
      FROM job_runs AS j
      JOIN (SELECT deployment_id, max(finished_at) AS last_at
              FROM job_runs WHERE phase = 'post' GROUP BY deployment_id) AS s USING (deployment_id)
      JOIN verdicts AS v USING (deployment_id)
     WHERE j.kind = 'judge'
)
SELECT count(*) AS verdicts,
       extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY due)) * 1000 AS due_ms,
       extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY claimed)) * 1000
           AS claimed_ms,
       extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY stored)) * 1000 AS stored_ms
  FROM late
"""


@dataclass(frozen=True)
class Figures:
    """What so many deployments cost; the milliseconds are 99th percentiles."""

    verdicts: int
    missed_slots: int
    due_ms: float
    claimed_ms: float
    stored_ms: float
    most_tasks: int
    waiting_tasks: int
    most_threads: int
    memory_mb: float


@dataclass
class Watch:
    """The most that was seen, and the least while the window was open."""

    tasks: list[int]
    threads: int = 0

    async def look(self) -> None:
        """Look for ever."""
        while True:
            self.tasks.append(len(asyncio.all_tasks()))
            self.threads = max(self.threads, threading.active_count())
            await asyncio.sleep(LOOK_SECONDS)


async def deploy(pool: Pool, project: Project, slot_seconds: float, delay_seconds: float) -> None:
    """Finish a deployment whose window opens a little later."""
    async with pool.acquire() as conn, conn.transaction():
        created, _ = await deployments.create(
            conn,
            project.id,
            env="prod",
            branch="main",
            idempotency_key=None,
            abandoned_seconds=3600,
        )
        done = await deployments.mark_finished(
            conn,
            created.id,
            project.id,
            result=DeploymentResult.SUCCESS,
            post_slots=SLOTS,
            slot_seconds=slot_seconds,
        )
        assert done is not None
        assert done.finished_at is not None
        opens_at = done.finished_at + timedelta(seconds=1 + delay_seconds)
        await queue.enqueue(conn, plan.post_jobs(replace(done, finished_at=opens_at)))


async def measure(server_url: str, count: int, slot_seconds: float) -> Figures:
    """Run so many deployments through their post window."""
    async with scratch_database(server_url, prefix="fan_in") as url:
        vault = Vault(secrets.token_hex(32))
        settings = configuration.load(
            database_url=url, secret_key=vault.master_key, target_allow=("127.0.0.0/8",)
        )
        async with (
            target() as endpoint,
            await create_pool(url, settings.pool_size) as pool,
            Collector(
                timeout_seconds=settings.collect_timeout_seconds,
                slot_seconds=slot_seconds,
                target_allow=settings.target_allow,
                max_concurrency=settings.worker_concurrency,
            ) as collector,
        ):
            for number in range(count):
                async with pool.acquire() as conn:
                    project, _ = await projects.create(conn, vault, name=f"project {number}")
                    await targets.put(conn, project.id, "prod", endpoint)
                await deploy(pool, project, slot_seconds, slot_seconds * number / count)
            context = tasks.Context(pool, vault, collector, policy.find(settings.policy), settings)
            return await _observe(url, pool, context, count)


async def _observe(url: str, pool: Pool, context: tasks.Context, count: int) -> Figures:
    watch = Watch([])
    looking = asyncio.create_task(watch.look())
    async with working(url, partial(tasks.handle, context=context)):
        while await pool.fetchval("SELECT count(*) FROM verdicts") < count:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
    looking.cancel()
    row = await pool.fetchrow(LATE)
    assert row is not None
    return Figures(
        verdicts=row["verdicts"],
        missed_slots=await pool.fetchval("SELECT count(*) FROM missed_slots"),
        due_ms=round(float(row["due_ms"]), 1),
        claimed_ms=round(float(row["claimed_ms"]), 1),
        stored_ms=round(float(row["stored_ms"]), 1),
        most_tasks=max(watch.tasks),
        waiting_tasks=min(watch.tasks[5:]),
        most_threads=watch.threads,
        memory_mb=round(_memory_mb(), 1),
    )


def _memory_mb() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="many deployments in their post window")
    parser.add_argument("--quick", action="store_true", help="shorter slots, fewer deployments")
    quick = parser.parse_args().quick
    logs.configure("error")
    counts = (COUNTS[0], 100) if quick else COUNTS
    slot_seconds = 2.0 if quick else 20.0  # the product's 60 would take three times as long
    with server() as url:
        await measure(url, counts[0], 1.0)  # what is only loaded on first use counts for neither
        tell(f"fan_in: {counts[0]} deployments")
        few = await measure(url, counts[0], 2.0)
        tell(f"fan_in: {counts[1]} deployments, {slot_seconds * (SLOTS + 1):.0f} s")
        many = await measure(url, counts[1], slot_seconds)
    holds = {
        "every_deployment_judged": (few.verdicts, many.verdicts) == counts,
        "judge_due_within_100_ms": many.due_ms <= 100,
        "judge_claimed_within_100_ms": many.claimed_ms <= 100,
        "analysis_within_2_s": many.stored_ms < 2000,
        "tasks_flat_while_waiting": many.waiting_tasks <= few.waiting_tasks + 2,
        "threads_flat": many.most_threads <= few.most_threads,
        "memory_flat_within_20_mb": many.memory_mb - few.memory_mb < 20,
    }
    report(
        {"benchmark": "fan_in", str(counts[0]): asdict(few), str(counts[1]): asdict(many)}, holds
    )


if __name__ == "__main__":
    asyncio.run(main())
