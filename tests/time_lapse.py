"""A worker's housekeeping by a clock that the test moves: `time_lapse`, until it is killed.

The clock is the one row of the table `lapse`; what is kept is short, so that weeks suffice.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Final

from core import logs
from core.database import connect
from sql import holds, locks, retention, rollups
from sql.retention import Retention
from sql.texts import query

DAY: Final = timedelta(days=1)
KEEP: Final = Retention(samples=9 * DAY, samples_5m=20 * DAY, samples_1h=100 * DAY, chunk=DAY)


async def main() -> None:
    """Keep house as `scheduler.house` does, again and again; note which round has ended."""
    while True:
        conn = await connect(os.environ["SEQPULSE_DATABASE_URL"])
        if await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
            await rollups.prepare(conn)
            now = await conn.fetchval("SELECT now_at FROM lapse")
            await rollups.roll(conn, now)
            await holds.fill(conn, 1800)
            if await retention.mark(conn, now, KEEP):
                await retention.drop_expired(conn, now, KEEP)
            await conn.execute("UPDATE lapse SET kept_at = $1", now)
        await conn.close()


if __name__ == "__main__":
    logs.configure("warning", "json")
    asyncio.run(main())
