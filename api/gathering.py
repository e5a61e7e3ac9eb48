"""Looks up verdicts for all who ask: those who come while a lookup is under way go together next.

So a process under load asks the database a few times where it would ask a hundred times, nobody is
overtaken, and all lookups together use two connections of the pool. Without load each goes at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from typing import Final, NamedTuple
from uuid import UUID

from core.database import Pool
from sql import lookups
from sql.lookups import Lookup

TOGETHER: Final = 32
"""Lookups of one statement: more would keep the first of them waiting."""
STATEMENTS: Final = 2
"""At the same time: while one is under way, the answers of the other are sent."""
ACQUIRE_SECONDS: Final = 5.0


class Asked(NamedTuple):
    """Somebody who waits for a lookup."""

    key_id: str
    deployment_id: UUID
    answer: asyncio.Future[Lookup | None]


class Gathering:
    """Who asks."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque()
        self._somebody = asyncio.Event()

    async def find(self, key_id: str, deployment_id: UUID) -> Lookup | None:
        """Return what `sql.lookups.find` does."""
        asked = Asked(key_id, deployment_id, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        self._somebody.set()
        return await asked.answer

    @asynccontextmanager
    async def running(self, pool: Pool) -> AsyncIterator[None]:
        """Look up until the end of the block."""
        tasks = [asyncio.create_task(self._run(pool)) for _ in range(STATEMENTS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for asked in self._asked:
                asked.answer.cancel()

    async def _run(self, pool: Pool) -> None:
        while True:
            await self._somebody.wait()
            lot = [self._asked.popleft() for _ in range(min(TOGETHER, len(self._asked)))]
            if not self._asked:
                self._somebody.clear()
            if lot:
                await _answer(pool, lot)


async def _answer(pool: Pool, lot: list[Asked]) -> None:
    try:
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as conn:
            found = await lookups.find(conn, [(each.key_id, each.deployment_id) for each in lot])
    except Exception as error:  # noqa: BLE001 - it is theirs: each of them answers for itself
        for each in lot:
            if not each.answer.done():
                own = copy(error)  # one that many raise grows a traceback of all of them
                own.__cause__ = error
                each.answer.set_exception(own)
        return
    for each, lookup in zip(lot, found, strict=True):
        if not each.answer.done():
            each.answer.set_result(lookup)
