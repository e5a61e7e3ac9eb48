"""Samples and missed slots, written in batches; `sql.windows` reads them."""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Connection
from core.types import METRICS, MissedSlot, Sample, Slot
from sql.texts import query


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
    await conn.execute(query("samples.insert"), *slots, *readings)


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
