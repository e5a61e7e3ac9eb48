"""Tables that are in use are waited for in short turns: nobody waits behind us for long."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import asyncpg

from core.database import Connection
from sql.texts import query


class Patience(NamedTuple):
    """How a table that is in use is waited for.

    Attributes:
        wait_seconds: Of one attempt. Who comes after us waits behind it.
        attempts: How many there are.
        pause_seconds: Between two of them; it lets those through who wait behind us.
    """

    wait_seconds: float
    attempts: int
    pause_seconds: float


async def patiently(conn: Connection, patience: Patience, *statements: tuple[object, ...]) -> None:
    """Run statements that lock a table, each with its arguments, all or nothing.

    Raises:
        LockNotAvailableError: The table was in use, however often we tried.
    """
    for left in reversed(range(patience.attempts)):
        try:
            async with conn.transaction():
                wait = f"{patience.wait_seconds * 1000:.0f}ms"
                await conn.execute(query("patience.limit_wait"), wait)
                for text, *arguments in statements:
                    await conn.execute(str(text), *arguments)
            return
        except asyncpg.LockNotAvailableError:
            if not left:
                raise
            await asyncio.sleep(patience.pause_seconds)
