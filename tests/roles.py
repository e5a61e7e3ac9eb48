"""The roles of a test's database. They belong to the whole server, so tests make them in turn."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from core.database import connect
from sql import roles

PASSWORD: Final = "p'assword of the tests"
ANALYST: Final = "seqpulse_analyst"
GRAFANA: Final = "seqpulse_grafana"


async def make(url: str) -> None:
    """Make the roles of `url`, all with `PASSWORD`."""
    with (Path(tempfile.gettempdir()) / "seqpulse-test-roles.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        conn = await connect(url)
        try:
            script = await roles.write_script(conn, dict.fromkeys(roles.NAMES, PASSWORD))
            await roles.apply(conn, script)
        finally:
            await conn.close()


def url_as(url: str, role: str) -> str:
    """Return `url` for one of them."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    password = PASSWORD.replace("'", "%27").replace(" ", "%20")
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{place}"))
