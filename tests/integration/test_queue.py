"""Job rows under claims, crashes and late results."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from core.database import Connection, connect
from core.secrets import Vault
from core.types import Deployment, Phase, Project
from scheduler import house, plan, queue, upkeep
from scheduler.jobs import JobKind, NewJob, Outcome, Priority, Settlement, Status
from scheduler.session import register
from sql import locks, projects, retention
from tests.integration.claims import DONE, claim, collected, missed, settle


async def statuses(conn: Connection) -> Counter[str]:
    rows = await conn.fetch("SELECT status FROM report.jobs")
    return Counter(row["status"] for row in rows)


async def test_a_claim_takes_what_is_due_earliest_first(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
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
    owners = [await register(each) for each in connections]
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
    owner = await register(conn)
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
    old_owner = await register(zombie)
    old = {job.id: job for job in await claim(zombie, old_owner)}
    await zombie.close()  # the server drops its lock
    owner = await register(conn)
    assert await upkeep.tick(conn, 30) == len(old) == 6
    new = {job.id: job for job in await claim(conn, owner)}
    assert {job.attempt for job in new.values()} == {2}
    late = [collected(job) for job in old.values() if job.kind == JobKind.COLLECT]
    assert await settle(conn, old_owner, *late) == set()
    assert await settle(conn, owner, *late) == set()  # right owner, stale attempt
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0


async def test_jobs_of_a_living_worker_are_not_reaped(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    worker = await connect(database_url)
    await claim(worker, await register(worker))
    assert await upkeep.tick(conn, 30) == 0
    assert (await statuses(conn))["running"] == 6
    await worker.close()


async def test_the_last_slot_to_settle_makes_the_judge_due(
    conn: Connection, project: Project, deployment: Deployment
) -> None:
    await conn.execute(
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' WHERE kind = 'judge'"
    )
    owner = await register(conn)
    *early, last = await claim(conn, owner)
    await settle(conn, owner, *[collected(early[0]), *map(missed, early[1:])])
    assert await claim(conn, owner) == []
    await settle(conn, owner, missed(last))
    [job] = await claim(conn, owner)
    assert job.kind == JobKind.JUDGE
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
        owner = await register(each)
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
    owner = await register(conn)
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
    owner = await register(conn)
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
    old_owner = await register(zombie)
    [old] = await claim(zombie, old_owner)
    await zombie.close()
    owner = await register(conn)
    await upkeep.tick(conn, 30)
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
    owner = await register(conn)
    jobs = await claim(conn, owner)
    baseline = next(job for job in jobs if job.phase is None and job.kind == JobKind.COLLECT)
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
        conn, project.id, env="prod", branch="main", idempotency_key=None, abandoned_seconds=3600
    )
    await queue.enqueue(conn, [plan.pre_job(created, 60)])
    owner = await register(conn)
    [job] = await claim(conn, owner)
    assert job.phase is Phase.PRE
    await settle(conn, owner, missed(job))
    found, _ = await deployments.load(conn, created.id)
    assert found.state == "running"


async def test_a_stopping_worker_hands_back(conn: Connection, deployment: Deployment) -> None:
    owner = await register(conn)
    await claim(conn, owner)
    assert await queue.release(conn, owner) == 6
    assert await statuses(conn) == {"pending": 6}


async def test_wake_reaches_every_listener(database_url: str, conn: Connection) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await connect(database_url)
    await listener.add_listener(queue.CHANNEL, lambda *about: heard.put_nowait(about[-1]))
    await queue.wake(conn)
    assert await asyncio.wait_for(heard.get(), 5) == ""
    await listener.close()


async def test_settling_nothing_and_enqueueing_nothing_is_fine(conn: Connection) -> None:
    owner = await register(conn)
    await queue.enqueue(conn, [])
    turn = await queue.take_turn(conn, owner, [], 0)
    assert turn == queue.Turn([], frozenset(), frozenset(), None, nothing_due=True)


async def test_a_job_that_another_worker_is_just_claiming_is_due(
    database_url: str, conn: Connection, project: Project
) -> None:
    owner = await register(conn)
    now = await conn.fetchval("SELECT now()")
    later = NewJob("noop", project.id, "prod", now + timedelta(hours=1))
    await queue.enqueue(conn, [later, replace(later, scheduled_at=now)])
    other = await connect(database_url)
    async with other.transaction():
        assert len(await claim(other, await register(other))) == 1
        skipped = await queue.take_turn(conn, owner, [], 10)
    held = await queue.take_turn(conn, owner, [], 10)
    assert (skipped.claimed, skipped.nothing_due) == ([], False)
    assert (held.claimed, held.nothing_due) == ([], False)
    await conn.execute("DELETE FROM scheduled_jobs WHERE owner IS NOT NULL")
    assert (await queue.take_turn(conn, owner, [], 10)).nothing_due
    await other.close()


async def test_a_job_that_fails_again_and_again_is_told(conn: Connection, project: Project) -> None:
    owner = await register(conn)
    struggling = "SELECT struggling FROM report.scheduler_health"
    now = await conn.fetchval("SELECT now()")
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)])
    for _ in range(3):
        assert await conn.fetchval(struggling) == 0
        [job] = await claim(conn, owner)
        await settle(conn, owner, Settlement(job, Outcome(Status.RETRY, last_error="no")))
    await claim(conn, owner)
    assert await conn.fetchval(struggling) == 1


async def test_finished_jobs_move_to_history(conn: Connection, deployment: Deployment) -> None:
    owner = await register(conn)
    *collects, judge = sorted(await claim(conn, owner), key=lambda job: job.id)
    await settle(conn, owner, *[missed(job) for job in collects], Settlement(judge, DONE))
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 0
    runs = await conn.fetch("SELECT * FROM job_runs ORDER BY id")
    assert [(run["kind"], run["status"]) for run in runs] == [
        *[("collect", "failed")] * 5,
        ("judge", "completed"),
    ]
    assert runs[0]["last_error"] == "timeout: slow"
    assert all(run["owner"] == owner and run["claimed_at"] for run in runs)


async def test_a_dedupe_key_is_free_again_once_its_job_is_done(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
    jobs = await claim(conn, owner)
    await settle(conn, owner, *[Settlement(job, DONE) for job in jobs])
    await queue.enqueue(conn, plan.post_jobs(deployment))
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 6


async def test_priority_goes_before_age(
    conn: Connection, project: Project, deployment: Deployment
) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    await queue.enqueue(conn, [plan.baseline_job(project.id, "prod", long_ago, 60)])
    owner = await register(conn)
    order = [(await claim(conn, owner, 1))[0] for _ in range(7)]
    assert [job.sequence_index for job in order] == [0, 1, 2, 3, 4, None, None]
    assert [job.kind for job in order[5:]] == [JobKind.JUDGE, JobKind.COLLECT]


async def test_claiming_around_takes_a_few_of_every_project(
    conn: Connection, project: Project, vault: Vault
) -> None:
    other, _ = await projects.create(conn, vault, name="other")
    past = datetime(2026, 1, 1, tzinfo=UTC)
    hog = [NewJob("noop", project.id, "prod", past, priority=Priority.POST) for _ in range(500)]
    soon = datetime(2026, 1, 2, tzinfo=UTC)
    lone = NewJob("noop", other.id, "prod", soon, priority=Priority.UPKEEP)
    await queue.enqueue(conn, [*hog, lone])
    owner = await register(conn)
    down = await claim(conn, owner, 100)
    assert {job.project_id for job in down} == {project.id}
    around, _ = await queue.claim_around(conn, owner, 100, 4)
    assert Counter(job.project_id for job in around) == {project.id: 4, other.id: 1}


async def test_a_claim_can_start_further_down(conn: Connection, project: Project) -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", past) for _ in range(10)])
    owner = await register(conn)
    middle = await conn.fetchval("SELECT min(id) + 5 FROM scheduled_jobs")
    turn = await queue.take_turn(conn, owner, [], 100, (past, middle))
    assert [job.id for job in turn.claimed] == list(range(middle, middle + 5))


async def test_a_job_can_be_hastened_or_written_anew(
    conn: Connection, deployment: Deployment
) -> None:
    judge = await conn.fetchval(
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' "
        "WHERE kind = 'judge' RETURNING id"
    )
    owner = await register(conn)
    slots = await claim(conn, owner)
    assert await queue.hasten(conn, judge) is True
    assert [job.id for job in await claim(conn, owner)] == [judge]
    assert await queue.hasten(conn, judge) is False  # running
    await conn.execute("UPDATE scheduled_jobs SET kind = 'other' WHERE id = $1", slots[0].id)
    failed = Settlement(slots[0], Outcome(Status.FAILED, last_error="no"))
    await settle(conn, owner, failed, collected(slots[1]))
    assert await queue.hasten(conn, slots[1].id) is False  # it did not fail
    assert await queue.hasten(conn, slots[0].id) is True
    assert await queue.hasten(conn, slots[0].id) is False  # it lives already
    [again] = await claim(conn, owner)
    assert (again.slot_at, again.attempt) == (slots[0].slot_at, 1)


async def test_a_slot_is_read_neither_early_nor_late(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
    over, *_ = [job for job in await claim(conn, owner, 1) if job.kind == JobKind.COLLECT]
    await settle(conn, owner, missed(over))
    early = await conn.fetchval(
        "UPDATE scheduled_jobs SET slot_at = now() + interval '1 hour', "
        "scheduled_at = now() + interval '1 hour' WHERE sequence_index = 4 RETURNING id"
    )
    assert await queue.hasten(conn, over.id) is False
    assert await queue.hasten(conn, early) is False


async def test_a_row_that_somebody_has_locked_holds_up_nothing_else(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
    jobs = [job for job in await claim(conn, owner) if job.kind == JobKind.COLLECT]
    other = await connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM scheduled_jobs WHERE id = $1 FOR UPDATE", jobs[0].id)
        turn = await queue.take_turn(conn, owner, [collected(job) for job in jobs], 10, wary=True)
        assert (turn.held_up, turn.lost) == (frozenset({jobs[0].id}), frozenset())
        assert await conn.fetchval("SELECT count(*) FROM metric_samples") == len(jobs) - 1
    assert await settle(conn, owner, collected(jobs[0])) == {jobs[0].id}
    await other.close()


async def test_a_slot_waits_for_its_judge_if_somebody_has_locked_that(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    await conn.execute(
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' WHERE kind = 'judge'"
    )
    owner = await register(conn)
    jobs = await claim(conn, owner)
    awaiting = "SELECT awaiting FROM scheduled_jobs WHERE kind = 'judge'"
    other = await connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM scheduled_jobs WHERE kind = 'judge' FOR UPDATE")
        turn = await queue.take_turn(conn, owner, [collected(job) for job in jobs], 10)
        assert turn.held_up == {job.id for job in jobs}
        assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0
    assert await conn.fetchval(awaiting) == len(jobs)
    await settle(conn, owner, *[collected(job) for job in jobs])
    assert await conn.fetchval(awaiting) == 0
    await other.close()


async def test_a_dead_worker_is_not_forgotten_before_all_its_jobs_are_back(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    dead = await connect(database_url)
    key = await register(dead)
    jobs = await claim(dead, key)
    await dead.close()
    other = await connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM scheduled_jobs WHERE id = $1 FOR UPDATE", jobs[0].id)
        assert await upkeep.reap(conn, [key]) == len(jobs) - 1
        assert await conn.fetchval("SELECT count(*) FROM workers WHERE key = $1", key) == 1
    assert await upkeep.reap(conn, [key]) == 1
    assert await conn.fetchval("SELECT count(*) FROM workers WHERE key = $1", key) == 0
    await other.close()


async def test_a_job_whose_workers_die_again_and_again_has_to_wait(
    database_url: str, conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)])
    for attempt in (1, 2, 3):
        victim = await connect(database_url)
        key = await register(victim)
        [job] = await claim(victim, key)
        assert job.attempt == attempt
        await victim.close()
        assert await upkeep.reap(conn, [key]) == 1
    assert await claim(conn, await register(conn)) == []
    waits = await conn.fetchval("SELECT scheduled_at > now() FROM scheduled_jobs")
    assert waits is True


async def test_that_wait_leaves_time_before_the_deadline(
    database_url: str, conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    deadline = now + timedelta(seconds=60)
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now, deadline_at=deadline)])
    await conn.execute("UPDATE scheduled_jobs SET attempt = 12")
    victim = await connect(database_url)
    key = await register(victim)
    assert len(await claim(victim, key)) == 1
    await victim.close()
    assert await upkeep.reap(conn, [key]) == 1
    in_time = "SELECT scheduled_at > now() AND scheduled_at < deadline_at FROM scheduled_jobs"
    assert await conn.fetchval(in_time) is True


async def test_claims_of_owners_that_nobody_knows_are_found(
    conn: Connection, deployment: Deployment
) -> None:
    owner = await register(conn)
    claimed = await claim(conn, owner)
    assert await upkeep.reap_strays(conn) == 0
    await conn.execute("DELETE FROM workers")
    assert await upkeep.reap_strays(conn) == len(claimed)


async def test_one_of_all_workers_keeps_house(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    await claim(conn, await register(conn))
    await conn.execute("DELETE FROM workers")
    running = "SELECT count(*) FROM scheduled_jobs WHERE owner IS NOT NULL"
    other = await connect(database_url)
    await other.fetchval("SELECT pg_advisory_lock($1, $2)", locks.LEADER, locks.HOUSE)
    await house.keep(database_url, house.Rules())
    assert await conn.fetchval(running) == 6
    await other.close()
    await house.keep(database_url, house.Rules())
    assert await conn.fetchval(running) == 0


async def test_a_payload_that_could_not_be_read_again_is_refused(
    conn: Connection, project: Project
) -> None:
    deep: dict[str, object] = {}
    for _ in range(230):
        deep = {"a": deep}
    now = await conn.fetchval("SELECT now()")
    with pytest.raises(ValueError, match="recursion"):
        await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now, payload=deep)])


async def test_one_dedupe_key_twice_in_one_call_is_one_job(
    conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    job = NewJob("noop", project.id, "prod", now, dedupe_key="once")
    await queue.enqueue(conn, [job, job])
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 1


async def test_a_silent_worker_is_cut_off(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    silent = await connect(database_url)
    gone = asyncio.Event()
    silent.add_termination_listener(lambda _: gone.set())
    await claim(silent, await register(silent))
    assert await upkeep.tick(conn, 30) == 0
    await upkeep.tick(conn, 0)
    await asyncio.wait_for(gone.wait(), 5)
    recovered = 0
    async with asyncio.timeout(5):
        while not recovered:  # its lock drops a moment after the connection
            recovered = await upkeep.tick(conn, 30)
    assert recovered == 6


async def test_only_one_looks_after_the_others_at_a_time(
    database_url: str, conn: Connection, deployment: Deployment
) -> None:
    dead = await connect(database_url)
    await claim(dead, await register(dead))
    await dead.close()
    other = await connect(database_url)
    async with other.transaction():
        await other.fetchval("SELECT pg_advisory_xact_lock($1, $2)", locks.LEADER, locks.UPKEEP)
        assert await upkeep.tick(conn, 30) == 0
    assert await upkeep.tick(conn, 30) == 6
    await other.close()


async def test_old_history_is_dropped_in_chunks(conn: Connection, deployment: Deployment) -> None:
    owner = await register(conn)
    await settle(conn, owner, *[missed(job) for job in await claim(conn, owner, 3)])
    await conn.execute(
        "INSERT INTO job_runs SELECT (jsonb_populate_record(r, "
        "jsonb_build_object('finished_at', finished_at - interval '60 days'))).* FROM job_runs r"
    )
    [gone] = await retention.drop_expired(conn, datetime.now(UTC), retention.Retention())
    assert gone.table == "job_runs"
    assert await conn.fetchval("SELECT count(*) FROM job_runs") == 3


async def test_the_round_goes_on_behind_the_last_project_served(
    conn: Connection, project: Project
) -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    order = [UUID(int=number) for number in (3, 5, 9)]
    await queue.enqueue(conn, [NewJob("noop", each, "prod", past) for each in order])
    owner = await register(conn)
    first, after = await queue.claim_around(conn, owner, 2, 4)
    assert ([job.project_id for job in first], after) == (order[:2], order[1])


async def test_the_round_of_the_projects_goes_on_where_it_ended(
    conn: Connection, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    order = sorted(UUID(int=number) for number in (3, 5, 9))
    await queue.enqueue(conn, [NewJob("noop", each, "prod", past) for each in order])
    owner = await register(conn)
    monkeypatch.setattr(queue, "WALK", 2)
    first, after = await queue.claim_around(conn, owner, 100, 4)
    assert ({job.project_id for job in first}, after) == (set(order[:2]), order[1])
    second, after = await queue.claim_around(conn, owner, 100, 4, after)
    assert ([job.project_id for job in second], after) == (order[2:], queue.FIRST_PROJECT)
