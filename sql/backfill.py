"""Samples of the past, as a source told them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from core.database import Connection
from core.types import METRICS, Reading
from sql.texts import query


async def insert(
    conn: Connection, project_id: UUID, env: str, readings: Mapping[datetime, Reading]
) -> int:
    """Store readings by their slots and return how many slots had none yet.

    They count as read at their slot's own moment. A slot that has a sample keeps it, one that was
    missed is not missed any more.
    """
    columns = [[getattr(reading, name) for reading in readings.values()] for name in METRICS]
    added: int = await conn.fetchval(
        query("backfill.insert"), project_id, env, list(readings), *columns
    )
    return added
