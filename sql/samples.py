"""Samples and missed slots, written in batches; `sql.windows` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from core.database import Connection
from core.types import METRICS, MissedSlot, Reading, Sample, Slot
from sql.texts import query

SLOTS: Final = ("metric_samples", "missed_slots")
"""Hypertables of slots."""


def _slot_columns(slots: Sequence[Slot]) -> list[list[object]]:
    return [
        [slot.slot_at for slot in slots],
        [slot.project_id for slot in slots],
        [slot.env for slot in slots],
        [slot.deployment_id for slot in slots],
        [slot.phase for slot in slots],
        [slot.sequence_index for slot in slots],
    ]


async def insert(conn: Connection, samples: Sequence[Sample]) -> None:
    """Store samples; one that is there already is left as it is."""
    if not samples:
        return
    readings = [[getattr(sample.reading, metric) for sample in samples] for metric in METRICS]
    slots = _slot_columns([sample.slot for sample in samples])
    extra = [sample.reading.extra for sample in samples]
    await conn.execute(query("samples.insert"), *slots, *readings, extra)


async def insert_missed(conn: Connection, missed: Sequence[MissedSlot]) -> None:
    """Store missed slots; one that is there already is left as it is."""
    if not missed:
        return
    await conn.execute(
        query("samples.insert_missed"),
        *_slot_columns([slot.slot for slot in missed]),
        [slot.code for slot in missed],
        [slot.detail for slot in missed],
    )


async def find_pushed(
    conn: Connection, project_id: UUID, env: str, since: datetime, until: datetime
) -> Reading | None:
    """Return the first sample of the continuous baseline in `since` <= slot_at < `until`."""
    row = await conn.fetchrow(query("samples.first_pushed"), project_id, env, since, until)
    return None if row is None else Reading(**row)


async def has_any(conn: Connection, project_id: UUID, env: str) -> bool:
    """Say whether a project has samples in an environment."""
    found: bool = await conn.fetchval(query("samples.has_any"), project_id, env)
    return found


async def list_chunks(conn: Connection, *tables: str) -> list[tuple[datetime, datetime]]:
    """Return the spans of time hypertables are cut into, the oldest first.

    Args:
        conn: Connection.
        *tables: Names of hypertables; none: samples and missed slots.
    """
    names = list(tables or SLOTS)
    return [(row[0], row[1]) for row in await conn.fetch(query("samples.chunks"), names)]


async def remove(conn: Connection, project_id: UUID, since: datetime, until: datetime) -> int:
    """Remove samples and missed slots of `since` <= slot_at < `until`; return how many samples."""
    await conn.execute(query("samples.remove_missed"), project_id, since, until)
    done = await conn.execute(query("samples.remove"), project_id, since, until)
    return int(done.rpartition(" ")[2])
