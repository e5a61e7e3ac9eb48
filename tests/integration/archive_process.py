"""One run of the archive that is killed at the first step at which none was killed before.

    python archive_process.py DATABASE_URL FOLDER STEP ...

Steps: a file is about to be opened for writing, renamed, removed; the chunk was locked, its drop
noted, the chunk dropped, a transaction committed. Prints the step it was killed at.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncpg.connection import LoggedQuery

from core import logs
from core.database import connect
from sql.archive import expire
from sql.archive.store import Folder
from tests.history import KEEP, NOW

STATEMENTS = (
    "-- Against whoever",
    "INSERT INTO archived_chunks",
    "SELECT drop_old_chunks",
    "COMMIT",
)


class Doom:
    """Kills the process at a step, as kill -9 would."""

    def __init__(self, folder: str, before: Sequence[str]) -> None:
        self.folder = folder
        self.before = before
        self.counts: Counter[str] = Counter()

    def step(self, what: str) -> None:
        self.counts[what] += 1
        name = f"{what} {self.counts[what]}"
        if name not in self.before:
            sys.stdout.write(name)
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See what happens to files; an audit hook, so it is asked before it happens."""
        changes = event in ("os.rename", "os.remove") or (
            event == "open" and str(arguments[1]).startswith("w")
        )
        if changes and self.folder in str(arguments[0]):
            self.step(f"{event} {Path(str(arguments[0])).name}")


async def main(url: str, folder: str, *before: str) -> None:
    doom = Doom(folder, before)
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
    asyncio.run(main(*sys.argv[1:]))
