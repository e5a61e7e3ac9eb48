"""The way to the database: pools and single connections of asyncpg, set up alike.

Every query function takes the connection as an argument; nothing here knows a table.
"""

from __future__ import annotations

import time
from typing import Final, TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy
from pydantic_core import from_json, to_json

from core.errors import DatabaseError
from core.logs import redact

log = structlog.get_logger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

APPLICATION_NAME: Final = "seqpulse"

DATABASE_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a statement may raise when the server refuses it, or is gone."""


class Contact:
    """Whether somebody can reach the database: what changes is logged, and only what changes."""

    def __init__(self, who: str) -> None:
        """Start with nothing known to be wrong.

        Args:
            who: Whose contact it is, for the log.
        """
        self._who = who
        self._lost_at: float | None = None

    @property
    def lost_seconds(self) -> float:
        """For how long it has been lost; 0 while it is not."""
        return 0.0 if self._lost_at is None else time.monotonic() - self._lost_at

    def lose(self, error: BaseException) -> None:
        """Note that the database could not be reached."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            reason = redact(str(error)) or type(error).__name__
            log.warning("database_lost", who=self._who, error=reason)

    def keep(self) -> None:
        """Note that the database was reached."""
        if self._lost_at is not None:
            log.info("database_back", who=self._who, after_seconds=round(self.lost_seconds, 1))
            self._lost_at = None


async def _prepare(connection: Connection) -> None:
    """Make jsonb columns plain Python values on this connection."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_json, decoder=from_json)


async def _leave(connection: Connection) -> None:
    """Spare the round trip that would undo SET, LISTEN and locks: nobody here leaves any.

    An open transaction is rolled back all the same; asyncpg does that before it calls this.
    """


def _json(value: object) -> str:
    return to_json(value).decode()


def _settings(application: str) -> dict[str, str]:
    return {"application_name": application, "timezone": "UTC"}


async def connect(
    url: str,
    *,
    application: str = APPLICATION_NAME,
    command_timeout: float | None = 60,
) -> asyncpg.Connection:
    """Open one connection.

    Args:
        url: The database.
        application: What the server shows as the name of the application.
        command_timeout: Seconds a statement may take; None: as long as it likes.

    Raises:
        DatabaseError: The server cannot be reached or refuses us; the text carries no password.
    """
    try:
        connection = await asyncpg.connect(
            url,
            server_settings=_settings(application),
            timeout=10,
            command_timeout=command_timeout,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise DatabaseError(unreachable(url, error)) from None
    try:
        await _prepare(connection)
    except BaseException:  # whoever lost patience, too
        connection.terminate()
        raise
    return connection


async def create_pool(
    url: str, size: int, *, application: str = APPLICATION_NAME, command_timeout: float = 60
) -> Pool:
    """Open a pool of at most `size` connections; a statement may take `command_timeout` seconds.

    Raises:
        DatabaseError: The server cannot be reached or refuses us; the text carries no password.
    """
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_prepare,
            reset=_leave,
            server_settings=_settings(application),
            timeout=10,
            command_timeout=command_timeout,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise DatabaseError(unreachable(url, error)) from None


def unreachable(url: str, error: BaseException) -> str:
    """Say in one line that `url` cannot be used and why, without anything of its secrets."""
    if isinstance(error, ValueError):  # the library quotes the part it stumbled over
        return "the database URL is not of the form postgresql://user:password@host:port/name"
    reason = redact(str(error)) or type(error).__name__
    return f"the database at {_place(url)} cannot be used: {reason}"


def _place(url: str) -> str:
    """Return host, port and name of the database, or less if the URL is odd."""
    place = url.rpartition("@")[2] if "@" in url else url.partition("://")[2]
    return place.partition("?")[0] or "SEQPULSE_DATABASE_URL"
