"""Profiles of services: how much each moves by itself, made of its own history and kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import polars as pl

from core.database import Connection
from core.types import METRICS
from sql import frames
from sql.texts import query

HISTORY: Final = pl.Schema(
    {"slot_at": pl.Datetime("us", "UTC"), **dict.fromkeys(METRICS, pl.Float64())}
)


async def find_latest(
    conn: Connection, project_id: UUID, env: str, until: datetime
) -> datetime | None:
    """Return the end of the history of the latest profile up to `until`, or None."""
    latest: datetime | None = await conn.fetchval(query("profiles.latest"), project_id, env, until)
    return latest


async def load_history(
    conn: Connection, project_id: UUID, env: str, since: datetime, until: datetime
) -> pl.DataFrame:
    """Return the continuous samples of a service in [since, until), in any order.

    Returns:
        Frame of `HISTORY`; NaN where there is no value.
    """
    window = [project_id, env, since, until]
    return await frames.fetch(conn, query("profiles.history"), window, HISTORY)


async def save(
    conn: Connection, project_id: UUID, env: str, until: datetime, packed: bytes
) -> None:
    """Store a profile; one of the same history that is there already stays."""
    await conn.execute(query("profiles.insert"), project_id, env, until, packed)
