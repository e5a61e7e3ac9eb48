"""Which API keys were used lately: noted in memory, written down now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from core.database import DATABASE_ERRORS, Pool
from sql import api_keys

log = structlog.get_logger(__name__)

WRITE_SECONDS: Final = 20.0


class Uses:
    """Keeps the time of last use of keys out of the way of the calls themselves."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def note(self, key_id: str) -> None:
        """Note that a key was used just now."""
        self._used.add(key_id)

    async def write(self, pool: Pool) -> None:
        """Write down what was noted; what cannot be written is noted at the next use."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            async with pool.acquire(timeout=5) as conn:
                await api_keys.note_use(conn, used)
        except DATABASE_ERRORS as error:
            log.warning("key_uses_not_written", error=type(error).__name__)

    @asynccontextmanager
    async def writing(self, pool: Pool) -> AsyncIterator[None]:
        """Write regularly, and once more at the end of the block."""
        task = asyncio.create_task(self._run(pool))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.write(pool)

    async def _run(self, pool: Pool) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write(pool)
