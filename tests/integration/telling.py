"""Channels on loopback, verdicts to be told, and a worker's hand that tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from analytics import policy
from core.codes import ChannelKind
from core.database import Connection, Pool
from core.judgement import Judgement
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Hint, Project, Severity, Verdict
from ingest.collector import Collector
from ingest.guard import parse_rules
from ingest.outbound import Outbound
from scheduler import notifying, tasks
from scheduler.jobs import Outcome, Settlement
from scheduler.session import register
from sql import channels, deliveries, verdicts
from sql.channels import Access, Channel, Interest
from sql.deliveries import Logged
from tests.integration.claims import claim, settle
from tests.receiver import Receiver

TOKEN = "ghp_SecretTokenOfTheTests"
PATH = "/services/T000/B000/SecretPathOfTheTests"


@asynccontextmanager
async def open_context(
    pool: Pool, vault: Vault, settings: Settings, receiver: Receiver
) -> AsyncIterator[tasks.Context]:
    """A worker's context with short pauses that may tell what is on loopback."""
    quick = settings.model_copy(
        update={
            "notify_retry_seconds": (0.001, 0.001),
            "github_api_url": receiver.url,
            "public_url": "https://seqpulse.example.com",
        }
    )
    async with (
        Collector(timeout_seconds=1, slot_seconds=1) as collector,
        Outbound(parse_rules(("127.0.0.0/8",)), timeout_seconds=2) as outbound,
    ):
        judge = policy.find("reference-v2")
        yield tasks.Context(pool, vault, collector, judge, quick, outbound=outbound)


async def add(
    conn: Connection,
    vault: Vault,
    project: Project,
    receiver: Receiver,
    kind: ChannelKind = ChannelKind.WEBHOOK,
    interest: Interest | None = None,
    name: str = "ops",
) -> tuple[Channel, str]:
    github = kind is ChannelKind.GITHUB
    access = Access(TOKEN, "acme/shop") if github else Access(receiver.url + PATH, receiver.url)
    channel, secret = await channels.create(
        conn, vault, project.id, kind, name, access, interest or Interest()
    )
    return channel, secret or ""


async def judged(
    conn: Connection,
    deployment: Deployment,
    verdict: Verdict = Verdict.ROLLBACK_RECOMMENDED,
    *,
    conclusive: bool = True,
) -> None:
    """Store a verdict the way the judge does."""
    said = Judgement(deployment.id, "p", verdict, conclusive, "regression", 0.9, 1.0, (),
                     deployment.triggered_at)  # fmt: skip
    hint = Hint("errors", Severity.CRITICAL, "Errors <rose>", "5 % fail", ("Roll back",), ())
    async with conn.transaction():
        stored = await verdicts.save(conn, [(said, [hint])])
        await notifying.announce(conn, list(stored))


async def work(conn: Connection, context: tasks.Context) -> list[Outcome]:
    """Do what is due of notifications, once."""
    await conn.execute("DELETE FROM scheduled_jobs WHERE kind <> 'notify'")
    owner = await register(conn)
    jobs = await claim(conn, owner)
    outcomes = await asyncio.gather(*(tasks.handle(job, context) for job in jobs))
    await settle(conn, owner, *map(Settlement, jobs, outcomes))
    return outcomes


async def finish(conn: Connection, context: tasks.Context) -> None:
    """Work until nothing is left to be done."""
    async with asyncio.timeout(20):
        while await conn.fetchval("SELECT count(*) FROM scheduled_jobs WHERE kind = 'notify'"):
            await work(conn, context)


async def log_of(conn: Connection, project: Project) -> list[Logged]:
    return await deliveries.list_of(conn, project.id)
