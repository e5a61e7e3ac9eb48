"""The way to the database: pools and single connections of asyncpg, set up alike.

Every query function takes the connection as an argument; nothing here knows a table.
"""

from __future__ import annotations

import json
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from core.errors import DatabaseError
from core.logs import redact

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

APPLICATION_NAME = "seqpulse"


async def _prepare(connection: Connection) -> None:
    """Make jsonb columns plain Python values on this connection."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
    )


def _settings(application: str) -> dict[str, str]:
    return {"application_name": application, "timezone": "UTC"}


async def connect(url: str, *, application: str = APPLICATION_NAME) -> asyncpg.Connection:
    """Open one connection.

    Raises:
        DatabaseError: The server cannot be reached or refuses us; the text carries no password.
    """
    try:
        connection = await asyncpg.connect(
            url, server_settings=_settings(application), timeout=10, command_timeout=60
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise DatabaseError(unreachable(url, error)) from None
    await _prepare(connection)
    return connection


async def create_pool(url: str, size: int, *, application: str = APPLICATION_NAME) -> Pool:
    """Open a pool of at most `size` connections.

    Raises:
        DatabaseError: The server cannot be reached or refuses us; the text carries no password.
    """
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_prepare,
            server_settings=_settings(application),
            timeout=10,
            command_timeout=60,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise DatabaseError(unreachable(url, error)) from None


def unreachable(url: str, error: BaseException) -> str:
    """Say in one line that `url` cannot be used and why, without its password."""
    reason = redact(str(error)) or type(error).__name__
    return f"the database at {redact(url)} cannot be used: {reason}"
