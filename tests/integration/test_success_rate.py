"""A fifth of all requests fail at random, and yet nineteen of twenty slots are collected."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

from analytics import policy
from core.database import Connection, Pool
from core.secrets import Vault, new_hmac_secret
from core.settings import Settings
from core.types import Phase
from ingest.collector import Collector
from ingest.turns import Turns
from scheduler import queue, tasks, worker
from scheduler.jobs import JobKind, NewJob, Priority
from sql import projects, targets

FAILING = 0.2
PROJECTS = 16
SLOTS = 25
STEP = timedelta(seconds=0.2)
BODY = (
    b'{"metrics": {"requests_per_sec": 1, "latency_p95": 1, "error_rate": 0, '
    b'"cpu_usage": 0, "memory_usage": 0}}'
)
HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
LINGER = b"\x01\0\0\0\0\0\0\0"  # on, 0 s: close with RST


def answer(status: bytes, body: bytes = BODY, header: bytes = b"") -> bytes:
    return HEAD % (status, len(body), header) + body


ANSWERS = {
    "500": answer(b"500 Internal Server Error"),
    "503": answer(b"503 Service Unavailable", header=b"Retry-After: 0\r\n"),
    "429": answer(b"429 Too Many Requests", header=b"Retry-After: 0\r\n"),
    "truncated": answer(b"200 OK")[:-20],
    "invalid": answer(b"200 OK", b'{"metrics": {}}'),
    "reset": b"",
    "silent": b"",
}


@asynccontextmanager
async def moody(chance: random.Random, seen: Counter[str]) -> AsyncIterator[str]:
    """A target that fails as often as it should, each time in another way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        kind = chance.choice(list(ANSWERS)) if chance.random() < FAILING else "good"
        seen[kind] += 1
        if kind == "silent":
            await reader.read()  # until the other side gives up
        if kind == "reset":
            linger = (socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            writer.get_extra_info("socket").setsockopt(*linger)
        writer.write(ANSWERS.get(kind, answer(b"200 OK")))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"


async def plan_slots(conn: Connection, vault: Vault, endpoint: str) -> None:
    """Leave post slots of many projects, each over in half a minute."""
    now = await conn.fetchval("SELECT now()")
    for number in range(PROJECTS):
        project, _ = await projects.create(
            conn, vault, name=f"p{number}", plan="pro", hmac_secret=new_hmac_secret()
        )
        await targets.put(conn, project.id, "prod", endpoint)
        jobs = [
            NewJob(
                kind=JobKind.COLLECT,
                project_id=project.id,
                env="prod",
                scheduled_at=now + slot * STEP,
                deadline_at=now + slot * STEP + timedelta(seconds=30),
                priority=Priority.POST,
                phase=Phase.POST,
                sequence_index=slot,
            )
            for slot in range(SLOTS)
        ]
        await queue.enqueue(conn, jobs)


async def test_slots_survive_random_failures_and_all_are_accounted_for(
    database_url: str, conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    chance, seen = random.Random(20), Counter[str]()
    async with (
        moody(chance, seen) as endpoint,
        Collector(
            timeout_seconds=2,
            slot_seconds=1,
            target_allow=("127.0.0.0/8",),
            take_turn=Turns(pool, 1).take,
        ) as collector,
    ):
        await plan_slots(conn, vault, endpoint)
        quick = settings.model_copy(update={"collect_retry_seconds": (0.1, 0.3, 0.6)})
        context = tasks.Context(pool, vault, collector, policy.find("reference-v2"), quick)
        stop = asyncio.Event()
        handle = partial(tasks.handle, context=context)
        running = asyncio.create_task(worker.run(database_url, handle, worker.Options(), stop))
        async with asyncio.timeout(60):
            while await conn.fetchval("SELECT count(*) FROM scheduled_jobs"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        stop.set()
        await running
    planned = PROJECTS * SLOTS
    slots = await conn.fetch(
        "SELECT project_id, slot_at FROM metric_samples "
        "UNION ALL SELECT project_id, slot_at FROM missed_slots"
    )
    collected = await conn.fetchval("SELECT count(*) FROM metric_samples")
    missed = await conn.fetch("SELECT code, count(*) AS n FROM missed_slots GROUP BY 1")
    failed = 1 - seen["good"] / seen.total()
    codes = {row["code"]: row["n"] for row in missed}
    print(f"{failed:.1%} of {seen.total()} requests failed; {collected} of {planned} slots", codes)  # noqa: T201
    assert len(slots) == len({tuple(row) for row in slots}) == planned
    assert 0.15 < failed < 0.25
    assert all(seen[kind] for kind in ANSWERS)
    assert collected >= 0.95 * planned
