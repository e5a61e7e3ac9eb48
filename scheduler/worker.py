"""The loop: settle what is done, claim what is due, wait for a reason to go on.

A worker holds one dedicated connection. On it lie its advisory lock (proof of life), its claims
and its settlements. If the connection dies, so do the claims: running jobs are cancelled, their
results dropped, and the worker starts over with a new connection under a new key.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog

from core.database import Connection, connect
from core.errors import DatabaseError
from core.settings import Settings
from scheduler import queue, tasks
from scheduler.jobs import Job
from scheduler.queue import Settlement

log = structlog.get_logger(__name__)

RECONNECT_SECONDS: Final = 1.0
STOP_GRACE_SECONDS: Final = 15.0
LOST: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, DatabaseError)


async def run(url: str, context: tasks.Context, stop: asyncio.Event) -> None:
    """Work until `stop` is set, through as many connections as it takes.

    Args:
        url: The database; the worker opens its own connection beside the handlers' pool.
        context: What handlers need.
        stop: Set it to end: nothing more is claimed, running jobs get `STOP_GRACE_SECONDS`.
    """
    while not stop.is_set():
        try:
            async with _claiming(url, stop) as session:
                log.info("worker_started", owner=session.owner)
                await _work(session, context)
        except LOST as error:
            log.warning("worker_lost_database", error=str(error) or type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)
    log.info("worker_stopped")


@dataclass
class _Session:
    """One life of the worker: a connection, its key, and the claims made under it."""

    conn: Connection
    owner: int
    stop: asyncio.Event
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    running: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    done: list[Settlement] = field(default_factory=list)
    reaped_at: float = 0.0
    stopping_since: float | None = None


@asynccontextmanager
async def _claiming(url: str, stop: asyncio.Event) -> AsyncIterator[_Session]:
    """Open a session; at its end cancel what still runs and hand back what is still claimed."""
    conn = await connect(url, application="seqpulse worker")
    session = None
    watcher = None
    try:
        session = _Session(conn, await queue.register(conn), stop)
        wake = session.wake
        conn.add_termination_listener(lambda _: wake.set())
        await conn.add_listener(queue.CHANNEL, lambda *_: wake.set())
        watcher = asyncio.create_task(_wake_on_stop(session))
        yield session
    finally:
        if watcher is not None:
            watcher.cancel()
        if session is not None:
            await _cancel(session)
            if not conn.is_closed():
                with contextlib.suppress(*LOST):
                    await queue.release(conn, session.owner)
        with contextlib.suppress(*LOST, TimeoutError):
            await conn.close(timeout=5)


async def _work(session: _Session, context: tasks.Context) -> None:
    settings = context.settings
    while not _is_over(session):
        session.wake.clear()
        if session.conn.is_closed():
            raise ConnectionError("the database closed the worker's connection")
        await _reap(session, settings.reap_seconds)
        claimed = await _take_turn(session, settings.worker_concurrency)
        for job in claimed:
            session.running[job.id] = asyncio.create_task(_run_job(session, job, context))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                session.wake.wait(),
                await _pause(session, settings),
            )


async def _take_turn(session: _Session, concurrency: int) -> list[Job]:
    """Settle and claim; settlements are forgotten only once they are committed."""
    settlements = list(session.done)
    free = 0 if session.stop.is_set() else concurrency - len(session.running)
    try:
        settled, claimed = await queue.settle_and_claim(
            session.conn, session.owner, settlements, free
        )
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
        raise
    except asyncpg.PostgresError as error:
        # Say a deadlock, or no room on disk: nothing was committed, so try the same again.
        log.warning("turn_failed", error=str(error), settlements=len(settlements))
        await asyncio.sleep(RECONNECT_SECONDS)
        session.wake.set()
        return []
    del session.done[: len(settlements)]
    if len(settled) < len(settlements):
        log.warning("claims_lost", count=len(settlements) - len(settled))
    if session.done:
        session.wake.set()
    return claimed


async def _run_job(session: _Session, job: Job, context: tasks.Context) -> None:
    try:
        outcome = await tasks.handle(job, context)
    except asyncio.CancelledError:
        return  # the claim was lost or is handed back: nothing may be written for it
    session.running.pop(job.id)
    session.done.append(Settlement(job, outcome))
    session.wake.set()


async def _reap(session: _Session, every_seconds: float) -> None:
    now = time.monotonic()
    if now - session.reaped_at >= every_seconds:
        session.reaped_at = now
        if recovered := await queue.reap(session.conn):
            log.warning("jobs_recovered", count=recovered)


async def _pause(session: _Session, settings: Settings) -> float:
    """Return how long nothing can be due: up to the next job, a reap or the safety poll."""
    longest = min(settings.poll_seconds, settings.reap_seconds)
    if session.stop.is_set() or len(session.running) >= settings.worker_concurrency:
        return longest
    due_in = await queue.seconds_to_next(session.conn)
    return longest if due_in is None else max(0.0, min(due_in, longest))


def _is_over(session: _Session) -> bool:
    """Say whether a stopping worker has nothing left to do, or has had its grace."""
    if not session.stop.is_set():
        return False
    now = time.monotonic()
    session.stopping_since = session.stopping_since or now
    idle = not session.running and not session.done
    return idle or now - session.stopping_since > STOP_GRACE_SECONDS


async def _wake_on_stop(session: _Session) -> None:
    await session.stop.wait()
    session.wake.set()


async def _cancel(session: _Session) -> None:
    for task in session.running.values():
        task.cancel()
    await asyncio.gather(*session.running.values(), return_exceptions=True)
    session.running.clear()
