"""A target that keeps failing: its baseline rests, a deployment's slots never do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from analytics import policy
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import CollectCode, Phase, Project
from ingest.collector import Collector
from scheduler import tasks
from scheduler.jobs import Job, JobKind, Outcome, Status
from sql import targets

GOOD = (
    b'{"metrics": {"requests_per_sec": 1, "latency_p95": 1, "error_rate": 0, '
    b'"cpu_usage": 0, "memory_usage": 0}}'
)
LAST_ATTEMPT = 4


@dataclass
class Switch:
    """A target that fails as long as it is told to."""

    url: str = ""
    fails: bool = True
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        status = b"500 Oh" if self.fails else b"200 OK"
        head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(GOOD)
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + head + GOOD)
        writer.close()


@pytest.fixture
async def target() -> AsyncIterator[Switch]:
    switch = Switch()
    async with await asyncio.start_server(switch.serve, "127.0.0.1", 0) as server:
        switch.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield switch


@pytest.fixture
async def context(pool: Pool, vault: Vault, settings: Settings) -> AsyncIterator[tasks.Context]:
    async with Collector(
        timeout_seconds=2, slot_seconds=0.1, target_allow=("127.0.0.0/8",)
    ) as collector:
        minutes = settings.model_copy(update={"baseline_interval_seconds": 60.0})
        yield tasks.Context(pool, vault, collector, policy.find("reference-v2"), minutes)


@pytest.fixture
async def job(conn: Connection, project: Project, target: Switch) -> Job:
    """A slot of the continuous baseline at its last attempt."""
    await targets.put(conn, project.id, "prod", target.url)
    now = datetime.now(UTC)
    return Job(
        id=1,
        kind=JobKind.COLLECT,
        project_id=project.id,
        env="prod",
        deployment_id=None,
        phase=None,
        sequence_index=None,
        payload=None,
        slot_at=now - timedelta(minutes=1),
        scheduled_at=now,
        attempt=LAST_ATTEMPT,
        seconds_left=30.0,
    )


async def health(conn: Connection) -> tuple[int, str | None, str]:
    row = await conn.fetchrow("SELECT failures, last_code, health FROM report.targets")
    assert row is not None
    return row["failures"], row["last_code"], row["health"]


def code_of(outcome: Outcome) -> str | None:
    return outcome.missed.code if outcome.missed else None


async def test_the_baseline_of_a_failing_target_rests_and_comes_back(
    conn: Connection, context: tasks.Context, target: Switch, job: Job
) -> None:
    for failures in range(1, 5):
        assert code_of(await tasks.collect(job, context)) == "status"
        assert await health(conn) == (failures, "status", "failing")
    await tasks.collect(job, context)
    assert await health(conn) == (5, "status", "resting")
    assert target.asked == 5
    left_out = await tasks.collect(job, context)
    assert (left_out.status, code_of(left_out)) == (Status.FAILED, "backed_off")
    assert target.asked == 5, "it is not asked while it rests"
    assert await health(conn) == (5, "status", "resting"), "a slot left out is no failure of it"
    rest = await conn.fetchval("SELECT extract(epoch FROM rests_until - now()) FROM targets")
    assert 80 < rest <= 90, "one slot of a minute, and a half"
    await conn.execute("UPDATE targets SET rests_until = now()")
    await tasks.collect(job, context)
    assert (target.asked, await health(conn)) == (6, (6, "status", "resting"))
    await conn.execute("UPDATE targets SET rests_until = now()")
    target.fails = False
    assert (await tasks.collect(job, context)).sample is not None
    assert await health(conn) == (0, None, "fine")


async def test_slots_of_a_deployment_never_rest_and_wake_the_baseline(
    conn: Connection, context: tasks.Context, target: Switch, job: Job
) -> None:
    for _ in range(8):
        await conn.execute("UPDATE targets SET rests_until = now()")
        await tasks.collect(job, context)
    assert (await health(conn))[2] == "resting"
    for phase in (Phase.PRE, Phase.POST):
        assert code_of(await tasks.collect(job._replace(phase=phase), context)) == "status"
    assert target.asked == 10
    target.fails = False
    assert (await tasks.collect(job._replace(phase=Phase.POST), context)).sample is not None
    assert await health(conn) == (0, None, "fine")
    assert (await tasks.collect(job, context)).sample is not None


async def test_a_retry_counts_nothing_yet(
    conn: Connection, context: tasks.Context, job: Job
) -> None:
    outcome = await tasks.collect(job._replace(attempt=1), context)
    assert outcome.status is Status.RETRY
    assert await health(conn) == (0, None, "fine")


async def test_what_we_missed_ourselves_says_nothing_of_the_target(
    conn: Connection, context: tasks.Context, target: Switch, job: Job
) -> None:
    late = await tasks.collect(job._replace(seconds_left=-1.0), context)
    assert code_of(late) == CollectCode.DEADLINE
    assert (target.asked, await health(conn)) == (0, (0, None, "fine"))


@pytest.mark.parametrize(
    ("late", "skipped"), [(0.0, 0), (1.0, 1), (60.0, 1), (60.1, 2), (150.0, 3), (1e9, 1440)]
)
async def test_slots_that_passed_while_no_worker_ran_are_missed_too(
    conn: Connection, context: tasks.Context, job: Job, late: float, skipped: int
) -> None:
    late_job = job._replace(seconds_left=-late)
    await tasks.collect(late_job, context)
    outcome = await tasks.collect(late_job, context)
    assert code_of(outcome) == CollectCode.DEADLINE
    rows = await conn.fetch("SELECT slot_at, code FROM missed_slots ORDER BY slot_at")
    minute = timedelta(minutes=1)
    assert [row["slot_at"] for row in rows] == [
        job.slot_at + number * minute for number in range(1, skipped + 1)
    ]
    assert all(row["code"] == "deadline" for row in rows)


async def test_a_late_post_slot_skips_nothing(
    conn: Connection, context: tasks.Context, job: Job
) -> None:
    await tasks.collect(job._replace(seconds_left=-500.0, phase=Phase.POST), context)
    assert await conn.fetchval("SELECT count(*) FROM missed_slots") == 0


async def test_another_endpoint_begins_with_a_clean_slate(
    conn: Connection, context: tasks.Context, target: Switch, job: Job
) -> None:
    for _ in range(5):
        await tasks.collect(job, context)
    await targets.put(conn, job.project_id, "prod", target.url)
    assert (await health(conn))[2] == "resting", "the same endpoint is no news"
    await targets.put(conn, job.project_id, "prod", target.url + "other")
    assert await health(conn) == (0, None, "fine")


async def test_a_credential_is_never_sent_where_ci_points(
    conn: Connection, vault: Vault, project: Project
) -> None:
    header = ("Authorization", "Bearer hunter2")
    await targets.put(conn, project.id, "prod", "http://one/")
    await targets.put(conn, project.id, "prod", "http://two/")
    assert (await targets.load(conn, vault, project.id, "prod")).endpoint == "http://two/"
    await targets.configure(conn, vault, project.id, "prod", "http://safe/", header=header)
    await targets.put(conn, project.id, "prod", "http://evil/")
    target = await targets.load(conn, vault, project.id, "prod")
    assert (target.endpoint, target.header) == ("http://safe/", header)
