"""Turns of many reads at once: what is asked in the same moment is one question to the database."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, TypeAlias

from core.database import Pool
from core.types import Target
from ingest.limiter import Turn
from sql import turns
from sql.turns import Key

MARGIN_RATIO: Final = 0.05
MARGIN_SECONDS: Final = 0.25
"""A request arrives a little after its turn was taken, one later than another. So much longer than
a slot (the larger of the two) is the time that is counted, and so old a turn may be when it is
used."""
GONE: Final = Turn(0.0, 1)

Answer: TypeAlias = tuple[Turn, float]
"""A turn, and when it was asked for by the clock of the loop."""


class Turns:
    """Takes turns that count for all workers. Belongs to one event loop."""

    def __init__(self, pool: Pool, slot_seconds: float) -> None:
        """Start with nobody waiting.

        Args:
            pool: The database the workers share.
            slot_seconds: The time in which a target may have `Plan.reads_per_slot` reads.
        """
        self._pool = pool
        self._margin = max(MARGIN_RATIO * slot_seconds, MARGIN_SECONDS)
        self._seconds = slot_seconds + self._margin
        self._waiting: deque[tuple[Target, asyncio.Future[Answer]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def take(self, target: Target) -> Turn:
        """Take a turn of `target`, or hear when there is one.

        A turn that comes so late that it could fall together with the next ones is thrown away.

        Raises:
            Exception: Whatever the database raised.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((target, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        turn, asked_at = await answer
        late = asyncio.get_running_loop().time() - asked_at
        if turn.pause_seconds == 0 and late > self._margin:
            return turn._replace(pause_seconds=self._margin)
        return turn

    async def _ask(self) -> None:
        """Ask until nobody waits; who comes meanwhile is in the next question."""
        try:
            while self._waiting:
                await self._answer(self._choose())
        finally:
            self._asking = None

    def _choose(self) -> dict[Key, tuple[Target, asyncio.Future[Answer]]]:
        """Take those who wait out of the queue, but of each target only one."""
        asked: dict[Key, tuple[Target, asyncio.Future[Answer]]] = {}
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

    async def _answer(self, asked: dict[Key, tuple[Target, asyncio.Future[Answer]]]) -> None:
        try:
            async with self._pool.acquire() as conn:
                asked_at = asyncio.get_running_loop().time()
                reads = {key: target.plan.reads_per_slot for key, (target, _) in asked.items()}
                found = await turns.take(conn, reads, self._seconds)
        except Exception as error:  # noqa: BLE001 - it belongs to those who asked
            for _, answer in asked.values():
                if not answer.done():
                    answer.set_exception(error)
            return
        for key, (_, answer) in asked.items():
            if not answer.done():
                answer.set_result((Turn(*found[key]) if key in found else GONE, asked_at))
