"""The schema all migrations together make, as text: `python -m sql.schema` prints it.

For reading, and for seeing in a diff what a migration does; databases are made by migrations.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core import logs, settings
from core.database import Connection, connect
from sql import embedded
from sql.scratch import scratch_database
from sql.texts import FOLDER, query

SNAPSHOT: Final = FOLDER / "schema.sql"
MAJOR: Final = 17
"""Of the PostgreSQL that the snapshot is made with."""
HEAD: Final = "-- Made by `make schema` of all migrations; not run by anything.\n"
PARTS: Final = {
    "tables": "\n\n",
    "hypertables": "\n",
    "indexes": "\n",
    "functions": "\n\n",
    "views": "\n\n",
    "comments": "\n",
}
"""In their order, and what stands between two statements."""


async def describe(conn: Connection) -> str:
    """Return the schema of a database, a statement per table, index, function, view and comment."""
    texts = [HEAD]
    for part, between in PARTS.items():
        rows = await conn.fetch(query(f"schema.{part}"))
        texts.append(between.join(row["ddl"] for row in rows) + "\n")
    return "\n".join(texts)


async def _describe_fresh(server_url: str) -> str:
    async with scratch_database(server_url) as url:
        conn = await connect(url)
        try:
            return await describe(conn)
        finally:
            await conn.close()


@contextmanager
def private_server() -> Iterator[str]:
    """Lend a server of one's own, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-schema-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    try:
        with embedded.running(folder, settings.load().cache_dir) as server:
            yield server.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Print the schema that the migrations make on a private server."""
    logs.configure("warning")
    with private_server() as url:
        sys.stdout.write(asyncio.run(_describe_fresh(url)))


if __name__ == "__main__":
    main()
