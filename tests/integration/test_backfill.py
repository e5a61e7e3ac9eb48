"""Filling the baseline window: what a source knows of the past, once, beside what was collected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import pytest

from analytics import policy
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import METRICS, CollectCode, Deployment, MissedSlot, Project, Reading, Sample, Slot
from ingest.collector import Collector
from scheduler import baseline, queue, tasks
from scheduler.jobs import Job, JobKind, Status
from scheduler.plan import backfill_job
from scheduler.session import register
from sql import deployments, samples, targets, windows

SLOTS = 10
KNOWN = 7
"""The source has been there for the latest seven slots only."""
LIVE = Reading(5, 5, 0.5, 0.5, 0.5)


@dataclass
class Past:
    """A Prometheus that knows 0.25 of everything, or answers with a status."""

    url: str = ""
    status: str = "200 OK"
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        form = parse_qs((await reader.readexactly(length)).decode())
        self.asked += 1
        start, end, step = (float(form[name][0]) for name in ("start", "end", "step"))
        moments = [start + n * step for n in range(round((end - start) / step) + 1)]
        points = [[round(at, 3), "0.25"] for at in moments[-KNOWN:]]
        result = [{"metric": {"seqpulse": name}, "values": points} for name in METRICS]
        document = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        body = json.dumps(document).encode()
        writer.write(
            f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        writer.close()


@pytest.fixture
async def past() -> AsyncIterator[Past]:
    source = Past()
    async with await asyncio.start_server(source.serve, "127.0.0.1", 0) as server:
        source.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield source


@pytest.fixture
async def context(pool: Pool, vault: Vault, settings: Settings) -> AsyncIterator[tasks.Context]:
    async with Collector(
        timeout_seconds=2, slot_seconds=0.1, target_allow=("127.0.0.0/8",)
    ) as collector:
        minutes = {"baseline_interval_seconds": 60.0, "baseline_window_seconds": 60.0 * SLOTS}
        changed = settings.model_copy(update=minutes)
        yield tasks.Context(pool, vault, collector, policy.find("reference-v2"), changed)


@pytest.fixture
async def fresh(conn: Connection, vault: Vault, project: Project, past: Past) -> Deployment:
    """A deployment of a Prometheus project that was just triggered."""
    queries = dict.fromkeys(METRICS, "vector(0.25)")
    await targets.configure(conn, vault, project.id, "prod", past.url, queries=queries)
    created, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key=None, abandoned_seconds=3600
    )
    return created


async def claim(conn: Connection, deployment: Deployment) -> Job:
    await queue.enqueue(conn, [backfill_job(deployment)])
    turn = await queue.take_turn(conn, await register(conn), [], 10)
    (job,) = (job for job in turn.claimed if job.kind == JobKind.BACKFILL)
    return job


async def slots(conn: Connection) -> list[datetime]:
    rows = await conn.fetch("SELECT slot_at FROM metric_samples ORDER BY slot_at")
    return [row["slot_at"] for row in rows]


async def test_the_window_is_filled_once_on_the_grid_of_the_baseline(
    conn: Connection, context: tasks.Context, fresh: Deployment, past: Past
) -> None:
    job = await claim(conn, fresh)
    assert (await tasks.handle(job, context)).status is Status.COMPLETED
    span = baseline.past_slots(fresh, 60.0 * SLOTS, 60.0)
    expected = [span.last_at - n * span.step for n in range(KNOWN)][::-1]
    assert await slots(conn) == expected
    await conn.execute(
        "UPDATE deployments SET state = 'finished', result = 'success', finished_at = now(), "
        "post_slots = 5, slot_seconds = 60"
    )
    material = await windows.load(conn, [fresh.id], 60.0 * SLOTS)
    assert material.samples.height == KNOWN, "the judge counts them as of before the change"
    assert (await tasks.handle(job, context)).status is Status.COMPLETED
    assert (past.asked, len(await slots(conn))) == (2, KNOWN)


async def test_what_was_collected_stays_and_what_was_missed_is_missed_no_longer(
    conn: Connection, context: tasks.Context, fresh: Deployment
) -> None:
    span = baseline.past_slots(fresh, 60.0 * SLOTS, 60.0)
    last = Slot(fresh.project_id, "prod", span.last_at)
    before = Slot(fresh.project_id, "prod", span.last_at - span.step)
    unknown = Slot(fresh.project_id, "prod", span.first_at)
    await samples.insert(conn, [Sample(last, LIVE)])
    missed = [MissedSlot(slot, CollectCode.TIMEOUT, "x") for slot in (before, unknown)]
    await samples.insert_missed(conn, missed)
    await tasks.handle(await claim(conn, fresh), context)
    live = await conn.fetchval(
        "SELECT cpu_usage FROM metric_samples WHERE slot_at = $1", last.slot_at
    )
    assert live == LIVE.cpu_usage
    still = await conn.fetch("SELECT slot_at FROM missed_slots")
    assert [row["slot_at"] for row in still] == [unknown.slot_at]
    assert len(await slots(conn)) == KNOWN


async def test_a_source_that_fails_is_asked_again_and_then_given_up(
    conn: Connection, context: tasks.Context, fresh: Deployment, past: Past
) -> None:
    past.status = "503 Busy"
    job = await claim(conn, fresh)
    again = await tasks.handle(job, context)
    assert (again.status, again.retry_in_seconds < 1) == (Status.RETRY, True)
    late = job._replace(attempt=9, scheduled_at=job.slot_at + timedelta(minutes=5))
    over = await tasks.handle(late, context)
    assert (over.status, over.missed) == (Status.FAILED, None)
    assert over.last_error == "status: HTTP 503"
    assert await slots(conn) == []
