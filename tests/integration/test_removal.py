"""A deleted project: gone at once, its samples removed by whichever worker survives."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import polars as pl
import pytest

from core import processes
from core.database import Connection, Pool, connect
from core.errors import NotFoundError
from core.secrets import Vault
from core.types import METRICS, Deployment, Project
from scheduler import baseline, plan, queue, removal
from sql import bulk, deployments, projects

WEEKS = 6


def history(now: datetime, weeks: int = WEEKS) -> pl.DataFrame:
    """A sample a day."""
    moments = [now - timedelta(days=day) for day in range(7 * weeks)]
    numbers = {name: [0.5] * len(moments) for name in METRICS}
    columns = {"slot_at": moments, "env": ["prod"] * len(moments), **numbers}
    return pl.DataFrame({**columns, "extra": [None] * len(moments)}, schema=bulk.ROWS)


async def count(conn: Connection, project_id: UUID) -> int:
    found: int = await conn.fetchval(
        "SELECT (SELECT count(*) FROM metric_samples WHERE project_id = $1)"
        " + (SELECT count(*) FROM missed_slots WHERE project_id = $1)",
        project_id,
    )
    return found


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


@pytest.fixture
async def other(conn: Connection, vault: Vault) -> Project:
    created, _ = await projects.create(conn, vault, name="other")
    return created


@pytest.fixture
async def doomed(conn: Connection, deployment: Deployment, other: Project) -> UUID:
    """A project with jobs, a deployment in its post window, samples and missed slots."""
    now = await bulk.read_clock(conn)
    for project_id in (deployment.project_id, other.id):
        await bulk.write(conn, project_id, history(now))
        await baseline.watch(
            conn, project_id, "prod", "http://127.0.0.1:9/m", first_at=now, interval_seconds=3600
        )
        await conn.execute(
            "INSERT INTO missed_slots (slot_at, project_id, env, code, detail) "
            "SELECT slot_at, project_id, env, 'timeout', '' FROM metric_samples "
            "WHERE project_id = $1",
            project_id,
        )
    return deployment.project_id


async def test_a_deleted_project_is_gone_at_once_and_leaves_one_job(
    conn: Connection, doomed: UUID, other: Project
) -> None:
    await removal.delete(conn, doomed)
    with pytest.raises(NotFoundError):
        await projects.find(conn, doomed)
    with pytest.raises(NotFoundError):
        await removal.delete(conn, doomed)
    for table in ("api_keys", "targets", "deployments"):
        assert not await conn.fetchval(
            f"SELECT count(*) FROM {table} WHERE project_id = $1", doomed
        )
    kinds = await conn.fetch("SELECT kind, project_id FROM scheduled_jobs ORDER BY kind")
    assert [tuple(row) for row in kinds] == [("collect", other.id), ("remove_samples", doomed)]
    codes = await conn.fetch("SELECT DISTINCT code FROM missed_slots")
    assert [row["code"] for row in codes] == ["timeout"], "a slot was recorded for nobody"


async def trigger(conn: Connection, project_id: UUID) -> None:
    created, _ = await deployments.create(
        conn, project_id, env="eu", branch="b", idempotency_key=None, abandoned_seconds=60
    )
    await queue.enqueue(conn, [plan.pre_job(created, 60)])


async def push(conn: Connection, project_id: UUID, count: int = 7) -> None:
    now = await bulk.read_clock(conn)
    moments = [now - timedelta(seconds=number) for number in range(count)]
    columns = {"slot_at": moments, "env": ["eu"] * count, **dict.fromkeys(METRICS, [0.5] * count)}
    rows = pl.DataFrame({**columns, "extra": [None] * count}, schema=bulk.ROWS)
    assert await bulk.write(conn, project_id, rows) == count


@pytest.mark.parametrize("add", [trigger, push, partial(push, count=bulk.COPY_FROM)])
async def test_who_adds_to_a_project_comes_before_its_deletion_or_not_at_all(
    conn: Connection,
    database_url: str,
    doomed: UUID,
    add: Callable[[Connection, UUID], Awaitable[None]],
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await connect(database_url)
        stack.push_async_callback(first.close)
        transaction = first.transaction()
        await transaction.start()
        await add(first, doomed)
        deleting = asyncio.create_task(removal.delete(conn, doomed))
        await until(lambda: first.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await transaction.commit()
        await deleting
        with pytest.raises((NotFoundError, asyncpg.ForeignKeyViolationError)):
            await add(first, doomed)
    left = await conn.fetch("SELECT kind FROM scheduled_jobs WHERE project_id = $1", doomed)
    assert [row["kind"] for row in left] == ["remove_samples"]


async def test_samples_are_removed_though_a_worker_is_killed_in_the_middle(
    conn: Connection,
    database_url: str,
    vault: Vault,
    doomed: UUID,
    other: Project,
    tmp_path: Path,
) -> None:
    whole = await count(conn, doomed)
    blocker = await connect(database_url)
    transaction = blocker.transaction()
    await transaction.start()
    # A row of the third week is locked: there the removal has to wait.
    await blocker.execute(
        "SELECT FROM metric_samples WHERE project_id = $1 AND slot_at = (SELECT min(slot_at) "
        "FROM metric_samples WHERE project_id = $1 AND slot_at > now() - interval '4 weeks') "
        "FOR UPDATE",
        doomed,
    )
    env = {
        "SEQPULSE_DATABASE_URL": database_url,
        "SEQPULSE_SECRET_KEY": vault.master_key,
        "SEQPULSE_KEEP_SAMPLES_DAYS": "100",  # or the Community edition drops the oldest ones
    }
    with (tmp_path / "log").open("wb") as log, contextlib.ExitStack() as stack:
        stack.callback(blocker.terminate)
        first = processes.start(["core.cli", "worker"], env, log)
        stack.callback(processes.stop, first)
        await removal.delete(conn, doomed)
        await queue.wake(conn)
        await until(
            lambda: conn.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            )
        )
        assert 0 < await count(conn, doomed) < whole
        first.send_signal(signal.SIGKILL)
        first.wait()
        await transaction.rollback()
        second = processes.start(["core.cli", "worker"], env, log)
        stack.callback(processes.stop, second)

        async def is_done() -> bool:
            sql = "SELECT count(*) FROM job_runs WHERE kind = 'remove_samples' AND status = $1"
            return bool(await conn.fetchval(sql, "completed"))

        await until(is_done)
    assert await count(conn, doomed) == 0
    assert await count(conn, other.id) == whole


async def test_removing_twice_is_as_good_as_once(
    conn: Connection, pool: Pool, doomed: UUID
) -> None:
    await removal.delete(conn, doomed)
    turn = await queue.take_turn(conn, 1, [], 10)
    [job] = [job for job in turn.claimed if job.kind == "remove_samples"]
    for _ in range(2):
        assert (await removal.remove_samples(job, pool)).status == "completed"
        assert await count(conn, doomed) == 0
