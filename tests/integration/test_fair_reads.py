"""Ten thousand due slots of one project, whose target hangs, do not delay another's single one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from analytics import policy
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Phase
from ingest.collector import Collector
from ingest.turns import Turns
from scheduler import queue, tasks, worker
from scheduler.jobs import JobKind, NewJob, Priority
from sql import projects, targets
from tests.integration.test_collector import never_answer, response, serve

DUE = 10_000
ENVIRONMENTS = 50
"""So that the limit of one target is not what keeps the project in check."""


async def make_due(conn: Connection, vault: Vault, name: str, url: str, count: int) -> None:
    project, _ = await projects.create(conn, vault, name=name, plan="pro")
    envs = [f"env-{number}" for number in range(min(count, ENVIRONMENTS))]
    for env in envs:
        await targets.put(conn, project.id, env, url)
    now = await conn.fetchval("SELECT now()")
    jobs = [
        NewJob(
            kind=JobKind.COLLECT,
            project_id=project.id,
            env=envs[number % len(envs)],
            scheduled_at=now - timedelta(milliseconds=number),
            deadline_at=now + timedelta(minutes=10),
            priority=Priority.POST,
            phase=Phase.POST,
        )
        for number in range(count)
    ]
    await queue.enqueue(conn, jobs)


async def test_a_flood_of_one_project_does_not_delay_another(
    database_url: str, conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    async with (
        serve(never_answer) as hanging,
        serve(response()) as answering,
        Collector(
            timeout_seconds=5,
            slot_seconds=60,
            target_allow=("127.0.0.0/8",),
            max_concurrency=40,
            take_turn=Turns(pool, 60).take,
        ) as collector,
    ):
        await make_due(conn, vault, "flood", hanging.url, DUE)
        await make_due(conn, vault, "single", answering.url, 1)
        context = tasks.Context(pool, vault, collector, policy.find("reference-v2"), settings)
        stop = asyncio.Event()
        handle = partial(tasks.handle, context=context)
        running = asyncio.create_task(worker.run(database_url, handle, worker.Options(), stop))
        async with asyncio.timeout(30):
            while not await conn.fetchval("SELECT count(*) FROM metric_samples"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        left = await conn.fetchval("SELECT count(*) FROM scheduled_jobs")
        attempts = await conn.fetchval("SELECT attempt FROM job_runs WHERE status = 'completed'")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert left > 0.9 * DUE, "it did not wait for the flood to drain"
    assert attempts == 1, "there was a place for it at once"
