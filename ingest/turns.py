"""Turns of many reads at once: what is asked in the same moment is one question to the database."""

from __future__ import annotations

import asyncio
from collections import deque

from core.database import Pool
from core.types import Target
from ingest.limiter import Turn
from sql import turns
from sql.turns import Key

MARGIN: float = 1.05
"""A request arrives a little after its turn was taken, one later than another: for this much of a
slot they may, without a target ever seeing more in a slot than it should."""
GONE = Turn(0.0, 1)


class Turns:
    """Takes turns that count for all workers. Belongs to one event loop."""

    def __init__(self, pool: Pool, slot_seconds: float) -> None:
        """Start with nobody waiting.

        Args:
            pool: The database the workers share.
            slot_seconds: The time in which a target may have `Plan.reads_per_slot` reads.
        """
        self._pool = pool
        self._seconds = slot_seconds * MARGIN
        self._waiting: deque[tuple[Target, asyncio.Future[Turn]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def take(self, target: Target) -> Turn:
        """Take a turn of `target`, or hear when there is one.

        Raises:
            Exception: Whatever the database raised.
        """
        answer: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append((target, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def _ask(self) -> None:
        """Ask until nobody waits; who comes meanwhile is in the next question."""
        try:
            while self._waiting:
                await self._answer(self._choose())
        finally:
            self._asking = None

    def _choose(self) -> dict[Key, tuple[Target, asyncio.Future[Turn]]]:
        """Take those who wait out of the queue, but of each target only one."""
        asked: dict[Key, tuple[Target, asyncio.Future[Turn]]] = {}
        again = []
        while self._waiting:
            target, answer = self._waiting.popleft()
            key = (target.project_id, target.env)
            if key in asked:
                again.append((target, answer))
            elif not answer.done():
                asked[key] = (target, answer)
        self._waiting.extend(again)
        return asked

    async def _answer(self, asked: dict[Key, tuple[Target, asyncio.Future[Turn]]]) -> None:
        try:
            async with self._pool.acquire() as conn:
                reads = {key: target.plan.reads_per_slot for key, (target, _) in asked.items()}
                found = await turns.take(conn, reads, self._seconds)
        except Exception as error:  # noqa: BLE001 - it belongs to those who asked
            for _, answer in asked.values():
                if not answer.done():
                    answer.set_exception(error)
            return
        for key, (_, answer) in asked.items():
            if not answer.done():
                answer.set_result(Turn(*found[key]) if key in found else GONE)
