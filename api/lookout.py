"""A look at the installation every second, in the background, on a connection of its own.

So whoever asks how it is gets an answer at once, also while the database hangs, and costs it
nothing. A database that is gone is noticed by the next look: within two seconds if it refuses,
within four if it hangs.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import asyncpg
import structlog

from api import checks
from api.checks import Check, Facts
from api.problems import ProblemError
from core.database import DATABASE_ERRORS, Connection, Contact, Pool, connect
from core.errors import DatabaseError
from core.telemetry import count_in_use
from sql import health, migrate
from sql.texts import query

log = structlog.get_logger(__name__)

PULSE_SECONDS: Final = 1.0
"""Between two looks, which are over after as long."""
QUESTION_SECONDS: Final = 2.0
"""A further question may take so long before it counts as unknown."""
BREAK_SECONDS: Final = 2.0
"""Requests are turned away at once when the database has been gone for so long."""
POOL_LOOKS: Final = 5

Question: TypeAlias = Callable[[Connection], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class View:
    """What was seen, and since when each check has been as it is."""

    looked_at: datetime
    facts: Facts
    checks: Mapping[str, Check]
    since: Mapping[str, datetime]


class Lookout:
    """Looks, remembers, and says what changed."""

    def __init__(self, url: str, pool: Pool) -> None:
        """Nothing is done yet.

        Args:
            url: The database.
            pool: The pool of this process, which is looked at, not used.
        """
        self._url = url
        self._pool = pool
        self._conn: asyncpg.Connection | None = None
        self._contact = Contact("api")
        self._in_use: deque[int] = deque(maxlen=POOL_LOOKS)
        self._asked_at = dict.fromkeys(QUESTIONS, float("-inf"))
        self._facts = Facts()
        self.view = View(datetime.now(UTC), self._facts, {}, {})

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look regularly until the end of the block; the first look is over when it begins."""
        await self.look()
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._leave()

    def require_database(self) -> None:
        """Turn a request away at once if the database has been gone for a while.

        Raises:
            ProblemError: 503 with Retry-After.
        """
        if self._contact.lost_seconds > BREAK_SECONDS:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the database cannot be reached right now",
                headers={"Retry-After": "5"},
            )

    async def look(self) -> None:
        """Look once; whatever goes wrong is part of what is seen."""
        try:
            async with asyncio.timeout(PULSE_SECONDS):
                conn = await self._reach()
                began = time.perf_counter()
                read_only = await conn.fetchval(query("installation.is_read_only"))
                taken = time.perf_counter() - began
            self._contact.keep()
            self._facts = replace(self._facts, latency_seconds=taken, writable=not read_only)
            await self._ask(conn)
        except (*DATABASE_ERRORS, DatabaseError) as error:
            self._lose(error)
        self._in_use.append(count_in_use(self._pool))
        self._facts = replace(
            self._facts, pool_ratio=min(self._in_use) / max(self._pool.get_max_size(), 1)
        )
        self._see()

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, began + PULSE_SECONDS - time.monotonic()))

    async def _reach(self) -> asyncpg.Connection:
        if self._conn is None or self._conn.is_closed():
            self._conn = await connect(self._url, application="seqpulse health")
            milliseconds = str(int(QUESTION_SECONDS * 1000))
            await self._conn.execute(
                query("workers.configure"), ["statement_timeout"], [milliseconds]
            )
        return self._conn

    def _leave(self) -> None:
        """Drop the connection: nobody waits for what is under way on it."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.terminate()

    def _lose(self, error: BaseException) -> None:
        self._leave()
        if not isinstance(error.__context__, asyncpg.InsufficientResourcesError):
            self._contact.lose(error)  # else it is there, but has no connection left for us
        self._facts = Facts()
        self._asked_at = dict.fromkeys(QUESTIONS, float("-inf"))

    async def _ask(self, conn: asyncpg.Connection) -> None:
        """Ask what it is time for; what cannot be answered is unknown until the next time."""
        for question, (pause_seconds, unknown) in QUESTIONS.items():
            if time.monotonic() - self._asked_at[question] < pause_seconds:
                continue
            self._asked_at[question] = time.monotonic()
            try:
                async with asyncio.timeout(QUESTION_SECONDS):
                    answer = await question(conn)
            except DATABASE_ERRORS as error:
                log.warning("check_failed", check=question.__name__, error=type(error).__name__)
                answer = unknown
                if not isinstance(error, asyncpg.PostgresError):
                    self._leave()  # it may still be busy with the question
            self._facts = replace(self._facts, **answer)
            if self._conn is None:
                return

    def _see(self) -> None:
        now = datetime.now(UTC)
        found = checks.judge(self._facts)
        since = dict.fromkeys(found, now)
        for name, before in self.view.checks.items():
            if before.status is found[name].status:
                since[name] = self.view.since[name]
            else:
                log.warning(
                    "check_changed", check=name, before=before.status, now=found[name].status
                )
        self.view = View(now, self._facts, found, since)


async def ask_schema(conn: Connection) -> dict[str, Any]:
    """Find out what is wrong with the schema."""
    try:
        await migrate.check(conn)
    except DatabaseError as error:
        return {"schema_fault": str(error)}
    return {"schema_fault": ""}


async def ask_queue(conn: Connection) -> dict[str, Any]:
    """Count the jobs."""
    return {"queue": await health.read_queue(conn)}


async def ask_workers(conn: Connection) -> dict[str, Any]:
    """Count the workers."""
    return {"workers": await health.read_workers(conn)}


async def ask_collection(conn: Connection) -> dict[str, Any]:
    """Count the slots of late."""
    return {"collection": await health.read_collection(conn)}


async def ask_upkeep(conn: Connection) -> dict[str, Any]:
    """Find out how the database fares with what it does by itself."""
    try:
        return {"upkeep": await health.read_upkeep(conn), "upkeep_fault": ""}
    except DatabaseError as error:
        return {"upkeep": None, "upkeep_fault": str(error)}


QUESTIONS: Final[Mapping[Question, tuple[float, dict[str, Any]]]] = {
    ask_workers: (2.0, {"workers": None}),
    ask_queue: (5.0, {"queue": None}),
    ask_collection: (15.0, {"collection": None}),
    ask_schema: (5.0, {"schema_fault": None}),
    ask_upkeep: (60.0, {"upkeep": None, "upkeep_fault": ""}),
}
"""What else is asked: how often, in seconds, and what is known without an answer."""
