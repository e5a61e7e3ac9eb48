"""Frames into the archive: only what it does not have, and only believed once it was read back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import polars as pl

from core.errors import ArchiveError
from sql.archive.extract import shape
from sql.archive.layout import KEY, VERSION, Table, name_part
from sql.archive.manifest import Part
from sql.archive.store import Store

ZSTD_LEVEL: Final = 3
ROW_GROUP_ROWS: Final = 100_000
"""So that reading one service touches little else."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from.

    Attributes:
        database: Identity of the database.
        chunk: The piece of the hypertable.
        at: The moment it is archived.
    """

    database: UUID
    chunk: str
    at: datetime


def write_lot(
    store: Store, table: Table, text: bytes, known: Sequence[Part], origin: Origin, number: int
) -> tuple[int, list[Part]]:
    """Write of some rows those that the archive does not have, a part for every day.

    Args:
        store: Where to.
        table: What they are.
        text: Rows as `extract` hands them over.
        known: Parts that may have some of them; their content is sound.
        origin: Where they come from.
        number: Of these parts among those of the chunk.

    Returns:
        How many rows it were, and the parts; they belong to the archive when the manifest says so.

    Raises:
        ArchiveError: They cannot be written, do not read back as they were, or the archive has
            other values for a slot.
    """
    rows = shape(table, text)
    parts = []
    for (day,), part_rows in rows.group_by(pl.col("slot_at").dt.date(), maintain_order=True):
        there = [part for part in known if part.day == day]
        new = _leave_out_known(store, part_rows, there) if there else part_rows
        if len(new):
            parts.append(_write(store, table, new, origin, number))
    return len(rows), parts


def _write(store: Store, table: Table, rows: pl.DataFrame, origin: Origin, number: int) -> Part:
    """Write rows of one day as a part."""
    content = _encode(table, rows, origin)
    slots = rows["slot_at"]
    path = name_part(table, slots[0], origin.chunk, number)
    store.write(path, content)
    if not rows.equals(decode(store.read(path))):
        raise ArchiveError(f"{path} does not read back as it was written")
    return Part(
        version=VERSION,
        path=path,
        rows=len(rows),
        min_slot_at=slots.min(),
        max_slot_at=slots.max(),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        chunk=origin.chunk,
        database=origin.database,
        archived_at=origin.at,
    )


def decode(content: bytes | None) -> pl.DataFrame:
    """Return the rows of a file; of no file, none."""
    if content is None:
        return pl.DataFrame()
    return pl.read_parquet(io.BytesIO(content), hive_partitioning=False)


def _encode(table: Table, rows: pl.DataFrame, origin: Origin) -> bytes:
    file = io.BytesIO()
    rows.write_parquet(
        file,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        row_group_size=ROW_GROUP_ROWS,
        metadata={
            "seqpulse.table": table.folder,
            "seqpulse.version": str(VERSION),
            "seqpulse.database": str(origin.database),
            "seqpulse.archived_at": origin.at.isoformat(),
        },
    )
    return file.getvalue()


def _leave_out_known(store: Store, rows: pl.DataFrame, known: Sequence[Part]) -> pl.DataFrame:
    """Return the rows whose slot is not in the archive.

    Raises:
        ArchiveError: A slot is in the archive with other values: neither may be lost.
    """
    first, last = rows.item(0, "project_id"), rows.item(-1, "project_id")
    sources = store.sources([part.path for part in known])
    near = pl.col("project_id").is_between(pl.lit(first), pl.lit(last))
    there = pl.scan_parquet(sources, glob=False, hive_partitioning=False).filter(near).collect()
    new = rows.join(there, on=KEY, how="anti", maintain_order="left")
    differing = rows.join(there, on=rows.columns, how="anti", nulls_equal=True)
    if differing.height > new.height:
        slot = differing.join(new, on=KEY, how="anti").row(0, named=True)
        raise ArchiveError(
            f"the archive has other values than the database for {differing.height - new.height} "
            f"slots, say {slot['project_id']} {slot['env']} {slot['slot_at']:%Y-%m-%dT%H:%M:%SZ}"
        )
    return new
