"""Keeping house: history is rolled up every minute, and once an hour what is old goes.

One worker at a time does it, on a connection of its own, as long as it takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from core.database import DATABASE_ERRORS, Connection, connect
from core.errors import ConflictError, SeqPulseError
from core.settings import Settings
from scheduler import upkeep
from sql import bulk, deliveries, edition, holds, kept_answers, locks, retention, roles, rollups
from sql.archive import expire
from sql.archive.expire import Outcome
from sql.archive.store import open_store
from sql.edition import Edition
from sql.retention import Retention
from sql.texts import query

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 60.0
TIDY_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What is kept, and what a held deployment needs.

    Attributes:
        retention: For how long what is kept.
        baseline_seconds: Length of the baseline window.
        archive: Where samples are archived before they are dropped: a folder or a URL.
    """

    retention: Retention = field(default_factory=Retention)
    baseline_seconds: float = 1800.0
    archive: str | None = None


def choose(settings: Settings) -> Rules:
    """Return what the settings say."""
    return Rules(retention.choose(settings), settings.baseline_window_seconds, settings.archive_url)


@asynccontextmanager
async def keeping(url: str, rules: Rules) -> AsyncIterator[None]:
    """Keep house regularly until the end of the block."""
    task = asyncio.create_task(keep_regularly(url, rules))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keep_regularly(url: str, rules: Rules, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Keep house again and again, for ever, whatever becomes of the worker's own connection."""
    tidied_at = float("-inf")
    while True:
        await asyncio.sleep(pause_seconds)
        tidies = time.monotonic() - tidied_at >= TIDY_SECONDS
        if await keep(url, rules, tidies=tidies) and tidies:
            tidied_at = time.monotonic()


async def keep(url: str, rules: Rules, *, tidies: bool = True) -> bool:
    """Keep house once, unless somebody else is at it; return whether it is done.

    What fails is tried again next time.

    Args:
        url: The database.
        rules: What is kept.
        tidies: Whether to do the rare things, too.
    """
    try:
        conn = await connect(url, application="seqpulse upkeep", command_timeout=600)
        try:
            if not await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
                return False
            if ended := await roles.end_overdue(conn):
                log.warning("overdue_readers_ended", count=ended)
            await rollups.prepare(conn)
            now = await bulk.read_clock(conn)
            await rollups.roll(conn, now)
            if tidies:
                await upkeep.reap_strays(conn)
                await tidy(conn, now, rules)
        finally:
            await conn.close()
    except (*DATABASE_ERRORS, SeqPulseError) as error:
        log.warning("upkeep_failed", error=str(error) or type(error).__name__)
        return False
    return True


async def tidy_now(conn: Connection, rules: Rules) -> list[Outcome]:
    """Do what workers do once an hour; see `tidy`.

    Raises:
        ConflictError: Somebody else is keeping house.
    """
    if not await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
        raise ConflictError("a worker is keeping house right now: try again")
    try:
        await rollups.prepare(conn)
        now = await bulk.read_clock(conn)
        await rollups.roll(conn, now)
        return await tidy(conn, now, rules)
    finally:
        await conn.execute(query("locks.unlock"), locks.LEADER, locks.HOUSE)


async def tidy(conn: Connection, now: datetime, rules: Rules) -> list[Outcome]:
    """Let go what need not be kept at `now`; what is held is put aside before.

    Returns:
        What became of the samples that were to be archived.

    Raises:
        ArchiveError: The archive cannot be written, or is that of another database.
        ConflictError: Another process is archiving.
    """
    await kept_answers.delete_expired(conn)
    keep = await retention.heed_archive(conn, rules.retention)
    await holds.fill(conn, rules.baseline_seconds)
    if not await retention.mark(conn, now, keep):
        log.warning("retention_waits", reason="somebody has been writing samples for too long")
        return []
    await retention.forget_profiles(conn, now, keep)
    await deliveries.forget(conn, now - keep.runs)
    if await edition.reconcile(conn, keep) is Edition.APACHE or keep.archived:
        await retention.drop_expired(conn, now, keep)
    if rules.archive is None:
        return []
    return await expire.run(conn, open_store(rules.archive), now, keep.samples)
