"""A normal day of a team, in four minutes: is anything ever waiting?

    python -P tests/benchmarks/normal_day.py [--quick]

Twenty services are read once a minute and deployed five times, mostly in office hours, by the
product's own worker, with real reads over loopback; one read in a hundred meets a 503. A day
passes in 240 seconds, so everything comes 360 times as fast and as dense as in truth: what holds
here holds with a wide margin there. Queue depth is the number of jobs that are due and not yet
claimed, pool use the share of the worker's database connections that are taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

from analytics import policy
from core import logs
from core import settings as configuration
from core.database import Pool, connect, create_pool
from core.secrets import Vault
from core.settings import Settings
from core.types import DeploymentResult, Project
from ingest.collector import Collector
from scheduler import baseline, plan, queue, tasks
from sql import deployments, projects
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, target, tell, working

SERVICES: Final = 20
DEPLOYMENTS: Final = 5
DAY: Final = 86_400.0
MINUTE: Final = 60.0
ROLLOUT_MINUTES: Final = 3
BREAKAGE: Final = 0.01
OFFICE_HOURS: Final = (9, 17)
LOOK_SECONDS: Final = 0.02
DEPTH: Final = """
SELECT count(*) FROM scheduled_jobs WHERE status = 'pending' AND scheduled_at <= now()
"""


@dataclass
class Watch:
    """What was seen at every look."""

    depths: list[int] = field(default_factory=list)
    used: list[float] = field(default_factory=list)

    async def look(self, url: str, pool: Pool, size: int) -> None:
        """Look for ever."""
        conn = await connect(url)
        try:
            while True:
                self.depths.append(await conn.fetchval(DEPTH))
                self.used.append((pool.get_size() - pool.get_idle_size()) / size)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await conn.close()


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def deploy(pool: Pool, project: Project, slot_seconds: float) -> None:
    """Trigger a deployment and finish it three minutes later, as the API does."""
    async with pool.acquire() as conn, conn.transaction():
        created, _ = await deployments.create(
            conn,
            project.id,
            env="prod",
            branch="main",
            idempotency_key=None,
            abandoned_seconds=3600,
        )
        await queue.enqueue(conn, [plan.pre_job(created, slot_seconds)])
    async with pool.acquire() as conn:
        await queue.wake(conn)
    await asyncio.sleep(ROLLOUT_MINUTES * slot_seconds)
    async with pool.acquire() as conn, conn.transaction():
        done = await deployments.mark_finished(
            conn,
            created.id,
            project.id,
            result=DeploymentResult.SUCCESS,
            post_slots=project.post_slots,
            slot_seconds=slot_seconds,
        )
        if done is None:  # another one of this service was under way, so they were one
            return
        await queue.enqueue(conn, plan.post_jobs(done))
    async with pool.acquire() as conn:
        await queue.wake(conn)


def hours_of_deployments(chance: random.Random) -> list[float]:
    """Return when a service is deployed: four times in office hours, once at any time."""
    first, last = OFFICE_HOURS
    times = [chance.uniform(first, last) for _ in range(DEPLOYMENTS - 1)]
    return [*times, chance.uniform(0, 22)]


async def live(
    client: Pool, project: Project, endpoint: str, day_seconds: float, chance: random.Random
) -> None:
    """Let one service live through its day."""
    minute = day_seconds * MINUTE / DAY
    async with client.acquire() as conn:
        now = await conn.fetchval("SELECT now()")
        first_at = now + timedelta(seconds=chance.uniform(0, minute))
        await baseline.watch(
            conn, project.id, "prod", endpoint, first_at=first_at, interval_seconds=minute
        )
        await queue.wake(conn)

    async def at(hour: float) -> None:
        await asyncio.sleep(day_seconds * hour / 24)
        await deploy(client, project, minute)

    await asyncio.gather(*(at(hour) for hour in hours_of_deployments(chance)))


async def run_day(server_url: str, day_seconds: float) -> dict[str, float]:
    """Run the day and return its figures."""
    chance = random.Random(7)
    minute = day_seconds * MINUTE / DAY
    async with scratch_database(server_url, prefix="day") as url:
        vault = Vault(secrets.token_hex(32))
        settings = configuration.load(
            database_url=url, secret_key=vault.master_key, target_allow=("127.0.0.0/8",)
        )
        async with (
            target(broken=lambda: chance.random() < BREAKAGE) as endpoint,
            await create_pool(url, settings.pool_size) as pool,
            await create_pool(url, settings.pool_size) as client,
            Collector(
                timeout_seconds=settings.collect_timeout_seconds,
                slot_seconds=minute,
                target_allow=settings.target_allow,
                max_concurrency=settings.worker_concurrency,
            ) as collector,
        ):
            team = await _found(client, vault)
            context = tasks.Context(pool, vault, collector, policy.find(settings.policy), settings)
            watch = Watch()
            looking = asyncio.create_task(watch.look(url, pool, settings.pool_size))
            async with working(url, partial(tasks.handle, context=context)):
                lives = (live(client, each, endpoint, day_seconds, chance) for each in team)
                await asyncio.gather(asyncio.sleep(day_seconds), *lives)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            return await _figures(client, watch, settings)


async def _found(client: Pool, vault: Vault) -> list[Project]:
    team = []
    async with client.acquire() as conn:
        for number in range(SERVICES):
            project, _ = await projects.create(conn, vault, name=f"service {number}")
            team.append(replace(project, post_slots=15 if number % 2 else 5))
    return team


async def _figures(client: Pool, watch: Watch, settings: Settings) -> dict[str, float]:
    count = client.fetchval
    depths = [float(depth) for depth in watch.depths]
    return {
        "reads": await count("SELECT count(*) FROM metric_samples"),
        "missed": await count("SELECT count(*) FROM missed_slots"),
        "deployments": await count("SELECT count(*) FROM deployments"),
        "verdicts": await count("SELECT count(*) FROM verdicts"),
        "looks": len(depths),
        "depth_p50": percentile(depths, 0.5),
        "depth_p99": percentile(depths, 0.99),
        "depth_max": max(depths),
        "pool_size": settings.pool_size,
        "pool_use_p99": percentile(watch.used, 0.99),
        "pool_use_max": max(watch.used),
    }


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="a normal day of a team")
    parser.add_argument("--quick", action="store_true", help="a day in 40 seconds")
    quick = parser.parse_args().quick
    logs.configure("error")
    day_seconds = 40.0 if quick else 240.0
    tell(f"normal_day: {SERVICES} services, a day in {day_seconds:.0f} s")
    with server() as url:
        figures = await run_day(url, day_seconds)
    tell(json.dumps(figures))
    holds = {
        "queue_depth_p99_below_10": figures["depth_p99"] < 10,
        "pool_use_p99_below_half": figures["pool_use_p99"] < 0.5,
    }
    report({"benchmark": "normal_day", "day_seconds": day_seconds, **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
