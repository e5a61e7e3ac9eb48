"""Feeds who watches deployments: one look a second for all of them, and at once after a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import islice
from typing import Final
from uuid import UUID

import structlog

from core.database import DATABASE_ERRORS, Pool
from core.errors import NotFoundError
from sql import progress
from sql.progress import Progress

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
LOT: Final = 100
"""Deployments looked at together."""


class Watcher:
    """Somebody who watches one deployment; only the latest look counts."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._now: Progress | None = None

    async def wait(self) -> Progress:
        """Return how far the deployment is, once that was looked up again.

        Raises:
            NotFoundError: It is gone, or the process is about to end.
        """
        await self._changed.wait()
        self._changed.clear()
        if self._now is None:
            raise NotFoundError("the deployment is gone")
        return self._now

    def tell(self, now: Progress | None) -> None:
        """Say how far it is; None: there will be nothing more."""
        if now is None or now != self._now:
            self._now = now
            self._changed.set()


class Feed:
    """Who watches which deployment."""

    def __init__(self) -> None:
        self.closed = False
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._somebody = asyncio.Event()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """Return how many watch."""
        return sum(map(len, self._watchers.values()))

    @contextmanager
    def watch(self, deployment_id: UUID) -> Iterator[Watcher]:
        """Watch a deployment until the end of the block."""
        watcher = Watcher()
        theirs = self._watchers.setdefault(deployment_id, set())
        theirs.add(watcher)
        self._somebody.set()
        try:
            yield watcher
        finally:
            theirs.discard(watcher)
            if not theirs:
                del self._watchers[deployment_id]

    def hear(self, deployment_id: UUID) -> None:
        """Look again at once: something was told of this deployment."""
        if deployment_id in self._watchers:
            self._news.set()

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.tell(None)

    @asynccontextmanager
    async def running(self, pool: Pool) -> AsyncIterator[None]:
        """Feed until the end of the block."""
        task = asyncio.create_task(self._run(pool))
        try:
            yield
        finally:
            self.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, pool: Pool) -> None:
        while True:
            await self._somebody.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            self._news.clear()
            if not self._watchers:
                self._somebody.clear()
                continue
            try:
                await self._look(pool)
            except DATABASE_ERRORS as error:
                log.warning("streams_not_fed", error=type(error).__name__)

    async def _look(self, pool: Pool) -> None:
        left = iter(list(self._watchers))
        while lot := list(islice(left, LOT)):
            async with pool.acquire(timeout=LOOK_SECONDS) as conn:
                found = await progress.look(conn, lot)
            for deployment_id in lot:
                for watcher in self._watchers.get(deployment_id, ()):
                    watcher.tell(found.get(deployment_id))
