"""One deployment: how long until its verdict, in memory and end to end, alone and in a crowd?

    python -P tests/benchmarks/judge_one.py [--quick]

In memory: 30 samples before and 15 after, five metrics, to verdict and hints. End to end: through
a real worker and real reads of a target on loopback, from the last post sample's commit to the
settle of the judge job, which follows the verdict's commit; by the database's clock, in
milliseconds. Idle: one deployment at a time. Crowd: 500 whose last slots are due in one second.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np
import polars as pl

from analytics import hints, policy, windows
from analytics.judge import judge
from core import logs
from core import settings as configuration
from core.database import Connection, Pool, create_pool
from core.secrets import Vault
from core.types import METRICS, DeploymentResult
from ingest.collector import Collector
from scheduler import plan, queue, tasks
from sql import deployments, projects, targets
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, target, tell, working

CROWD: Final = 500
IDLE: Final = 60
SLOTS: Final = 15
BEFORE: Final = 30
PAUSE_SECONDS: Final = 0.4
POLICY: Final = "seqpulse-v1"
SAMPLES: Final = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate,
                            cpu_usage, memory_usage)
SELECT s.slot_at, s.slot_at, d.project_id, d.env, s.deployment_id, s.phase, s.i,
       10 + random(), 50 + 5 * random(), 0, 0.2 + 0.02 * random(), 0.3 + 0.01 * random()
  FROM deployments AS d
 CROSS JOIN LATERAL (
       SELECT d.triggered_at - i * interval '1 minute' AS slot_at, NULL::smallint AS i,
              NULL::uuid AS deployment_id, NULL AS phase
         FROM generate_series(1, $2) AS i
        UNION ALL
       SELECT d.finished_at + i * interval '1 minute', i, d.id, 'post'
         FROM generate_series(0, d.post_slots - 2) AS i
     ) AS s
 WHERE d.id = ANY($1)
"""
LATE: Final = """
SELECT extract(epoch FROM j.finished_at - s.last_at)::float8 * 1000
  FROM job_runs AS j
  JOIN (SELECT deployment_id, max(finished_at) AS last_at
          FROM job_runs WHERE phase = 'post' GROUP BY deployment_id) AS s USING (deployment_id)
  JOIN verdicts AS v USING (deployment_id)
 WHERE j.kind = 'judge'
"""


def in_memory(repeats: int) -> list[float]:
    """Return how long judging and explaining one deployment took, in milliseconds."""
    random = np.random.default_rng(1)
    rules = policy.find(POLICY)
    took = []
    for number in range(repeats):
        frames = _one(random, number)
        began = time.perf_counter()
        (judgement,) = judge(windows.split(*frames), rules, datetime.now(UTC))
        hints.diagnose(judgement)
        took.append((time.perf_counter() - began) * 1000)
    return took


def _one(random: np.random.Generator, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A deployment; every third one is slower than before, every fifth fails."""
    triggered_at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    finished_at = triggered_at + timedelta(minutes=3)
    identity = str(UUID(int=number))
    n = BEFORE + SLOTS
    after = np.arange(n) >= BEFORE
    values = {
        "requests_per_sec": 10 + random.random(n),
        "latency_p95": (50 + 5 * random.random(n)) * np.where(after & (number % 3 == 0), 2, 1),
        "error_rate": np.where(after & (number % 5 == 0), 0.3, 0.001) * random.random(n),
        "cpu_usage": 0.2 + 0.02 * random.random(n),
        "memory_usage": 0.3 + 0.01 * random.random(n),
    }
    minute = timedelta(minutes=1)
    samples = pl.DataFrame(
        {
            "deployment_id": [identity] * n,
            "slot_at": [triggered_at - minute * (BEFORE - i) for i in range(BEFORE)]
            + [finished_at + minute * i for i in range(SLOTS)],
            "phase": [None] * BEFORE + ["post"] * SLOTS,
            "sequence_index": [None] * BEFORE + list(range(SLOTS)),
            **{metric: values[metric] for metric in METRICS},
        },
        schema=windows.SAMPLES,
    )
    row = [identity, "shop/prod", triggered_at, finished_at, SLOTS, 60.0]
    return pl.DataFrame([row], schema=windows.DEPLOYMENTS, orient="row"), samples


async def end_to_end(server_url: str, delays: list[float]) -> list[float]:
    """Let the last slots of deployments come after so many seconds each; return how late."""
    async with scratch_database(server_url, prefix="judge_one") as url:
        vault = Vault(secrets.token_hex(32))
        settings = configuration.load(
            database_url=url, secret_key=vault.master_key, target_allow=("127.0.0.0/8",)
        )
        async with (
            target() as endpoint,
            await create_pool(url, settings.pool_size) as pool,
            Collector(
                timeout_seconds=settings.collect_timeout_seconds,
                slot_seconds=settings.slot_seconds,
                target_allow=settings.target_allow,
                max_concurrency=settings.worker_concurrency,
            ) as collector,
        ):
            async with pool.acquire() as conn, conn.transaction():
                for number, delay in enumerate(delays):
                    await _deploy(conn, vault, endpoint, number, delay)
            await pool.execute("ANALYZE")
            context = tasks.Context(pool, vault, collector, policy.find(POLICY), settings)
            async with working(url, partial(tasks.handle, context=context)):
                await _all_judged(pool, len(delays))
            return [row[0] for row in await pool.fetch(LATE)]


async def _deploy(conn: Connection, vault: Vault, endpoint: str, number: int, delay: float) -> None:
    """Leave a deployment of which only the last slot is to come, and that soon."""
    project, _ = await projects.create(conn, vault, name=f"p{number}", plan="pro")
    await targets.put(conn, project.id, "prod", endpoint)
    created, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key=None, abandoned_seconds=3600
    )
    await deployments.mark_finished(
        conn,
        created.id,
        project.id,
        result=DeploymentResult.SUCCESS,
        post_slots=SLOTS,
        slot_seconds=60.0,
    )
    past = timedelta(minutes=SLOTS - 1) - timedelta(seconds=delay)
    await conn.execute(
        "UPDATE deployments SET finished_at = clock_timestamp() - $2::interval, "
        "triggered_at = clock_timestamp() - $2::interval - interval '3 min' WHERE id = $1",
        created.id,
        past,
    )
    done, _ = await deployments.load(conn, created.id)
    await conn.execute(SAMPLES, [done.id], BEFORE)
    *_, last, judging = plan.post_jobs(done)
    await queue.enqueue(conn, [last, judging])
    await conn.execute("UPDATE scheduled_jobs SET awaiting = 1 WHERE kind = 'judge'")


async def _all_judged(pool: Pool, count: int) -> None:
    runs = "SELECT count(*) FROM job_runs WHERE kind = 'judge'"
    while await pool.fetchval(runs) < count:  # noqa: ASYNC110 - nothing to await
        await asyncio.sleep(0.25)


def shares(values: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="how long one verdict takes")
    parser.add_argument("--quick", action="store_true", help="fewer deployments")
    quick = parser.parse_args().quick
    logs.configure("error")
    in_memory(20)  # what is only loaded on first use is in nobody's figures
    memory = shares(in_memory(100 if quick else 1000))
    tell(f"judge_one: in memory {memory}")
    with server() as url:
        await end_to_end(url, [1.0])
        count = 10 if quick else IDLE
        alone = shares(await end_to_end(url, [2 + PAUSE_SECONDS * i for i in range(count)]))
        tell(f"judge_one: alone {alone}")
        count = 100 if quick else CROWD
        opens = 5 + count / 50  # writing them takes time; then all are due within a second
        crowd = shares(await end_to_end(url, [opens + i / count for i in range(count)]))
        tell(f"judge_one: crowd {crowd}")
    holds = {
        "in_memory_p50_10_ms": memory["p50_ms"] < 10,
        "in_memory_p99_25_ms": memory["p99_ms"] < 25,
        "idle_p99_500_ms": alone["p99_ms"] < 500,
        "crowd_p99_2_s": crowd["p99_ms"] < 2000,
    }
    figures = {"benchmark": "judge_one", "policy": POLICY}
    report({**figures, "in_memory": memory, "idle": alone, "crowd": crowd}, holds)


if __name__ == "__main__":
    asyncio.run(main())
