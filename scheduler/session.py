"""One life of a worker: a dedicated connection, the advisory lock on it, and the key it stands for.

The connection must be a session of our own on the server. Behind a pooler in transaction mode the
lock would belong to whoever comes next, so that is found out and refused.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog

from core.database import Connection, connect
from core.errors import SettingsError
from scheduler import queue
from sql import locks
from sql.texts import query

log = structlog.get_logger(__name__)

SERVER_SETTINGS: Final = {
    # A silent loss of the network is noticed within seconds, on the server's side too: there it
    # drops the lock. Zero-cost on loopback, ignored on Unix sockets.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "client_connection_check_interval": "2000",
    # The turn is one large statement: planning it anew every time would cost more than running it.
    "plan_cache_mode": "force_generic_plan",
    # And it is planned before the tables have statistics: leave it no way but the indexes.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "jit": "off",  # what those rule out counts as dear, which would set the compiler to work
    "lock_timeout": "500",  # well before REPLY_SECONDS: a lock fails a turn, not the session
}
REPLY_SECONDS: Final = 5.0
"""A statement of the worker that takes longer counts as a lost connection."""
SHARED_SESSION: Final = (
    "SEQPULSE_DATABASE_URL leads through a pooler that shares server sessions (transaction "
    "mode): workers need a direct connection or session mode, because their locks live in "
    "the session"
)
STRAYED: Final = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""What a statement meets that was prepared on one server session and executed on another."""


@dataclass
class Session:
    """What a worker has while its connection lives.

    Attributes:
        conn: The dedicated connection.
        owner: Key of the worker.
        stop: Set from outside to end the worker.
        wake: Set whenever there may be something to do.
    """

    conn: Connection
    owner: int
    stop: asyncio.Event
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def open_session(url: str, stop: asyncio.Event) -> AsyncIterator[Session]:
    """Open a session; at its end hand back what is still claimed.

    Args:
        url: The database.
        stop: Ends the worker.

    Raises:
        SettingsError: A pooler hands our statements to different server sessions.
    """
    conn = await connect_unshared(url)
    watcher = None
    try:
        session = Session(conn, await register(conn), stop)
        wake = session.wake.set
        conn.add_termination_listener(lambda _: wake())
        await conn.add_listener(queue.CHANNEL, lambda *_: wake())
        watcher = asyncio.create_task(_wake_on_stop(session))
        yield session
        await queue.release(conn, session.owner)
        await conn.execute(query("workers.delete"), session.owner)
        await conn.close(timeout=2)
    finally:
        if watcher is not None:
            watcher.cancel()
        # On the way out after an error nobody waits for an answer: the server drops the lock.
        conn.terminate()


@contextmanager
def surviving(what: str) -> Iterator[None]:
    """Go on after an error that the server reports: nothing was committed, it is tried again."""
    try:
        yield
    except asyncpg.PostgresConnectionError:
        raise
    except asyncpg.PostgresError as error:
        log.warning("statement_failed", what=what, error=str(error))


async def register(conn: Connection) -> int:
    """Take a fresh worker key: first its lock, then its row, so that nobody sees it without."""
    while True:
        key: int = await conn.fetchval(query("workers.next_key"))
        if await conn.fetchval(query("locks.try_lock"), locks.WORKER, key):
            await conn.execute(query("workers.insert"), key, socket.gethostname(), os.getpid())
            return key


async def connect_unshared(url: str) -> asyncpg.Connection:
    """Open a connection that keeps its server session, and set the session up.

    Raises:
        SettingsError: There is a pooler between us that gives the session to others, too.
    """
    try:
        conn = await connect(url, application="seqpulse worker", command_timeout=REPLY_SECONDS)
        try:
            if await _is_shared(url, conn):
                raise SettingsError(SHARED_SESSION)
            await conn.execute(
                query("workers.configure"), list(SERVER_SETTINGS), list(SERVER_SETTINGS.values())
            )
        except BaseException:
            conn.terminate()
            raise
    except STRAYED:
        raise SettingsError(SHARED_SESSION) from None
    return conn


async def _is_shared(url: str, conn: Connection) -> bool:
    """Say whether this connection does not keep its server session.

    A pooler in transaction mode gives the server session away as soon as it is idle. So let
    somebody else hold whatever session is idle now, and see whether we still get ours.
    """
    ours = await conn.fetchval(query("workers.backend"))
    other = await connect(url, application="seqpulse probe")
    try:
        async with other.transaction():
            theirs = await other.fetchval(query("workers.backend"))
            again = await conn.fetchval(query("workers.backend"))
    finally:
        other.terminate()
    return bool(ours == theirs or again != ours)


async def _wake_on_stop(session: Session) -> None:
    await session.stop.wait()
    session.wake.set()
