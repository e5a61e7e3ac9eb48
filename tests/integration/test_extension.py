"""A window in which too little happened to tell anything is extended, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import asyncpg
import pytest

from analytics import policy
from core.database import Connection, Pool
from core.judgement import Judgement
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, DeploymentResult, Project
from ingest.collector import Collector
from scheduler import judging, plan, queue, tasks, worker
from scheduler.jobs import Outcome, Status
from sql import deployments, targets, verdicts, windows

BASELINE_SECONDS = 1800.0
POLICIES = judging.Policies(policy.SEQPULSE_V1, (policy.find("slo"),))
QUIET, BUSY = 0.05, 2.0

BASELINE = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec, latency_p95,
                            error_rate, cpu_usage, memory_usage)
SELECT at, at, project_id, env, $2, 50, 0, 0.2, 0.3
  FROM deployments
 CROSS JOIN LATERAL generate_series(triggered_at - interval '30 min',
                                    triggered_at - interval '1 min', '1 min') AS at
 WHERE id = $1
"""
POST = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate,
                            cpu_usage, memory_usage)
SELECT finished_at + i * interval '1 min', finished_at + i * interval '1 min', project_id, env, id,
       'post', i, $2, 50, 0, 0.2, 0.3
  FROM deployments
 CROSS JOIN LATERAL generate_series($3, $4 - 1) AS i
 WHERE id = $1
"""
JOBS = """
SELECT kind, sequence_index, scheduled_at, deadline_at, awaiting
  FROM scheduled_jobs
 WHERE deployment_id = $1
 ORDER BY sequence_index
"""


@pytest.fixture
async def quiet(conn: Connection, deployment: Deployment) -> Deployment:
    """A deployment of a service with three requests a minute; its five slots are settled."""
    await conn.execute(BASELINE, deployment.id, QUIET)
    await conn.execute("DELETE FROM scheduled_jobs WHERE kind = 'judge'")
    await settle(conn, deployment, QUIET, 0, 5)
    return deployment


async def settle(
    conn: Connection, deployment: Deployment, traffic: float, first: int, end: int
) -> None:
    await conn.execute("DELETE FROM scheduled_jobs WHERE phase = 'post'")
    await conn.execute(POST, deployment.id, traffic, first, end)


async def judge(pool: Pool, deployment: Deployment) -> Outcome:
    outcomes = await judging.judge(pool, POLICIES, BASELINE_SECONDS, [deployment.id])
    return outcomes[deployment.id]


async def said(conn: Connection, deployment: Deployment) -> Judgement | None:
    return await verdicts.find(conn, deployment.id)


async def assert_extended_once(conn: Connection, deployment: Deployment) -> None:
    """Ten slots, the second five of them planned, and one judge that waits for them."""
    now, _ = await deployments.load(conn, deployment.id)
    assert (now.post_slots, now.state, now.analyzed_at) == (10, "finished", None)
    assert now.extended_at is not None
    *slots, last = await conn.fetch(JOBS, deployment.id)
    assert [slot["sequence_index"] for slot in slots] == [5, 6, 7, 8, 9]
    assert (last["kind"], last["awaiting"]) == ("judge", 5)


@pytest.mark.parametrize(
    ("traffic", "conclusive", "reason"),
    [(QUIET, False, "low_power"), (BUSY, True, "no_regression")],
)
async def test_the_second_verdict_is_saved_whatever_it_is(
    conn: Connection, pool: Pool, quiet: Deployment, traffic: float, conclusive: bool, reason: str
) -> None:
    assert (await judge(pool, quiet)).status is Status.COMPLETED
    assert await said(conn, quiet) is None
    assert await verdicts.find_shadows(conn, quiet.id) == []
    await assert_extended_once(conn, quiet)
    await settle(conn, quiet, traffic, 5, 10)
    assert (await judge(pool, quiet)).status is Status.COMPLETED
    judgement = await said(conn, quiet)
    assert judgement is not None
    assert (judgement.verdict, judgement.coverage_ratio) == ("ok", 1.0)
    assert (judgement.conclusive, judgement.reason_code) == (conclusive, reason)
    assert [shadow.policy for shadow in await verdicts.find_shadows(conn, quiet.id)] == ["slo"]
    row = await conn.fetchrow("SELECT * FROM report.deployment_overview")
    assert row is not None
    assert (row["state"], row["post_slots"]) == ("analyzed", 10)
    assert row["finished_at"] < row["extended_at"] <= row["as_of"]


@pytest.mark.parametrize(
    ("then", "verdict", "reason"),
    [(0, "rollback_recommended", "severe_regression"), (BUSY, "ok", "no_regression")],
)
async def test_an_outage_that_began_at_the_very_end_is_looked_at_again(
    conn: Connection, pool: Pool, deployment: Deployment, then: float, verdict: str, reason: str
) -> None:
    await conn.execute(BASELINE, deployment.id, BUSY)
    await conn.execute("DELETE FROM scheduled_jobs WHERE kind = 'judge'")
    await settle(conn, deployment, BUSY, 0, 3)
    await settle(conn, deployment, 0, 3, 5)
    await judge(pool, deployment)
    assert await said(conn, deployment) is None
    await assert_extended_once(conn, deployment)
    await settle(conn, deployment, then, 5, 10)
    await judge(pool, deployment)
    judgement = await said(conn, deployment)
    assert judgement is not None
    assert (judgement.verdict, judgement.reason_code) == (verdict, reason)


async def test_the_slots_go_on_at_the_same_distance(
    conn: Connection, pool: Pool, quiet: Deployment
) -> None:
    assert quiet.finished_at is not None
    await judge(pool, quiet)
    *slots, last = await conn.fetch(JOBS, quiet.id)
    for slot in slots:
        due = quiet.finished_at + timedelta(minutes=slot["sequence_index"])
        assert (slot["scheduled_at"], slot["deadline_at"]) == (due, due + timedelta(minutes=1))
    assert last["scheduled_at"] > slots[-1]["deadline_at"]


async def test_pushed_slots_have_their_time_to_arrive(
    conn: Connection, pool: Pool, quiet: Deployment
) -> None:
    await conn.execute("DELETE FROM targets")
    await judge(pool, quiet)
    *slots, last = await conn.fetch(JOBS, quiet.id)
    assert {slot["deadline_at"] - slot["scheduled_at"] for slot in slots} == {timedelta(minutes=2)}
    assert last["scheduled_at"] > slots[-1]["deadline_at"]


async def test_a_quiet_one_does_not_hold_up_the_others(
    conn: Connection, pool: Pool, quiet: Deployment, project: Project
) -> None:
    """Its verdict is left out of the lot; theirs are stored, each with its own project."""
    other, _ = await deployments.create(
        conn, project.id, env="two", branch="b", idempotency_key=None, abandoned_seconds=3600
    )
    await conn.execute(
        "UPDATE deployments SET state = 'finished', finished_at = now() - interval '9 min', "
        "triggered_at = now() - interval '10 min', post_slots = 5, slot_seconds = 60 WHERE id = $1",
        other.id,
    )
    await conn.execute(BASELINE, other.id, BUSY)
    await conn.execute(POST, other.id, BUSY, 0, 5)
    ids = [quiet.id, other.id]
    outcomes = await judging.judge(pool, POLICIES, BASELINE_SECONDS, ids)
    assert {outcome.status for outcome in outcomes.values()} == {Status.COMPLETED}
    judgement = await said(conn, other)
    assert judgement is not None
    assert (judgement.verdict, judgement.conclusive) == ("ok", True)
    assert [row[0] for row in await conn.fetch("SELECT deployment_id FROM shadow_verdicts")] == [
        other.id
    ]
    await assert_extended_once(conn, quiet)


async def test_many_judges_at_once_extend_once(
    conn: Connection, pool: Pool, quiet: Deployment
) -> None:
    outcomes = await asyncio.gather(*(judge(pool, quiet) for _ in range(3)))
    assert {outcome.status for outcome in outcomes} <= {Status.COMPLETED, Status.RETRY}
    await assert_extended_once(conn, quiet)


@pytest.mark.parametrize("crashes", [False, True])
async def test_a_judge_waits_for_another_that_is_extending(
    conn: Connection, pool: Pool, quiet: Deployment, crashes: bool
) -> None:
    """It comes after the other has extended the window and before that is committed, or lost."""
    first = conn.transaction()
    await first.start()
    extended = await deployments.extend(conn, quiet.id)
    assert extended is not None
    await queue.enqueue(conn, plan.post_jobs(extended, first=5))
    second = asyncio.create_task(judge(pool, quiet))
    async with asyncio.timeout(20):
        while not await pool.fetchval(WAITING):  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.02)
    await (first.rollback() if crashes else first.commit())
    assert (await second).status is Status.COMPLETED
    assert await said(conn, quiet) is None
    await assert_extended_once(conn, quiet)


WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'"
)


async def test_without_its_jobs_there_is_no_extension(
    conn: Connection, pool: Pool, quiet: Deployment
) -> None:
    await conn.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'disk full'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON scheduled_jobs EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(asyncpg.RaiseError, match="disk full"):
        await judge(pool, quiet)
    now, _ = await deployments.load(conn, quiet.id)
    assert (now.post_slots, now.extended_at) == (5, None)
    await conn.execute("DROP FUNCTION refuse CASCADE")
    await judge(pool, quiet)
    await assert_extended_once(conn, quiet)


async def test_a_judge_that_died_after_the_extension_waits_for_the_new_slots(
    conn: Connection, pool: Pool, quiet: Deployment
) -> None:
    """Its job is run again: it does not judge half a window, and does not extend again."""
    await judge(pool, quiet)
    assert (await judge(pool, quiet)).status is Status.RETRY
    assert await said(conn, quiet) is None
    await assert_extended_once(conn, quiet)
    await settle(conn, quiet, BUSY, 5, 10)
    assert (await judge(pool, quiet)).status is Status.COMPLETED
    first = await said(conn, quiet)
    assert first is not None
    assert (await judge(pool, quiet)).status is Status.COMPLETED
    assert await said(conn, quiet) == first


async def test_a_neighbour_ends_where_its_window_ended_at_that_time(
    conn: Connection, quiet: Deployment
) -> None:
    """Whether it was extended later changes nothing of what was known."""
    assert quiet.finished_at is not None
    known_at = quiet.finished_at + timedelta(minutes=4)
    await conn.execute(
        "INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, "
        "post_slots, slot_seconds) SELECT gen_random_uuid(), project_id, env, 'old', 'finished', "
        "finished_at - interval '7 min', finished_at - interval '6 min', 10, 60 "
        "FROM deployments WHERE id = $1",
        quiet.id,
    )
    for extended_at, slots in (
        (None, 10),
        (known_at, 10),
        (known_at + timedelta(0, 1), 5),
    ):
        await conn.execute(
            "UPDATE deployments SET extended_at = $1 WHERE branch = 'old'", extended_at
        )
        material = await windows.load(conn, [quiet.id], BASELINE_SECONDS)
        end = quiet.finished_at + timedelta(minutes=slots - 1 - 6)
        assert material.neighbours["ended_at"].to_list() == [end]


# With a worker and a real target


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    """A target on loopback of a service without much to do."""
    metrics = {
        "requests_per_sec": QUIET,
        "latency_p95": 50,
        "error_rate": 0,
        "cpu_usage": 0.2,
        "memory_usage": 0.3,
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"metrics": metrics}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(head.encode() + b"\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"


async def test_a_worker_extends_collects_and_judges(
    database_url: str,
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    project: Project,
    endpoint: str,
) -> None:
    await targets.put(conn, project.id, "prod", endpoint)
    created, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key="k", abandoned_seconds=3600
    )
    await conn.execute(BASELINE, created.id, QUIET)
    done = await deployments.mark_finished(
        conn,
        created.id,
        project.id,
        result=DeploymentResult.SUCCESS,
        post_slots=5,
        slot_seconds=0.6,
    )
    assert done is not None
    await queue.enqueue(conn, plan.post_jobs(done))
    stop = asyncio.Event()
    async with Collector(
        timeout_seconds=settings.collect_timeout_seconds,
        slot_seconds=settings.slot_seconds,
        target_allow=settings.target_allow,
        max_concurrency=10,
    ) as collector:
        context = tasks.Context(pool, vault, collector, policy.SEQPULSE_V1, settings)
        handle = partial(tasks.handle, context=context)
        task = asyncio.create_task(worker.run(database_url, handle, worker.Options(), stop))
        async with asyncio.timeout(30):
            while await said(conn, done) is None:  # noqa: ASYNC110 - nothing to await
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.wait_for(task, 20)
    judgement = await said(conn, done)
    assert judgement is not None
    assert (judgement.reason_code, judgement.coverage_ratio) == ("low_power", 1.0)
    rows = await conn.fetch("SELECT sequence_index FROM metric_samples WHERE phase = 'post'")
    assert sorted(row["sequence_index"] for row in rows) == list(range(10))
    runs = await conn.fetch("SELECT attempt, status FROM job_runs WHERE kind = 'judge'")
    assert [tuple(run) for run in runs] == [(1, "completed")] * 2
    late = await conn.fetchval(
        "SELECT extract(epoch FROM v.created_at - max(s.collected_at)) FROM verdicts v, "
        "metric_samples s GROUP BY v.created_at"
    )
    assert late < plan.JUDGE_GRACE_SECONDS / 2  # the join made it due, not the safety deadline
