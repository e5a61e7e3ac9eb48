"""The two editions of TimescaleDB: which one this is, and the one place where they differ.

Tables, views and queries are the same on both. On the Community edition the database itself
compresses chunks and drops old ones; on the Apache edition our upkeep drops them, and nothing is
compressed.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

import asyncpg
import structlog

from core.database import Connection
from core.errors import DatabaseError
from sql import migrate, retention, roles, rollups, teams
from sql.patience import patiently
from sql.retention import Retention
from sql.samples import SLOTS
from sql.texts import query

log = structlog.get_logger(__name__)

ROLLED: Final = tuple(rollup.table for rollup in rollups.ROLLUPS)
COMPRESSED: Final = {**dict.fromkeys(SLOTS, "slot_at"), **dict.fromkeys(ROLLED, "bucket_at")}
"""Hypertables that are compressed where that is possible, and their column of time."""
SPARE: Final = timedelta(days=1)
"""The database drops samples that much later than it could: upkeep moves the edge first."""


class Edition(StrEnum):
    """Editions by the name that `timescaledb.license` has for them."""

    COMMUNITY = "timescale"
    APACHE = "apache"


async def find(conn: Connection) -> Edition:
    """Return the edition of this server.

    Raises:
        DatabaseError: There is no TimescaleDB, its Community library is missing, or an Apache
            edition runs on data that the Community edition has compressed.
    """
    license_name = await conn.fetchval(query("edition.license"))
    if license_name not in list(Edition):
        raise DatabaseError("TimescaleDB is not loaded: add it to shared_preload_libraries")
    edition = Edition(license_name)
    if edition is Edition.COMMUNITY:
        await _confirm(conn)
    elif await conn.fetchval(query("edition.is_compressed")):
        raise DatabaseError(
            "this is the Apache edition of TimescaleDB, and the database has chunks that the "
            "Community edition compressed: it can neither read nor drop them. Use the Community "
            "edition, or decompress them with it first (docs/history.md)"
        )
    return edition


async def _confirm(conn: Connection) -> None:
    """Make sure the Community edition is what it says.

    Raises:
        DatabaseError: Its library is missing, or is another one.
    """
    try:
        await conn.fetch(query("edition.confirm"))
    except (asyncpg.UndefinedFileError, asyncpg.FeatureNotSupportedError) as error:
        raise DatabaseError(
            "timescaledb.license says timescale, but the library of the Community edition does not "
            f"load ({error}): install it, or set timescaledb.license = 'apache'"
        ) from None


async def reconcile(conn: Connection, keep: Retention) -> Edition:
    """Make the server do what it can do by itself, as the settings say; again is as good as once.

    A table that is in use for too long stays as it is until the next time: nobody waits for us.
    Without the rights of the tables' owner nothing changes either: `seqpulse migrate` has them.

    Returns:
        The edition.

    Raises:
        DatabaseError: See `find`.
    """
    async with migrate.alone(conn):
        edition = await find(conn)
        await roles.close_job_api(conn)
        if not await conn.fetchval(query("edition.is_ours")):
            log.info("reconcile_left_to_owner")  # who runs `seqpulse migrate`
            return edition
        await teams.build_missing_views(conn)
        try:
            for table in SLOTS:
                await _set_chunk_interval(conn, table, keep.chunk)
            if edition is Edition.COMMUNITY:
                await _delegate(conn, await retention.heed_archive(conn, keep))
        except asyncpg.LockNotAvailableError as error:
            log.warning("reconcile_waits", error=str(error))
    return edition


async def _delegate(conn: Connection, keep: Retention) -> None:
    """Let the Community edition compress and drop chunks."""
    for table, column in COMPRESSED.items():
        await _compress(conn, table, column)
        await _set_policy(conn, table, "compression", keep.compress_after)
    for table, age in keep.tables.items():
        await _set_policy(conn, table, "retention", drop_after(keep, table, age))


def drop_after(keep: Retention, table: str, age: timedelta) -> timedelta | None:
    """Return at which age the Community edition drops chunks of a table; None: it does not."""
    if table not in SLOTS:
        return age
    return None if keep.archived else age + SPARE


async def _set_chunk_interval(conn: Connection, table: str, interval: timedelta) -> None:
    """Let chunks that are made from now on span `interval`."""
    if await conn.fetchval(query("edition.chunk_interval"), table) != interval:
        await patiently(
            conn, retention.PATIENCE, (query("edition.set_chunk_interval"), table, interval)
        )
        log.info("chunk_interval_set", table=table, days=interval.days)


async def _compress(conn: Connection, table: str, column: str) -> None:
    if not await conn.fetchval(query("edition.compresses"), table):
        await patiently(
            conn,
            retention.PATIENCE,
            (query("edition.compress").format(table=table, column=column),),
        )
        log.info("compression_enabled", table=table)


async def _set_policy(conn: Connection, table: str, kind: str, after: timedelta | None) -> None:
    """Have exactly the policy of this kind that is wanted."""
    rows = await conn.fetch(query("edition.policies"), table)
    now: timedelta | None = {row["proc_name"]: row["after"] for row in rows}.get(f"policy_{kind}")
    if now == after:
        return
    remove = [(query(f"edition.remove_{kind}"), table)] if now is not None else []
    add = [(query(f"edition.add_{kind}"), table, after)] if after is not None else []
    await patiently(conn, retention.PATIENCE, *remove, *add)
    log.info("policy_set", table=table, kind=kind, days=after.days if after else None)
