"""Keeping house: history is rolled up every minute, and once an hour what is old goes.

One worker at a time does it, on a connection of its own, as long as it takes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from core.database import DATABASE_ERRORS, Connection, connect
from core.errors import DatabaseError
from scheduler import upkeep
from sql import bulk, edition, holds, locks, retention, rollups
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
    """

    retention: Retention = field(default_factory=Retention)
    baseline_seconds: float = 1800.0


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
            await rollups.prepare(conn)
            now = await bulk.read_clock(conn)
            await rollups.roll(conn, now)
            if tidies:
                await upkeep.reap_strays(conn)
                await tidy(conn, now, rules)
        finally:
            await conn.close()
    except (*DATABASE_ERRORS, DatabaseError) as error:
        log.warning("upkeep_failed", error=str(error) or type(error).__name__)
        return False
    return True


async def tidy(conn: Connection, now: datetime, rules: Rules) -> None:
    """Let go what need not be kept at `now`; what is held is put aside before."""
    keep = rules.retention
    await holds.fill(conn, rules.baseline_seconds)
    if not await retention.mark(conn, now, keep):
        log.warning("retention_waits", reason="somebody has been writing samples for too long")
        return
    await retention.forget_profiles(conn, now, keep)
    if await edition.reconcile(conn, keep) is Edition.APACHE or keep.archived:
        await retention.drop_expired(conn, now, keep)
