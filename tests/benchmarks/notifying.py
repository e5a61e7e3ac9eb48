"""Receivers that hang: do they delay reads, or messages to others?

    python -P tests/benchmarks/notifying.py [--quick]

One real worker. In every other round 500 messages of one project are due to a receiver that takes
them and never answers. Then 300 reads of targets and 50 messages to a receiver that answers become
due at once. Told is how long until the last of each is settled, by the database's clock in
milliseconds, medians of five rounds, and the ratio of the two kinds of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
from collections.abc import Mapping
from functools import partial
from typing import Final
from uuid import UUID

from analytics import policy
from core import logs
from core import settings as configuration
from core.codes import ChannelKind
from core.database import Connection, Pool, create_pool
from core.secrets import Vault
from ingest.collector import Collector
from ingest.guard import parse_rules
from ingest.outbound import AT_ONCE_EACH, Outbound
from scheduler import notifying, queue, tasks
from scheduler.jobs import JobKind, NewJob
from sql import bulk, channels, projects, targets
from sql.channels import Access, Interest
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, target, tell, working
from tests.receiver import SILENCE, Receiver, receiving

ROUNDS: Final = 5
HANGING: Final = 500
READS: Final = 300
MESSAGES: Final = 50
LOOPBACK: Final = ("127.0.0.0/8",)
MOST_RATIO: Final = 1.5
"""Fifty messages more or less are that much by themselves."""
SETTLED: Final = """
SELECT kind, count(*), extract(epoch FROM max(finished_at) - $1::timestamptz)::float8 * 1000 AS ms
  FROM job_runs
 WHERE status = 'completed'
 GROUP BY kind
"""


async def add(
    conn: Connection, vault: Vault, name: str, endpoint: str, receiver: Receiver
) -> tuple[UUID, UUID]:
    """Return a new project with a target, and a channel of it."""
    project, _ = await projects.create(conn, vault, name=name)
    await targets.put(conn, project.id, "prod", endpoint)
    access = Access(receiver.url, receiver.url)
    channel, _ = await channels.create(
        conn, vault, project.id, ChannelKind.WEBHOOK, "ops", access, Interest()
    )
    return project.id, channel.id


async def settle_all(pool: Pool, known: list[tuple[UUID, UUID]]) -> dict[str, float]:
    """Make reads and messages due, and return how long until each kind is done."""
    async with pool.acquire() as conn, conn.transaction():
        now = await bulk.read_clock(conn)
        reads = [NewJob(JobKind.COLLECT, project_id, "prod", now) for project_id, _ in known]
        await queue.enqueue(conn, reads)
        for project_id, channel_id in known[:MESSAGES]:
            await notifying.test(conn, project_id, channel_id)
    async with pool.acquire() as conn:
        await queue.wake(conn)
    wanted = {JobKind.COLLECT: len(known), JobKind.NOTIFY: MESSAGES}
    while True:
        rows = await pool.fetch(SETTLED, now)
        if {row["kind"]: row["count"] for row in rows} == wanted:
            return {row["kind"]: row["ms"] for row in rows}
        await asyncio.sleep(0.02)


async def run_round(server_url: str, hanging: int, reads: int) -> dict[str, float]:
    """Measure once, with so many messages that hang."""
    vault = Vault(secrets.token_hex(32))
    async with (
        scratch_database(server_url, prefix="notifying") as url,
        target() as endpoint,
        receiving() as quick,
        receiving() as slow,
        await create_pool(url, 10) as pool,
        Collector(timeout_seconds=10, slot_seconds=60, target_allow=LOOPBACK) as collector,
        Outbound(parse_rules(LOOPBACK), timeout_seconds=3) as outbound,
    ):
        slow.otherwise = SILENCE
        settings = configuration.load(database_url=url, secret_key=vault.master_key)
        async with pool.acquire() as conn, conn.transaction():
            known = [
                await add(conn, vault, f"p{number}", endpoint, quick) for number in range(reads)
            ]
            hangs = await add(conn, vault, "hangs", endpoint, slow)
            for _ in range(hanging):
                await notifying.test(conn, *hangs)
        await pool.execute("ANALYZE")
        judge = policy.find("reference-v2")
        context = tasks.Context(pool, vault, collector, judge, settings, outbound=outbound)
        async with working(url, partial(tasks.handle, context=context)):
            while hanging and slow.at_once < AT_ONCE_EACH:  # noqa: ASYNC110 - a figure, no event
                await asyncio.sleep(0.01)
            took = await settle_all(pool, known)
            await pool.execute("DELETE FROM scheduled_jobs")
        return took


def compare(rounds: Mapping[int, list[dict[str, float]]], hanging: int) -> dict[str, object]:
    """Return medians of both kinds of rounds and their ratio."""
    figures: dict[str, object] = {}
    for kind, name in ((JobKind.COLLECT, "reads"), (JobKind.NOTIFY, "messages")):
        alone, beside = (
            statistics.median(each[kind] for each in rounds[count]) for count in (0, hanging)
        )
        figures[name] = {
            "alone_ms": round(alone, 1),
            "beside_hanging_ms": round(beside, 1),
            "ratio": round(beside / alone, 2),
        }
    return figures


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="whether receivers that hang delay others")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and reads")
    quick = parser.parse_args().quick
    logs.configure("error")
    reads = 100 if quick else READS
    rounds: dict[int, list[dict[str, float]]] = {0: [], HANGING: []}
    with server() as url:
        for number in range(1 if quick else ROUNDS):
            for hanging, took in rounds.items():
                took.append(await run_round(url, hanging, reads))
                tell(f"notifying: round {number}, {hanging} hanging: {took[-1]}")
    figures = compare(rounds, HANGING)
    holds = {
        f"{name}_ratio_{MOST_RATIO}": figure["ratio"] <= MOST_RATIO
        for name, figure in figures.items()
        if isinstance(figure, dict)
    }
    report({"benchmark": "notifying", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
