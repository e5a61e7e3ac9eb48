"""What the processes of the API served lately, told by each and read by whichever is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Connection
from sql.texts import query


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests of some time.

    Attributes:
        requests: How many.
        errors: How many of them were answered with a status of 500 or more.
        latencies: How many there were of each class of latency.
    """

    requests: int
    errors: int
    latencies: Sequence[int]


async def tell(conn: Connection, tally: Tally) -> None:
    """Write down what a process served since it last told."""
    await conn.execute(query("traffic.tell"), tally.requests, tally.errors, list(tally.latencies))


async def load_last_minute(conn: Connection) -> list[Tally]:
    """Return what all processes told in the last minute."""
    return [Tally(*row) for row in await conn.fetch(query("traffic.last_minute"))]


async def use_nonce(conn: Connection, nonce: str) -> bool:
    """Use a nonce up, and say whether it was still there to be used."""
    digest = hashlib.sha256(nonce.encode()).digest()
    return await conn.fetchval(query("traffic.use_nonce"), digest) is not None
