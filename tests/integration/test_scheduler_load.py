"""Many at once: analyses of one deployment, deployments in their post window, jobs of a project."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from analytics import policy
from core.database import Connection, create_pool
from core.ids import new_id
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, DeploymentResult, Phase, Project, Reading, Sample
from ingest.collector import Collector
from scheduler import plan, queue, tasks, worker
from scheduler.jobs import Job, JobKind, NewJob, Outcome, Priority, Status
from sql import deployments, verdicts

ANALYSES = 50
BACKLOG = 5_000
SHARED = 500
DONE = Outcome(Status.COMPLETED)
OPTIONS = worker.Options(concurrency=ANALYSES, poll_seconds=2)


@pytest.fixture
async def context(
    database_url: str, vault: Vault, settings: Settings
) -> AsyncIterator[tasks.Context]:
    """Like the product's, with connections enough for analyses that really run at once."""
    async with (
        Collector(
            timeout_seconds=settings.collect_timeout_seconds,
            slot_seconds=settings.slot_seconds,
            target_allow=settings.target_allow,
            max_concurrency=10,
        ) as collector,
        await create_pool(database_url, 20) as pool,
    ):
        yield tasks.Context(pool, vault, collector, policy.find("reference-v2"), settings)


@asynccontextmanager
async def working(
    url: str, handle: worker.Handle, options: worker.Options = OPTIONS
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(url, handle, options, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


async def finish(conn: Connection, project: Project, name: str, slot_seconds: float) -> Deployment:
    """Return a deployment that has just been finished, in an environment of its own."""
    created, _ = await deployments.create(
        conn, project.id, env=name, branch="main", idempotency_key=None, abandoned_seconds=3600
    )
    done = await deployments.mark_finished(
        conn,
        created.id,
        project.id,
        result=DeploymentResult.SUCCESS,
        post_slots=5,
        slot_seconds=slot_seconds,
    )
    assert done is not None
    return done


async def degrade(conn: Connection, deployment: Deployment) -> None:
    """Make the stored samples of a deployment tell of a bad release, a quarter of an hour ago."""
    await conn.execute(
        "UPDATE deployments SET triggered_at = triggered_at - interval '15 minutes', "
        "finished_at = finished_at - interval '14 minutes' WHERE id = $1",
        deployment.id,
    )
    await conn.execute(
        "INSERT INTO metric_samples (slot_at, project_id, env, deployment_id, phase, "
        " sequence_index, requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage) "
        "SELECT triggered_at - make_interval(mins => i), project_id, env, NULL, NULL, NULL, "
        "       100, 50, 0.001, 0.2, 0.3 "
        "  FROM deployments, generate_series(1, 29) AS i WHERE id = $1 "
        "UNION ALL "
        "SELECT finished_at + make_interval(mins => i), project_id, env, id, 'post', i, "
        "       100, 900, 0.4, 0.99, 0.3 "
        "  FROM deployments, generate_series(0, 4) AS i WHERE id = $1",
        deployment.id,
    )


async def test_fifty_analyses_at_once_give_one_verdict_and_one_set_of_hints(
    database_url: str, conn: Connection, project: Project, context: tasks.Context
) -> None:
    deployment = await finish(conn, project, "prod", slot_seconds=60)
    await degrade(conn, deployment)
    job = NewJob(
        kind=JobKind.JUDGE,
        project_id=project.id,
        env="prod",
        deployment_id=deployment.id,
        scheduled_at=deployment.triggered_at,
        priority=Priority.JUDGE,
    )
    await queue.enqueue(conn, [job] * ANALYSES)
    all_claimed = asyncio.Barrier(ANALYSES)
    judged = asyncio.Event()
    answers: list[Status] = []

    async def judge(job: Job) -> Outcome:
        await all_claimed.wait()
        outcome = await tasks.handle(job, context)
        answers.append(outcome.status)
        if len(answers) == ANALYSES:
            judged.set()
        return outcome

    async with working(database_url, judge), asyncio.timeout(60):
        await judged.wait()
    assert answers == [Status.COMPLETED] * ANALYSES
    assert await conn.fetchval("SELECT count(*) FROM job_runs WHERE kind = 'judge'") == ANALYSES
    judgement = await verdicts.find(conn, deployment.id)
    assert judgement is not None
    assert judgement.verdict == "rollback_recommended"
    assert await conn.fetchval("SELECT count(*) FROM verdicts") == 1
    assert await conn.fetchval("SELECT count(*) FROM evidence") == 5
    hints = await conn.fetch("SELECT position, rule FROM hints ORDER BY position")
    assert [hint["position"] for hint in hints] == list(range(len(hints)))
    assert len({hint["rule"] for hint in hints}) == len(hints) > 0


async def test_waiting_for_slots_costs_nothing_but_rows(
    database_url: str, conn: Connection, project: Project
) -> None:
    """Whether 20 or 500 deployments wait for their next slot: no task, no thread, no object."""
    probed = asyncio.Event()

    async def handle(job: Job) -> Outcome:
        assert job.kind == "probe"
        probed.set()
        return DONE

    async def wait_for(count: int) -> tuple[int, int, int]:
        """Let so many more deployments wait, and count what a worker needs for all of them."""
        for number in range(count):
            done = await finish(conn, project, f"{count}-{number}", slot_seconds=60)
            later = replace(done, finished_at=_at(done) + timedelta(hours=1))
            await queue.enqueue(conn, plan.post_jobs(later))
        probed.clear()
        await queue.enqueue(conn, [NewJob("probe", project.id, "prod", project.created_at)])
        await queue.wake(conn)
        await probed.wait()
        probes = "SELECT count(*) FROM scheduled_jobs WHERE kind = 'probe'"
        while await conn.fetchval(probes):  # noqa: ASYNC110 - nobody announces the settle
            await asyncio.sleep(0.02)
        looks = []
        for _ in range(10):  # a heart beat or a look for the dead comes and goes
            await asyncio.sleep(0.02)
            gc.collect()
            jobs = sum(isinstance(item, Job | NewJob) for item in gc.get_objects())
            looks.append((len(asyncio.all_tasks()), threading.active_count(), jobs))
        return min(looks)

    async with working(database_url, handle), asyncio.timeout(60):
        few = await wait_for(20)
        many = await wait_for(480)
        assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 500 * 6
    assert many == few


def _at(deployment: Deployment) -> datetime:
    assert deployment.finished_at is not None
    return deployment.finished_at


@pytest.mark.parametrize("count", [20, 500])
async def test_the_last_slot_to_settle_makes_the_judge_due(
    database_url: str, conn: Connection, project: Project, context: tasks.Context, count: int
) -> None:
    for number in range(count):
        done = await finish(conn, project, str(number), slot_seconds=0.4)
        await queue.enqueue(conn, plan.post_jobs(done))
    judged = asyncio.Event()
    seen = 0

    async def handle(job: Job) -> Outcome:
        nonlocal seen
        if job.kind == JobKind.COLLECT:
            return Outcome(Status.COMPLETED, sample=Sample(job.slot, Reading(10, 50, 0, 0.1, 0.1)))
        outcome = await tasks.handle(job, context)
        seen += outcome.status is Status.COMPLETED
        if seen == count:
            judged.set()
        return outcome

    async with working(database_url, handle), asyncio.timeout(60):
        await judged.wait()
    late = await conn.fetchrow(
        "SELECT count(*) AS judged, count(*) FILTER (WHERE j.attempt > 1) AS again, "
        "       max(j.scheduled_at - s.last_at) AS due, min(s.slots) AS slots, "
        "       extract(epoch FROM max(j.claimed_at - s.last_at)) * 1000 AS claimed_ms "
        "  FROM job_runs j JOIN (SELECT deployment_id, max(finished_at) AS last_at, "
        "                               count(*) AS slots "
        "                          FROM job_runs WHERE phase = 'post' GROUP BY 1) s "
        "       USING (deployment_id) WHERE j.kind = 'judge'"
    )
    assert late is not None
    sys.stdout.write(f"{count} deployments: judges claimed within {late['claimed_ms']:.0f} ms\n")
    assert (late["judged"], late["again"], late["slots"]) == (count, 0, 5)
    assert late["due"] <= timedelta(0)  # due in the very transaction that settled the last slot
    assert await conn.fetchval("SELECT count(*) FROM verdicts WHERE coverage_ratio = 1") == count


@pytest.mark.parametrize("priority", [Priority.POST, Priority.UPKEEP])
async def test_a_long_backlog_does_not_keep_others_waiting(
    database_url: str, conn: Connection, project: Project, priority: Priority
) -> None:
    """One job of another project, due last, is done while most of the backlog still waits."""
    moment = await conn.fetchval("SELECT now() - interval '1 minute'")
    crowd, other = new_id(), new_id()
    jobs = [NewJob("crowd", crowd, "prod", moment, Priority.POST) for _ in range(BACKLOG)]
    last = NewJob("other", other, "prod", moment + timedelta(seconds=30), priority)
    await queue.enqueue(conn, [*jobs, last])
    found = asyncio.Event()

    async def handle(job: Job) -> Outcome:
        if job.project_id == other:
            found.set()
        await asyncio.sleep(0.001)
        return DONE

    async with working(database_url, handle), asyncio.timeout(60):
        await found.wait()
    left = await conn.fetchval("SELECT count(*) FROM scheduled_jobs WHERE project_id = $1", crowd)
    sys.stdout.write(f"{left} of {BACKLOG} jobs of the crowd were left\n")
    assert left > 0


async def test_a_stopping_worker_claims_nothing_more(
    database_url: str, conn: Connection, project: Project
) -> None:
    moment = await conn.fetchval("SELECT now()")
    jobs = [NewJob("crowd", project.id, "prod", moment) for _ in range(BACKLOG)]
    await queue.enqueue(conn, jobs)
    stop = asyncio.Event()
    started = 0

    async def handle(job: Job) -> Outcome:
        nonlocal started
        started += 1
        stop.set()
        await asyncio.sleep(0)
        return DONE

    async with asyncio.timeout(60):
        await worker.run(database_url, handle, OPTIONS, stop)
    assert 0 < started <= 2 * OPTIONS.concurrency  # one claim down the queue, one around
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == BACKLOG - started
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs WHERE owner IS NOT NULL") == 0


async def test_workers_that_share_deployments_do_not_deadlock(
    database_url: str, conn: Connection, project: Project
) -> None:
    """Three workers settle slots of the same deployments, hence update the same judge rows."""
    moment = await conn.fetchval("SELECT now()")
    identities = [new_id() for _ in range(SHARED)]
    slot = NewJob("slot", project.id, "prod", moment, Priority.POST, phase=Phase.POST)
    judge = NewJob("judge", project.id, "prod", moment + timedelta(hours=1), Priority.JUDGE)
    slots = [replace(slot, deployment_id=each) for each in identities for _ in range(15)]
    random.Random(0).shuffle(slots)
    await queue.enqueue(conn, slots)
    await queue.enqueue(
        conn, [replace(judge, deployment_id=each, awaiting=15) for each in identities]
    )
    judged: set[UUID | None] = set()
    over = asyncio.Event()

    async def handle(job: Job) -> Outcome:
        await asyncio.sleep(random.uniform(0, 0.01))
        if job.kind == "judge":
            judged.add(job.deployment_id)
            if len(judged) == SHARED:
                over.set()
        return DONE

    async with contextlib.AsyncExitStack() as workers, asyncio.timeout(60):
        for _ in range(3):
            await workers.enter_async_context(working(database_url, handle))
        await over.wait()
    counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await conn.fetchval(counted) == 0
