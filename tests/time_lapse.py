"""A worker's housekeeping by a clock that the test moves: `time_lapse FOLDER`, until it is killed.

The clock is the one row of the table `lapse`; what is kept is short, so that weeks suffice. The
row also says after how many steps this process kills itself, as kill -9 would. Steps are statements
that are done, and files of the archive in FOLDER that are about to be opened for writing, renamed
or removed. To die in the middle of a statement is to die after it: the server ends it either way,
and takes back what was not committed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from asyncpg.connection import LoggedQuery

from core import logs
from core.database import Connection, connect
from sql import edition, holds, locks, retention, rollups
from sql.archive import expire
from sql.archive.store import Folder
from sql.edition import Edition
from sql.retention import Retention
from sql.texts import query

DAY: Final = timedelta(days=1)
KEEP: Final = Retention(
    samples=9 * DAY, samples_5m=20 * DAY, samples_1h=100 * DAY, chunk=DAY, archived=True
)
COMPRESS: Final = """
SELECT compress_chunk(chunk, if_not_compressed => true)
  FROM show_chunks('metric_samples', older_than => $1::timestamptz) AS chunk
"""


class Doom:
    """Kills this process after so many steps."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.left: int | None = None

    def step(self, what: str) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            os.write(sys.stderr.fileno(), f"killed: {what}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def see_statement(self, record: LoggedQuery) -> None:
        self.step(" ".join(record.query.split())[:60])

    def see_file(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: it is asked before it happens."""
        changes = event in ("os.rename", "os.remove") or (
            event == "open" and str(arguments[1]).startswith("w")
        )
        if changes and self.folder in str(arguments[0]):
            self.step(f"file {event}")


async def keep(conn: Connection, store: Folder, now: datetime) -> None:
    """Keep house as `scheduler.house` does, but that the database does nothing by itself.

    Its policies go by the real clock. What the Community edition compresses is compressed here.
    """
    await rollups.prepare(conn)
    await rollups.roll(conn, now)
    await holds.fill(conn, 1800)
    if await retention.mark(conn, now, KEEP):
        if await edition.find(conn) is Edition.COMMUNITY:
            await conn.fetch(COMPRESS, now - 4 * DAY)
        await retention.drop_expired(conn, now, KEEP)
        await expire.run(conn, store, now, KEEP.samples)


async def main(folder: str) -> None:
    doom = Doom(folder)
    sys.addaudithook(doom.see_file)
    while True:
        conn = await connect(os.environ["SEQPULSE_DATABASE_URL"])
        if await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
            [(now, steps)] = await conn.fetch("SELECT now_at, steps FROM lapse")
            doom.left = steps if doom.left is None else doom.left
            with conn.query_logger(doom.see_statement):
                await keep(conn, Folder(Path(folder)), now)
            await conn.execute("UPDATE lapse SET kept_at = $1", now)
        await conn.close()


if __name__ == "__main__":
    logs.configure("warning", "json")
    asyncio.run(main(*sys.argv[1:]))
