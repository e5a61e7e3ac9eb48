"""Job rows under claims, crashes and late results."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from core.database import Connection, connect
from core.types import CollectCode, Deployment, MissedSlot, Phase, Project, Reading, Sample
from scheduler import plan, queue
from scheduler.jobs import Job, JobKind
from scheduler.queue import Outcome, Settlement, Status
from sql.texts import query

READING = Reading(10, 50, 0.01, 0.3, 0.4)
DONE = Outcome(Status.COMPLETED)


async def claim(conn: Connection, owner: int, limit: int = 100) -> list[Job]:
    _, jobs = await queue.settle_and_claim(conn, owner, [], limit)
    return jobs


async def settle(conn: Connection, owner: int, *settlements: Settlement) -> set[int]:
    settled, _ = await queue.settle_and_claim(conn, owner, settlements, 0)
    return settled


def collected(job: Job) -> Settlement:
    return Settlement(job, Outcome(Status.COMPLETED, sample=Sample(job.slot, READING)))


def missed(job: Job) -> Settlement:
    slot = MissedSlot(job.slot, CollectCode.TIMEOUT, "slow")
    return Settlement(job, Outcome(Status.FAILED, last_error="timeout: slow", missed=slot))


async def statuses(conn: Connection) -> Counter[str]:
    rows = await conn.fetch("SELECT status FROM scheduled_jobs")
    return Counter(row["status"] for row in rows)


async def test_a_claim_takes_what_is_due_earliest_first(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await queue.register(conn)
    first = await claim(conn, owner, 2)
    rest = await claim(conn, owner)
    assert [job.sequence_index for job in sorted(first, key=lambda job: job.slot_at)] == [0, 1]
    assert Counter(job.kind for job in first + rest) == {JobKind.COLLECT: 5, JobKind.JUDGE: 1}
    assert await claim(conn, owner) == []
    assert all(job.attempt == 1 for job in first + rest)


async def test_no_two_workers_get_the_same_job(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    connections = [await connect(database_url) for _ in range(5)]
    owners = [await queue.register(each) for each in connections]
    assert len(set(owners)) == 5
    rounds = await asyncio.gather(
        *(claim(each, owner, 2) for each, owner in zip(connections, owners, strict=True))
    )
    ids = [job.id for jobs in rounds for job in jobs]
    assert len(ids) == len(set(ids)) == 6
    for each in connections:
        await each.close()


async def test_a_live_dedupe_key_is_not_written_twice(
    conn: Connection, deployment: Deployment
) -> None:
    before = await statuses(conn)
    await queue.enqueue(conn, plan.post_jobs(deployment))
    assert await statuses(conn) == before


async def test_a_sample_is_stored_by_the_settle_and_only_once(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await queue.register(conn)
    job = next(job for job in await claim(conn, owner) if job.sequence_index == 0)
    assert await settle(conn, owner, collected(job)) == {job.id}
    assert await settle(conn, owner, collected(job)) == set()
    rows = await conn.fetch("SELECT * FROM metric_samples")
    assert len(rows) == 1
    assert rows[0]["slot_at"] == deployment.finished_at
    assert (rows[0]["phase"], rows[0]["sequence_index"]) == ("post", 0)
    assert rows[0]["latency_p95"] == 50


async def test_a_result_of_a_lost_claim_changes_nothing(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    zombie = await connect(database_url)
    old_owner = await queue.register(zombie)
    old = {job.id: job for job in await claim(zombie, old_owner)}
    await zombie.close()  # the server drops its lock
    owner = await queue.register(conn)
    assert await queue.reap(conn) == len(old) == 6
    new = {job.id: job for job in await claim(conn, owner)}
    assert {job.attempt for job in new.values()} == {2}
    late = [collected(job) for job in old.values() if job.kind is JobKind.COLLECT]
    assert await settle(conn, old_owner, *late) == set()
    assert await settle(conn, owner, *late) == set()  # right owner, stale attempt
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0


async def test_jobs_of_a_living_worker_are_not_reaped(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    worker = await connect(database_url)
    await claim(worker, await queue.register(worker))
    assert await queue.reap(conn) == 0
    assert (await statuses(conn))["running"] == 6
    await worker.close()


async def test_the_last_slot_to_settle_makes_the_judge_due(
    conn: Connection, project: Project, deployment: Deployment
) -> None:
    await conn.execute(
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' WHERE kind = 'judge'"
    )
    owner = await queue.register(conn)
    *early, last = await claim(conn, owner)
    await settle(conn, owner, *[collected(early[0]), *map(missed, early[1:])])
    assert await claim(conn, owner) == []
    [job] = (await queue.settle_and_claim(conn, owner, [missed(last)], 10))[1]
    assert job.kind is JobKind.JUDGE
    assert await conn.fetchval("SELECT count(*) FROM missed_slots WHERE code = 'timeout'") == 4


async def test_the_join_is_exact_when_slots_settle_at_the_same_time(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    await conn.execute(
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' WHERE kind = 'judge'"
    )
    connections = [await connect(database_url) for _ in range(5)]
    claims = []
    for each in connections:
        owner = await queue.register(each)
        [job] = await claim(each, owner, 1)
        claims.append((each, owner, job))
    await asyncio.gather(*(settle(each, owner, collected(job)) for each, owner, job in claims))
    row = await conn.fetchrow(
        "SELECT awaiting, scheduled_at <= now() AS due FROM scheduled_jobs WHERE kind = 'judge'"
    )
    assert row is not None
    assert (row["awaiting"], row["due"]) == (0, True)
    for each in connections:
        await each.close()


async def test_a_retry_waits_and_keeps_its_slot(conn: Connection, deployment: Deployment) -> None:
    owner = await queue.register(conn)
    job = next(job for job in await claim(conn, owner) if job.sequence_index == 0)
    again = Outcome(Status.RETRY, retry_in_seconds=100, last_error="timeout: slow")
    assert await settle(conn, owner, Settlement(job, again)) == {job.id}
    row = await conn.fetchrow(
        "SELECT *, extract(epoch FROM scheduled_at - now()) AS due_in FROM scheduled_jobs "
        "WHERE id = $1",
        job.id,
    )
    assert row is not None
    assert 99 < row["due_in"] < 101
    assert row["slot_at"] == job.slot_at
    assert (row["status"], row["attempt"], row["last_error"]) == ("pending", 1, "timeout: slow")
    judge = await conn.fetchval("SELECT awaiting FROM scheduled_jobs WHERE kind = 'judge'")
    assert judge == 5


@pytest.mark.parametrize("outage_seconds", [0, 30, 3600])
async def test_a_recurring_job_plans_its_next_occurrence_and_collapses_missed_ones(
    conn: Connection, project: Project, outage_seconds: int
) -> None:
    first_at = await conn.fetchval("SELECT now()") - timedelta(seconds=outage_seconds)
    await queue.enqueue(conn, [plan.baseline_job(project.id, "prod", first_at, 60)])
    owner = await queue.register(conn)
    [job] = await claim(conn, owner)
    await settle(conn, owner, collected(job))
    row = await conn.fetchrow("SELECT *, now() AS now FROM scheduled_jobs")
    assert row is not None
    assert (row["status"], row["attempt"]) == ("pending", 0)
    assert row["slot_at"] == row["scheduled_at"]
    assert timedelta(0) < row["slot_at"] - row["now"] <= timedelta(seconds=60)
    assert (row["slot_at"] - first_at) % timedelta(seconds=60) == timedelta(0)
    assert row["deadline_at"] - row["slot_at"] == timedelta(seconds=60)


async def test_a_zombie_cannot_settle_a_later_occurrence(
    database_url: str, conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    await queue.enqueue(conn, [plan.baseline_job(project.id, "prod", now, 0.001)])
    zombie = await connect(database_url)
    old_owner = await queue.register(zombie)
    [old] = await claim(zombie, old_owner)
    await zombie.close()
    owner = await queue.register(conn)
    await queue.reap(conn)
    [job] = await claim(conn, owner)
    await settle(conn, owner, collected(job))  # the next occurrence counts its claims anew
    await conn.execute("UPDATE scheduled_jobs SET scheduled_at = now()")
    [job] = await claim(conn, owner)
    assert job.attempt == old.attempt
    assert await settle(conn, old_owner, collected(old)) == set()
    assert await settle(conn, owner, collected(job)) == {job.id}


async def test_a_post_slot_takes_over_a_baseline_sample_of_the_same_moment(
    conn: Connection, project: Project, deployment: Deployment
) -> None:
    assert deployment.finished_at is not None
    await queue.enqueue(conn, [plan.baseline_job(project.id, "prod", deployment.finished_at, 7200)])
    owner = await queue.register(conn)
    jobs = await claim(conn, owner)
    baseline = next(job for job in jobs if job.phase is None and job.kind is JobKind.COLLECT)
    post = next(job for job in jobs if job.sequence_index == 0)
    assert baseline.slot_at == post.slot_at
    await settle(conn, owner, collected(baseline))
    await settle(conn, owner, collected(post))
    [row] = await conn.fetch("SELECT phase, deployment_id FROM metric_samples")
    assert (row["phase"], row["deployment_id"]) == ("post", deployment.id)


async def test_the_pre_slot_moves_the_deployment_to_running(
    conn: Connection, project: Project
) -> None:
    from sql import deployments

    created, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key=None
    )
    await queue.enqueue(conn, [plan.pre_job(created, 60)])
    owner = await queue.register(conn)
    [job] = await claim(conn, owner)
    assert job.phase is Phase.PRE
    await settle(conn, owner, missed(job))
    found, _ = await deployments.load(conn, created.id)
    assert found.state == "running"


async def test_a_stopping_worker_hands_back(conn: Connection, deployment: Deployment) -> None:
    owner = await queue.register(conn)
    await claim(conn, owner)
    assert await queue.release(conn, owner) == 6
    assert await statuses(conn) == {"pending": 6}


async def test_enqueue_wakes_listeners_only_for_what_is_due_soon(
    database_url: str, conn: Connection, project: Project
) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await connect(database_url)
    await listener.add_listener(queue.CHANNEL, lambda *_: heard.put_nowait(1))
    soon = datetime.now(UTC)
    await queue.enqueue(
        conn, [plan.baseline_job(project.id, "later", soon + timedelta(hours=1), 60)]
    )
    await queue.enqueue(conn, [plan.baseline_job(project.id, "soon", soon, 60)])
    await asyncio.wait_for(heard.get(), 5)
    await listener.execute(query("locks.try_lock"), 1, 1)  # a round trip: all is delivered
    assert heard.empty()
    await listener.close()


async def test_settling_nothing_and_enqueueing_nothing_is_fine(conn: Connection) -> None:
    owner = await queue.register(conn)
    await queue.enqueue(conn, [])
    assert await queue.settle_and_claim(conn, owner, [], 0) == (set(), [])
    assert await queue.seconds_to_next(conn) is None
    assert DONE.sample is None
