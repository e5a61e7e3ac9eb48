"""One process at a time changes the archive of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.database import Connection
from core.errors import ConflictError
from sql import locks
from sql.texts import query


@asynccontextmanager
async def alone(conn: Connection) -> AsyncIterator[None]:
    """Hold the lock of the archive; it ends with the connection at the latest.

    Raises:
        ConflictError: Somebody else holds it.
    """
    if not await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.ARCHIVE):
        raise ConflictError("another process is archiving or restoring: try again later")
    try:
        yield
    finally:
        if not conn.is_closed():
            await conn.execute(query("locks.unlock"), locks.LEADER, locks.ARCHIVE)
