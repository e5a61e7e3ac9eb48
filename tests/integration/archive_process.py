"""One run of the archive, killed at a given step: files and decisive statements are steps.

    python archive_process.py DATABASE_URL FOLDER STEP

A file is opened to be written, renamed, removed; the manifest likewise; the chunk is held, its
drop recorded, dropped, committed: before each of these (after, for statements) the count goes up.
Prints the steps that were taken.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from asyncpg.connection import LoggedQuery

from core import logs
from core.database import connect
from sql.archive import expire
from sql.archive.store import Folder
from tests.history import KEEP, NOW

STATEMENTS = ("-- Against whoever", "INSERT INTO archived_chunks", "SELECT drop_chunks", "COMMIT")


class Doom:
    """Counts steps and kills the process at one of them, as kill -9 would."""

    def __init__(self, folder: str, last: int) -> None:
        self.folder = folder
        self.left = last

    def step(self, what: str) -> None:
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See what happens to files; an audit hook, so it is asked before it happens."""
        changes = event in ("os.rename", "os.remove") or (
            event == "open" and str(arguments[1]).startswith("w")
        )
        if changes and self.folder in str(arguments[0]):
            self.step(f"{event} {Path(str(arguments[0])).name}")


async def main(url: str, folder: str, last: int) -> None:
    doom = Doom(folder, last)
    conn = await connect(url)

    def look(record: LoggedQuery) -> None:
        if record.query.startswith(STATEMENTS):
            doom.step(record.query.split("\n")[0])

    sys.addaudithook(doom.watch)
    with conn.query_logger(look):
        await expire.run(conn, Folder(Path(folder)), NOW, KEEP)
    await conn.close()


if __name__ == "__main__":
    logs.configure("error")
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
