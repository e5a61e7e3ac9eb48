"""Waiting for verdicts: thousands of requests, one listening connection, one lookup for them all.

A process hears of verdicts on a connection of its own (LISTEN). Those that were told, and those
that somebody just began to wait for, are looked up together; who waits for one gets its serialised
answer. So no request holds a connection of the pool while it waits, and all of them use one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final
from uuid import UUID

import structlog
from starlette.types import Receive

from core.database import DATABASE_ERRORS, Connection, Contact, Pool, connect
from core.errors import DatabaseError
from sql import lookups
from sql.lookups import Answer

log = structlog.get_logger(__name__)

LOT: Final = 100
"""Verdicts looked up at once: few, so that the first are sent while the next are looked up."""
RECONNECT_SECONDS: Final = 0.5

Waiter = asyncio.Future[Answer | None]


class Waiting:
    """Who waits for which verdict."""

    def __init__(
        self, url: str, poll_seconds: float, also: Callable[[UUID], None] = lambda _: None
    ) -> None:
        """Start with nobody.

        Args:
            url: The database, for the listening connection.
            poll_seconds: How often all who wait are looked up although nothing was heard: a
                connection may be lost in silence, or lead through a pooler that swallows LISTEN.
            also: Told of every verdict, too, by the id of its deployment.
        """
        self._also = also
        self._url = url
        self._poll_seconds = poll_seconds
        self._waiters: dict[UUID, set[Waiter]] = {}
        self._told: set[UUID] = set()
        self._news = asyncio.Event()
        self._watches: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._waiters.values()))

    async def wait(self, deployment_id: UUID, seconds: float, receive: Receive) -> Answer | None:
        """Return the verdict of a deployment as soon as there is one.

        Args:
            deployment_id: Which deployment.
            seconds: How long to wait at most.
            receive: Of the request: who hangs up waits no longer.

        Returns:
            None: there is none yet, or the client is gone, or the process is about to end.
        """
        if self._closed:
            return None
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        theirs = self._waiters.setdefault(deployment_id, set())
        theirs.add(waiter)
        self._tell(deployment_id)  # it may be there already: the caller looked before it waited
        timeout = loop.call_later(seconds, _end, waiter)
        watch = loop.create_task(_watch(receive, waiter))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        try:
            return await waiter
        finally:
            timeout.cancel()
            watch.cancel()
            theirs.discard(waiter)
            if not theirs and self._waiters.get(deployment_id) is theirs:
                del self._waiters[deployment_id]

    def close(self) -> None:
        """End every wait at once, and those that are still to come."""
        self._closed = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                _end(waiter)

    @asynccontextmanager
    async def running(self, pool: Pool) -> AsyncIterator[None]:
        """Listen and look until the end of the block."""
        tasks = [asyncio.create_task(work) for work in (self._listen(), self._look(pool))]
        try:
            yield
        finally:
            self.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self, deployment_id: UUID) -> None:
        self._told.add(deployment_id)
        self._news.set()

    def _tell_all(self) -> None:
        self._told.update(self._waiters)
        self._news.set()

    def _hear(self, _conn: object, _pid: int, _channel: str, payload: object) -> None:
        deployment_id = UUID(str(payload))
        self._also(deployment_id)
        if deployment_id in self._waiters:
            self._tell(deployment_id)

    async def _listen(self) -> None:
        """Keep a connection that listens; what was told while there was none is looked up."""
        contact = Contact("waiters")
        while True:
            try:
                await self._listen_once(contact)
                contact.lose(ConnectionError("the connection ended"))
            except (*DATABASE_ERRORS, DatabaseError) as error:
                contact.lose(error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, contact: Contact) -> None:
        conn = await connect(self._url, application="seqpulse waiting")
        lost = asyncio.Event()
        try:
            conn.add_termination_listener(lambda _: lost.set())
            await conn.add_listener(lookups.CHANNEL, self._hear)
            contact.keep()
            self._tell_all()
            await lost.wait()
        finally:
            conn.terminate()

    async def _look(self, pool: Pool) -> None:
        while True:
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._news.wait()
            except TimeoutError:
                self._tell_all()
            self._news.clear()
            wanted = self._told & self._waiters.keys()
            self._told.clear()
            if not wanted:
                continue
            try:
                async with pool.acquire(timeout=self._poll_seconds) as conn:
                    await self._serve(conn, wanted)
            except DATABASE_ERRORS as error:
                log.warning("waiters_not_served", error=type(error).__name__)
                self._told |= wanted
                await asyncio.sleep(RECONNECT_SECONDS)
                self._news.set()

    async def _serve(self, conn: Connection, wanted: set[UUID]) -> None:
        left = iter(wanted)
        while lot := list(islice(left, LOT)):
            for deployment_id, answer in (await lookups.find_answers(conn, lot)).items():
                for waiter in self._waiters.pop(deployment_id, ()):
                    _end(waiter, answer)


async def _watch(receive: Receive, waiter: Waiter) -> None:
    """End a wait when the client hangs up."""
    with contextlib.suppress(Exception):  # whatever it is, the request has ended
        while (await receive())["type"] != "http.disconnect":
            pass
    _end(waiter)


def _end(waiter: Waiter, answer: Answer | None = None) -> None:
    if not waiter.done():
        waiter.set_result(answer)
