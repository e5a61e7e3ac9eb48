"""The loop with real jobs, a real target on loopback and real failures."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from analytics import policy
from core.database import Connection, Pool, connect
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, DeploymentResult, Project
from ingest.collector import Collector
from scheduler import baseline, plan, queue, tasks, worker
from scheduler.jobs import Job, NewJob, Outcome, Priority, Status
from scheduler.session import register
from scheduler.waker import Waker
from sql import deployments, projects, targets, verdicts, windows

METRICS = {
    "requests_per_sec": 10,
    "latency_p95": 50,
    "error_rate": 0,
    "cpu_usage": 0.2,
    "memory_usage": 0.3,
}


@pytest.fixture
async def endpoint() -> AsyncIterator[Callable[[], str]]:
    """A target on loopback that answers with five numbers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"metrics": METRICS}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(head.encode() + b"\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield lambda: f"http://127.0.0.1:{port}/metrics"


@pytest.fixture
async def context(pool: Pool, vault: Vault, settings: Settings) -> AsyncIterator[tasks.Context]:
    async with Collector(
        timeout_seconds=settings.collect_timeout_seconds,
        slot_seconds=settings.slot_seconds,
        target_allow=settings.target_allow,
        max_concurrency=10,
    ) as collector:
        yield tasks.Context(pool, vault, collector, policy.find("reference-v2"), settings)


@asynccontextmanager
async def running(url: str, context: tasks.Context) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    handle = partial(tasks.handle, context=context)
    options = worker.Options(reap_seconds=0.2)
    task = asyncio.create_task(worker.run(url, handle, options, stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Poll the database for a fact that nothing announces."""
    async with asyncio.timeout(seconds):
        while not await condition():  # type: ignore[misc]  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.02)


async def finished(
    conn: Connection, project: Project, endpoint: str, slot_seconds: float = 0.6
) -> Deployment:
    await targets.put(conn, project.id, "prod", endpoint)
    await conn.execute(
        "INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec, "
        "latency_p95, error_rate, cpu_usage, memory_usage) "
        "SELECT t, t, $1, 'prod', 10, 50, 0, 0.2, 0.3 "
        "FROM generate_series(now() - interval '5 min', now() - interval '1 min', '1 min') AS t",
        project.id,
    )
    created, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key="k", abandoned_seconds=3600
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
    await queue.enqueue(conn, [plan.pre_job(created, 5), *plan.post_jobs(done)])
    return done


async def test_a_deployment_is_collected_and_judged(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
    endpoint: Callable[[], str],
) -> None:
    deployment = await finished(conn, project, endpoint())
    async with running(database_url, context):
        await until(lambda: verdicts.find(conn, deployment.id))
    judgement = await verdicts.find(conn, deployment.id)
    assert judgement is not None
    assert (judgement.verdict, judgement.coverage_ratio) == ("ok", 1.0)
    rows = await conn.fetch("SELECT sequence_index FROM metric_samples WHERE phase = 'post'")
    assert sorted(row["sequence_index"] for row in rows) == [0, 1, 2, 3, 4]
    late = await conn.fetchval(
        "SELECT extract(epoch FROM v.created_at - max(s.collected_at)) FROM verdicts v, "
        "metric_samples s GROUP BY v.created_at"
    )
    assert late < plan.JUDGE_GRACE_SECONDS / 2  # the join made it due, not the safety deadline


async def test_a_worker_at_rest_takes_over_what_another_was_just_claiming(
    database_url: str, conn: Connection, project: Project
) -> None:
    """It saw nothing it could claim; it must not rest until its next poll for all that."""
    ran = asyncio.Event()

    async def handle(_: Job) -> Outcome:
        ran.set()
        return Outcome(Status.COMPLETED)

    now = await conn.fetchval("SELECT now()")
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)])
    other = await connect(database_url)
    key = await register(other)
    claiming = other.transaction()
    await claiming.start()
    assert len((await queue.take_turn(other, key, [], 1)).claimed) == 1
    options, stop = worker.Options(poll_seconds=1000, reap_seconds=0.05), asyncio.Event()
    task = asyncio.create_task(worker.run(database_url, handle, options, stop))
    await until(lambda: conn.fetchval(RESTING))
    await claiming.commit()
    await other.close()
    await asyncio.wait_for(ran.wait(), 30)
    stop.set()
    await asyncio.wait_for(task, 20)


@asynccontextmanager
async def resting(url: str, conn: Connection, handle: worker.Handle) -> AsyncIterator[None]:
    """Run a worker that has found nothing to do and looks again by itself in a quarter of an hour.

    It has taken a turn and registered, in whatever order, when its connection is seen idle.
    """
    stop = asyncio.Event()
    options = worker.Options(poll_seconds=1000, reap_seconds=1000)
    task = asyncio.create_task(worker.run(url, handle, options, stop))
    await until(lambda: conn.fetchval(RESTING))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


RESTING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name = 'seqpulse worker' AND state = 'idle' "
    "AND query LIKE '%-- Settles what worker%'"
)


async def test_a_resting_worker_hears_of_new_jobs(
    database_url: str, conn: Connection, project: Project
) -> None:
    ran = asyncio.Event()

    async def handle(_: Job) -> Outcome:
        ran.set()
        return Outcome(Status.COMPLETED)

    async with resting(database_url, conn, handle):
        now = await conn.fetchval("SELECT now()")
        await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)])
        await queue.wake(conn)
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_resting_worker_notices_that_its_connection_ended(
    database_url: str, conn: Connection, project: Project
) -> None:
    async def handle(_: Job) -> Outcome:
        raise AssertionError

    keys = "SELECT max(key) FROM workers"
    async with resting(database_url, conn, handle):
        old = await conn.fetchval(keys)
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'seqpulse worker'"
        )
        await until(lambda: conn.fetchval(f"SELECT ({keys}) > {old}"))


async def test_the_waker_wakes_a_resting_worker(
    database_url: str, conn: Connection, pool: Pool, project: Project
) -> None:
    ran = asyncio.Event()

    async def handle(_: Job) -> Outcome:
        ran.set()
        return Outcome(Status.COMPLETED)

    waker = Waker()
    async with resting(database_url, conn, handle), waker.running(pool):
        now = await conn.fetchval("SELECT now()")
        await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)])
        waker.wake()
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_post_slot_goes_first_also_when_every_handler_is_slow(
    database_url: str, conn: Connection, project: Project
) -> None:
    """Whatever came round the projects: a place of the ordinary claim goes by priority."""
    now = await conn.fetchval("SELECT now()")
    others = [NewJob("slow", UUID(int=number), "prod", now) for number in range(1, 20)]
    await queue.enqueue(conn, others)
    started: asyncio.Queue[str] = asyncio.Queue()
    ends: deque[asyncio.Event] = deque()

    async def handle(job: Job) -> Outcome:
        end = asyncio.Event()
        ends.append(end)
        started.put_nowait(job.kind)
        await end.wait()
        return Outcome(Status.COMPLETED)

    stop, options = asyncio.Event(), worker.Options(concurrency=2, grace_seconds=0)
    task = asyncio.create_task(worker.run(database_url, handle, options, stop))
    async with asyncio.timeout(20):
        for _ in range(4):
            assert await started.get() == "slow"
        await queue.enqueue(
            conn, [NewJob("post", UUID(int=100), "prod", now, priority=Priority.POST)]
        )
        kinds = []
        while "post" not in kinds:
            ends.popleft().set()
            kinds.append(await started.get())
    assert len(kinds) <= 4  # the first free place of the ordinary claim, at the latest the fourth
    stop.set()
    await asyncio.wait_for(task, 20)


async def test_a_row_that_somebody_has_locked_does_not_stop_the_worker(
    database_url: str, conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)] * 3)
    gate, stop = asyncio.Event(), asyncio.Event()

    async def handle(_: Job) -> Outcome:
        await gate.wait()
        return Outcome(Status.COMPLETED)

    task = asyncio.create_task(worker.run(database_url, handle, worker.Options(), stop))
    running = "SELECT count(*) = 3 FROM scheduled_jobs WHERE owner IS NOT NULL"
    await until(lambda: conn.fetchval(running))
    runs = "SELECT count(*) FROM job_runs"
    other = await connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM scheduled_jobs ORDER BY id LIMIT 1 FOR UPDATE")
        gate.set()
        await until(lambda: conn.fetchval(f"SELECT ({runs}) = 2"))
        await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now)])
        await queue.wake(conn)
        await until(lambda: conn.fetchval(f"SELECT ({runs}) = 3"))
    await until(lambda: conn.fetchval(f"SELECT ({runs}) = 4"))
    stop.set()
    await asyncio.wait_for(task, 20)
    await other.close()


async def test_a_handler_that_is_cancelled_by_itself_is_tried_again(
    database_url: str, conn: Connection, project: Project
) -> None:
    now = await conn.fetchval("SELECT now()")
    await queue.enqueue(conn, [NewJob("odd", project.id, "prod", now)])
    stop = asyncio.Event()

    async def handle(_: Job) -> Outcome:
        raise asyncio.CancelledError

    task = asyncio.create_task(worker.run(database_url, handle, worker.Options(), stop))
    await until(
        lambda: conn.fetchval("SELECT last_error FROM scheduled_jobs WHERE status = 'pending'")
    )
    stop.set()
    await asyncio.wait_for(task, 20)
    assert await conn.fetchval("SELECT last_error FROM scheduled_jobs") == "the handler raised"


async def test_a_dead_target_gives_missed_slots_and_a_verdict_that_says_so(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
) -> None:
    deployment = await finished(conn, project, "http://127.0.0.1:9/metrics", slot_seconds=1)
    async with running(database_url, context):
        await until(lambda: verdicts.find(conn, deployment.id))
    judgement = await verdicts.find(conn, deployment.id)
    assert judgement is not None
    assert (judgement.verdict, judgement.conclusive) == ("warning", False)
    codes = await conn.fetch("SELECT code FROM missed_slots WHERE phase = 'post'")
    assert [row["code"] for row in codes] == ["refused"] * 5


async def test_a_target_outside_the_allowed_networks_is_not_read(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
) -> None:
    deployment = await finished(conn, project, "http://169.254.169.254/metrics")
    async with running(database_url, context):
        await until(lambda: verdicts.find(conn, deployment.id))
    codes = await conn.fetch("SELECT DISTINCT code FROM missed_slots")
    assert [row["code"] for row in codes] == ["forbidden_target"]


async def test_the_baseline_goes_on_by_itself(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
    endpoint: Callable[[], str],
) -> None:
    await baseline.watch(
        conn,
        project.id,
        "prod",
        endpoint(),
        first_at=project.created_at,
        interval_seconds=0.3,
    )

    async def collected() -> bool:
        return bool(await conn.fetchval("SELECT count(*) FROM metric_samples") >= 3)

    async with running(database_url, context):
        await until(collected)
    phases = await conn.fetch("SELECT DISTINCT phase, deployment_id FROM metric_samples")
    assert [tuple(row) for row in phases] == [(None, None)]
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 1


async def test_a_lost_connection_is_replaced_under_a_new_key(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
    endpoint: Callable[[], str],
) -> None:
    backends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'seqpulse worker'"

    async def connected() -> object:
        return await conn.fetchval(backends)

    async with running(database_url, context):
        await until(connected)
        killed = await conn.fetchval(backends)
        await conn.execute("SELECT pg_terminate_backend($1)", killed)
        deployment = await finished(conn, project, endpoint())
        await until(lambda: verdicts.find(conn, deployment.id))
        assert await conn.fetchval(backends) != killed
    assert await conn.fetchval("SELECT count(*) FROM verdicts") == 1


async def test_a_worker_that_stops_leaves_nothing_running(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
    endpoint: Callable[[], str],
) -> None:
    await finished(conn, project, endpoint())
    claimed = "SELECT count(*) FROM scheduled_jobs WHERE attempt > 0"

    async def busy() -> object:
        return await conn.fetchval(claimed)

    async with running(database_url, context):
        await until(busy)
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs WHERE status = 'running'") == 0
    locks = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND objsubid = 2 AND d.datname = current_database()"
    )

    async def unlocked() -> bool:
        return bool(await conn.fetchval(locks) == 0)  # the backend goes a moment after us

    await until(unlocked)
    assert await conn.fetchval("SELECT count(*) FROM workers") == 0


async def test_the_secret_of_another_key_does_not_stop_the_worker(
    database_url: str,
    conn: Connection,
    context: tasks.Context,
    endpoint: Callable[[], str],
) -> None:
    other, _ = await projects.create(conn, Vault("x" * 40), name="other", hmac_secret="hmac_s")
    deployment = await finished(conn, other, endpoint(), slot_seconds=1.5)
    async with running(database_url, context):
        await until(lambda: verdicts.find(conn, deployment.id))
    rows = await conn.fetch("SELECT DISTINCT code, detail FROM missed_slots WHERE phase = 'post'")
    assert {row["code"] for row in rows} == {"internal"}
    assert {"SEQPULSE_SECRET_KEY" in row["detail"] for row in rows} == {True}


async def test_what_was_read_after_the_change_began_is_no_baseline(
    conn: Connection, project: Project, deployment: Deployment, settings: Settings
) -> None:
    """A slot from before that was collected late shows the new release, not the old one."""
    before = deployment.triggered_at - timedelta(seconds=60)
    for seconds, late in ((60, False), (30, True)):
        await conn.execute(
            "INSERT INTO metric_samples (slot_at, collected_at, project_id, env, latency_p95) "
            "VALUES ($1, $2, $3, 'prod', 1)",
            deployment.triggered_at - timedelta(seconds=seconds),
            deployment.triggered_at + timedelta(seconds=1 if late else -50),
            project.id,
        )
    pre = (
        "INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase) "
        "VALUES ($1, $2, $3, 'prod', $4, 'pre')"
    )
    assert deployment.finished_at is not None
    late_at = deployment.finished_at + timedelta(seconds=1)
    await conn.execute(pre, deployment.triggered_at, late_at, project.id, deployment.id)
    material = await windows.load(conn, [deployment.id], settings.baseline_window_seconds)
    assert material.samples["slot_at"].to_list() == [before]


async def test_a_sample_the_database_refuses_stops_nobody_else(
    database_url: str,
    conn: Connection,
    project: Project,
    context: tasks.Context,
    endpoint: Callable[[], str],
) -> None:
    await conn.execute("ALTER TABLE metric_samples ADD CHECK (sequence_index IS DISTINCT FROM 1)")
    deployment = await finished(conn, project, endpoint())
    async with running(database_url, context):
        await until(lambda: verdicts.find(conn, deployment.id))
    stored = await conn.fetch("SELECT sequence_index FROM metric_samples WHERE phase = 'post'")
    assert sorted(row["sequence_index"] for row in stored) == [0, 2, 3, 4]
    [missed] = await conn.fetch("SELECT sequence_index, code FROM missed_slots")
    assert tuple(missed) == (1, "internal")


async def test_the_judge_waits_for_slots_that_are_not_settled(
    conn: Connection, context: tasks.Context, deployment: Deployment
) -> None:
    turn = await queue.take_turn(conn, await register(conn), [], 100)
    judge = next(job for job in turn.claimed if job.kind == "judge")
    outcome = await tasks.handle(judge, context)
    assert outcome.status == "retry"
    assert await verdicts.find(conn, deployment.id) is None


async def test_an_unreachable_database_is_waited_for(
    context: tasks.Context, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    handle = partial(tasks.handle, context=context)
    url = "postgresql://127.0.0.1:9/none"
    task = asyncio.create_task(worker.run(url, handle, worker.Options(), stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(task, 10)
