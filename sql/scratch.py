"""Throw-away databases on a server that is there: for the demo, tests and benchmarks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from core.database import connect
from sql import migrate
from sql.texts import query


def named(url: str, database: str) -> str:
    """Return `url` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@asynccontextmanager
async def scratch_database(
    url: str, *, prefix: str = "scratch", migrated: bool = True
) -> AsyncIterator[str]:
    """Create a database with a random name, and drop it at the end whoever is still connected.

    Args:
        url: Any database of the server; its account must be allowed to create databases.
        prefix: Start of the name.
        migrated: Whether to bring the schema up to this code.

    Yields:
        The URL of the new database.
    """
    name = f"{prefix}_{secrets.token_hex(6)}"
    await _run(url, query("databases.create").format(name=name))
    try:
        fresh = named(url, name)
        if migrated:
            conn = await connect(fresh)
            try:
                await migrate.migrate(conn)
            finally:
                await conn.close()
        yield fresh
    finally:
        await _run(url, query("databases.drop").format(name=name))


async def _run(url: str, statement: str) -> None:
    conn = await connect(url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()
