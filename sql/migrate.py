"""Forward-only migrations: numbered files, checksummed, each applied once.

Every file runs in one transaction, together with its entry in `schema_migrations`. A file whose
first line is `-- migrate: no transaction` holds a single statement that cannot run in one; it must
be one that can be repeated, for a failure may leave half of it behind.

Tables in use are waited for in short turns, so that nobody has to wait behind a migration for long:
a turn that gets no lock in time is undone and tried again later.

Two processes may migrate at once: the second waits its turn by polling `pg_try_advisory_lock`.
Waiting inside `pg_advisory_lock` would hold a snapshot and deadlock CREATE INDEX CONCURRENTLY.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from core.database import Connection
from core.errors import DatabaseError, MigrationError
from sql import locks, teams
from sql.patience import Patience, patiently
from sql.texts import FOLDER, query

log = structlog.get_logger(__name__)

NO_TRANSACTION = "-- migrate: no transaction"
LOCK_TIMEOUT_SECONDS = 60.0
PATIENCE = Patience(wait_seconds=0.2, attempts=120, pause_seconds=0.5)
"""With the tables a migration changes: a minute and a half, most of it without a lock."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`: `NNNN_name.sql`."""

    version: int
    name: str
    text: str

    @property
    def in_transaction(self) -> bool:
        """Whether it happens as a whole or not at all."""
        return not self.text.startswith(NO_TRANSACTION)

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def shipped(folder: Path = FOLDER / "migrations") -> list[Migration]:
    """Return the migrations of this code in order.

    Raises:
        MigrationError: The numbers are not 1, 2, 3, ...
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text()))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations in {folder.name}/ are not numbered 1, 2, 3, ...")
    return found


async def pending(connection: Connection, migrations: list[Migration]) -> list[Migration]:
    """Return the migrations the database has not seen.

    Raises:
        MigrationError: The database is ahead of this code, or an applied file was changed since.
    """
    exists = await connection.fetchval(query("migrations.ledger_exists"))
    rows = await connection.fetch(query("migrations.applied")) if exists else []
    applied = {row["version"]: row["checksum"] for row in rows}
    unknown = max(applied, default=0) - len(migrations)
    if unknown > 0:
        raise MigrationError(
            f"the database is {unknown} migration(s) ahead of this code: "
            "run a version of seqpulse-server at least as new as the one that migrated it"
        )
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"migration {migration.version:04d}_{migration.name} differs from the one the "
                "database was migrated with: migrations are never edited, write a new one"
            )
    return [migration for migration in migrations if migration.version not in applied]


async def migrate(connection: Connection, migrations: list[Migration] | None = None) -> int:
    """Bring the schema up to this code.

    Returns:
        How many migrations were applied.

    Raises:
        DatabaseError: There is no TimescaleDB on the server, or we may not create it.
        MigrationError: The schema and this code do not fit together, or a migration failed.
    """
    migrations = shipped() if migrations is None else migrations
    async with alone(connection):
        await ensure_extension(connection)
        await connection.execute(query("migrations.create_ledger"))
        todo = await pending(connection, migrations)
        if todo:
            await _clear_views(connection)
        for migration in todo:
            await _apply(connection, migration)
            log.info("migration_applied", version=migration.version, name=migration.name)
    return len(todo)


async def check(connection: Connection) -> None:
    """Make sure the schema is the one this code was written for.

    Raises:
        MigrationError: It is behind or ahead; the text says what to do.
    """
    if todo := await pending(connection, shipped()):
        raise MigrationError(
            f"the database lacks {len(todo)} migration(s): run `seqpulse migrate` first"
        )


async def ensure_extension(connection: Connection) -> None:
    """Create the extension `timescaledb` unless it is there.

    Raises:
        DatabaseError: The server does not have it, or we may not create it.
    """
    if await connection.fetchval(query("migrations.extension_version")):
        return
    try:
        await connection.execute(query("migrations.create_extension"))
    except asyncpg.PostgresError as error:
        raise DatabaseError(
            f"TimescaleDB cannot be enabled in this database: {error}. Install it on the server, "
            "add it to shared_preload_libraries, or let an administrator run "
            "CREATE EXTENSION timescaledb"
        ) from None


async def _clear_views(connection: Connection) -> None:
    try:
        await teams.drop_views(connection, PATIENCE)
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"the views of teams cannot be taken away ({error}): nothing was changed. End the "
            "sessions that read them, drop what was built on them, and run it again"
        ) from error


async def _apply(connection: Connection, migration: Migration) -> None:
    name = f"{migration.version:04d}_{migration.name}"
    entry = (migration.version, migration.name, migration.checksum)
    record = (query("migrations.record"), *entry)
    try:
        if migration.in_transaction:
            await patiently(connection, PATIENCE, (migration.text,), record)
        else:
            await _apply_in_pieces(connection, migration)
            await connection.execute(*record)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(
            f"migration {name} waited for too long ({error}): somebody keeps a transaction open on "
            "these tables. It changed nothing for good; end that session and run it again"
        ) from error
    except asyncpg.PostgresError as error:
        left = (
            "it changed nothing"
            if migration.in_transaction
            else "it ran outside a transaction: look at what it left behind"
        )
        raise MigrationError(f"migration {name} failed ({left}): {error}") from error


async def _apply_in_pieces(connection: Connection, migration: Migration) -> None:
    """Run a migration that cannot be undone as a whole; what a failed attempt left goes first."""
    for left in reversed(range(PATIENCE.attempts)):
        try:
            await connection.execute(query("migrations.limit_wait"), PATIENCE.wait_seconds * 1000)
            for index in await connection.fetch(query("migrations.unfinished_indexes")):
                await connection.execute(query("migrations.drop_index").format(name=index["name"]))
            await connection.execute(migration.text)
            return
        except asyncpg.LockNotAvailableError:
            if not left:
                raise
            await asyncio.sleep(PATIENCE.pause_seconds)
        finally:
            await connection.execute(query("migrations.wait_freely"))


@asynccontextmanager
async def alone(connection: Connection) -> AsyncIterator[None]:
    """Hold the migration lock; see the module docstring for why it is polled."""
    give_up_at = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while not await connection.fetchval(query("locks.try_lock"), locks.LEADER, locks.MIGRATION):
        if time.monotonic() > give_up_at:
            raise MigrationError(
                f"another process has been migrating for over {LOCK_TIMEOUT_SECONDS:.0f} s"
            )
        await asyncio.sleep(0.2)
    try:
        yield
    finally:
        await connection.execute(query("locks.unlock"), locks.LEADER, locks.MIGRATION)
