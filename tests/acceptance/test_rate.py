"""How often a target is read, counted by the target: never too often, however many workers."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from core.database import Connection
from core.secrets import Vault
from core.types import PLANS
from scheduler import queue
from scheduler.jobs import JobKind, NewJob, Priority
from sql import projects, targets
from tests.acceptance.installation import Installation

ANSWER = (
    b'{"metrics": {"requests_per_sec": 1, "latency_p95": 1, "error_rate": 0, '
    b'"cpu_usage": 0, "memory_usage": 0}}'
)
SLOT = 4.0
SLOTS = 4
DUE = 200
"""Jobs that would all read the same target at once."""
HOST_RATE = 20
HOST_PROJECTS = 40
LATE_SECONDS = 0.5
"""A request may arrive later than the one before it, on a machine that has much to do."""


@dataclass
class Counting:
    """A target that knows when it was asked."""

    url: str = ""
    asked_at: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked_at.append(time.monotonic())
        await reader.readuntil(b"\r\n\r\n")
        head = f"Content-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head.encode() + ANSWER)
        writer.close()

    async def asked(self, times: int) -> None:
        """Wait until it was asked so often."""
        async with asyncio.timeout(90):
            while len(self.asked_at) < times:  # noqa: ASYNC110 - other processes ask
                await asyncio.sleep(0.05)

    def most_within(self, seconds: float) -> int:
        """The most requests in any stretch of time that is so long."""
        times = sorted(self.asked_at)
        return max(sum(at <= other < at + seconds for other in times) for at in times)


@asynccontextmanager
async def counting(host: str = "127.0.0.1") -> AsyncIterator[Counting]:
    target = Counting()
    async with await asyncio.start_server(target.serve, host, 0) as server:
        target.url = f"http://{host}:{server.sockets[0].getsockname()[1]}/"
        yield target


async def make_due(
    conn: Connection, vault: Vault, url: str, name: str = "shop", count: int = DUE
) -> None:
    """Leave many jobs that read one target, all due now."""
    project, _ = await projects.create(conn, vault, name=name)
    await targets.put(conn, project.id, "prod", url)
    now = await conn.fetchval("SELECT now()")
    jobs = [
        NewJob(
            kind=JobKind.COLLECT,
            project_id=project.id,
            env="prod",
            scheduled_at=now - timedelta(milliseconds=number),
            deadline_at=now + timedelta(hours=1),
            priority=Priority.POST,
        )
        for number in range(count)
    ]
    await queue.enqueue(conn, jobs)


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_target_is_never_read_more_often_than_its_plan_allows(
    installation: Installation, conn: Connection, vault: Vault, workers: int
) -> None:
    installation.env["SEQPULSE_SLOT_SECONDS"] = str(SLOT)
    installation.env["SEQPULSE_BASELINE_INTERVAL_SECONDS"] = str(SLOT)
    allowed = PLANS["free"].reads_per_slot
    async with counting() as target:
        await make_due(conn, vault, target.url)
        running = [installation.start("worker") for _ in range(workers)]
        await installation.logged("worker_started", workers)
        await target.asked(allowed)
        running[0].send_signal(signal.SIGKILL)  # a new one knows nothing of what it has read
        installation.start("worker")
        await target.asked(SLOTS * allowed)
    assert target.most_within(SLOT) <= allowed


async def all_have_read(conn: Connection, workers: int) -> None:
    """Wait until each worker has read something, and so heard how many there are."""
    async with asyncio.timeout(90):
        count = "SELECT count(DISTINCT owner) FROM job_runs"
        while await conn.fetchval(count) < workers:  # noqa: ASYNC110 - other processes read
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_host_is_never_read_more_often_than_configured(
    installation: Installation, conn: Connection, vault: Vault, workers: int
) -> None:
    installation.env["SEQPULSE_SLOT_SECONDS"] = str(SLOT)
    installation.env["SEQPULSE_BASELINE_INTERVAL_SECONDS"] = str(SLOT)
    installation.env["SEQPULSE_HOST_READS_PER_SECOND"] = str(HOST_RATE)
    installation.env["SEQPULSE_WORKER_CONCURRENCY"] = "10"  # each has some of the first jobs
    async with counting("127.0.0.2") as other, counting() as host:
        for number in range(HOST_PROJECTS):
            await make_due(conn, vault, other.url, f"other-{number}", 2)
        for _ in range(workers):
            installation.start("worker")
        await all_have_read(conn, workers)
        for number in range(HOST_PROJECTS):
            await make_due(conn, vault, host.url, f"shop-{number}", 5)
        await queue.wake(conn)
        await host.asked(6 * HOST_RATE)
    for seconds in (1.0, 2.0, 4.0):
        allowed = HOST_RATE * (seconds + LATE_SECONDS) + workers
        assert host.most_within(seconds) <= allowed, f"in {seconds} s"
