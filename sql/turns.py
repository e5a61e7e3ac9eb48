"""Turns: how often all workers together have read a target lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias
from uuid import UUID

from core.database import Connection
from sql.texts import query

Key: TypeAlias = tuple[UUID, str]
"""Project and environment of a target."""


async def take(
    conn: Connection, reads: Mapping[Key, int], seconds: float
) -> dict[Key, tuple[float, int]]:
    """Take a turn of each target that has one left.

    Args:
        conn: Connection.
        reads: How many reads each target may have in any `seconds`.
        seconds: See there.

    Returns:
        For each target 0 if a turn was taken, else the seconds until there is one; and the number
        of workers. A target that does not exist is left out.
    """
    rows = await conn.fetch(
        query("turns.take"),
        [project_id for project_id, _ in reads],
        [env for _, env in reads],
        list(reads.values()),
        seconds,
        max(reads.values(), default=1),
    )
    return {(row["project_id"], row["env"]): (row["pause_seconds"], row["workers"]) for row in rows}
