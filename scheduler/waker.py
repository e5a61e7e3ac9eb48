"""Wakes workers after a commit: one NOTIFY at a time, whatever the number of commits.

NOTIFY inside the enqueuing transaction would be simpler, but its commit takes a lock of the whole
database cluster, so concurrent enqueues would wait for each other's flush to disk. Here they do
not: commits that come while a NOTIFY is under way share the next one. A process that dies between
commit and NOTIFY costs latency, nothing else: workers look by themselves (`Options.poll_seconds`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from core.database import DATABASE_ERRORS, Pool
from scheduler import queue

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 0.005
"""After a NOTIFY: the commits of that time share the next one."""


class Waker:
    """Told of commits; wakes the workers."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def wake(self) -> None:
        """Say that jobs were committed."""
        self._told.set()

    @asynccontextmanager
    async def running(self, pool: Pool) -> AsyncIterator[None]:
        """Do the work in the background until the end of the block."""
        task = asyncio.create_task(self._run(pool))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, pool: Pool) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                async with pool.acquire() as conn:
                    await queue.wake(conn)
            except DATABASE_ERRORS as error:
                log.warning("workers_not_woken", error=type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)
