"""Slots nobody will collect: cancelled, or gone by before a settle. Each leaves a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.database import Connection
from core.types import Deployment, Project
from scheduler import plan, queue
from scheduler.jobs import NewJob, Outcome, Settlement, Status
from scheduler.session import register
from tests.integration.claims import DONE, claim, collected, settle


async def test_cancelled_jobs_are_history_and_their_results_are_dropped(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
    running = await claim(conn, owner, 2)
    assert await queue.cancel(conn, deployment_id=deployment.id) == 6
    assert await settle(conn, owner, *[collected(job) for job in running]) == set()
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0
    errors = await conn.fetch("SELECT status, last_error FROM job_runs")
    assert {tuple(row) for row in errors} == {("failed", "cancelled")}
    assert await queue.cancel(conn, deployment_id=deployment.id) == 0


async def test_every_slot_of_a_deployment_is_collected_or_missed_though_some_are_cancelled(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
    claimed = await claim(conn, owner, 3)
    first, second, third = sorted(claimed, key=lambda job: job.slot_at)
    await settle(conn, owner, collected(first))
    waiting = await conn.fetchval(
        "UPDATE scheduled_jobs SET slot_at = now() + interval '1 hour' "
        "WHERE kind = 'collect' AND owner IS NULL AND sequence_index = 4 RETURNING id"
    )
    assert await queue.cancel(conn, ids=[second.id, waiting]) == 2
    assert await settle(conn, owner, collected(second), collected(third)) == {third.id}
    assert await queue.cancel(conn, deployment_id=deployment.id) == 2, "a slot and the judge"
    slots = await conn.fetch(
        "SELECT sequence_index, 'collected' AS how FROM metric_samples WHERE deployment_id = $1 "
        "UNION ALL SELECT sequence_index, code FROM missed_slots WHERE deployment_id = $1 "
        "ORDER BY 1",
        deployment.id,
    )
    expected = ["collected", "cancelled", "collected", "cancelled", "cancelled"]
    assert [tuple(row) for row in slots] == list(enumerate(expected))


@pytest.mark.parametrize(("late_seconds", "passed"), [(0, 0), (59, 0), (61, 1), (150, 2)])
async def test_slots_of_a_baseline_that_pass_before_the_settle_are_missed(
    conn: Connection, project: Project, late_seconds: int, passed: int
) -> None:
    minute = timedelta(minutes=1)
    slot_at = await conn.fetchval("SELECT now()") - timedelta(seconds=late_seconds)
    await queue.enqueue(conn, [plan.baseline_job(project.id, "prod", slot_at, 60)])
    owner = await register(conn)
    (job,) = await claim(conn, owner)
    assert await settle(conn, owner, collected(job)) == {job.id}
    missed = await conn.fetch("SELECT slot_at, code FROM missed_slots ORDER BY slot_at")
    expected = [(slot_at + number * minute, "deadline") for number in range(1, passed + 1)]
    assert [tuple(row) for row in missed] == expected
    planned = await conn.fetchval("SELECT slot_at FROM scheduled_jobs")
    assert planned == slot_at + (passed + 1) * minute, "the next slot, and none is left out"


async def test_what_a_settle_or_a_cancel_finds_missed_is_rolled_up_again(
    conn: Connection, project: Project
) -> None:
    await conn.execute("UPDATE history_edges SET closed_until = 'infinity'")
    slot_at = await conn.fetchval("SELECT now() - interval '150 seconds'")
    await queue.enqueue(conn, [plan.baseline_job(project.id, "prod", slot_at, 60)])
    owner = await register(conn)
    (job,) = await claim(conn, owner)
    await settle(conn, owner, Settlement(job, Outcome(Status.COMPLETED)))
    await queue.enqueue(conn, [plan.baseline_job(project.id, "eu", slot_at, 60)])
    await queue.cancel(conn, project_id=project.id)
    noted = await conn.fetch("SELECT DISTINCT env FROM late_hours ORDER BY env")
    assert [row["env"] for row in noted] == ["eu", "prod"]


async def test_a_retry_and_what_is_no_slot_leave_nothing_out(
    conn: Connection, project: Project
) -> None:
    slot_at = await conn.fetchval("SELECT now() - interval '150 seconds'")
    recurring = plan.baseline_job(project.id, "prod", slot_at, 60)
    await queue.enqueue(conn, [recurring])
    await queue.enqueue(conn, [replace(recurring, kind="noop", dedupe_key="noop")])
    owner = await register(conn)
    outcomes = {"collect": Outcome(Status.RETRY, retry_in_seconds=5.0), "noop": DONE}
    jobs = await claim(conn, owner)
    await settle(conn, owner, *(Settlement(job, outcomes[job.kind]) for job in jobs))
    assert await conn.fetchval("SELECT count(*) FROM missed_slots") == 0


async def test_of_a_cancelled_baseline_only_the_slot_that_was_due_is_missed(
    conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    for env, slot_at in (("prod", now), ("eu", now + timedelta(minutes=1))):
        await queue.enqueue(conn, [plan.baseline_job(project.id, env, slot_at, 60)])
    await queue.enqueue(conn, [NewJob("noop", project.id, "us", now)])
    assert await queue.cancel(conn, project_id=project.id) == 3
    missed = await conn.fetch("SELECT env, slot_at, phase, code FROM missed_slots")
    assert [tuple(row) for row in missed] == [("prod", now, None, "cancelled")]
