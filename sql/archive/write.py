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


def write_new(
    store: Store,
    table: Table,
    rows: pl.DataFrame,
    known: Sequence[Part],
    origin: Origin,
    number: int,
) -> Part | None:
    """Write the rows that the archive does not have.

    Args:
        store: Where to.
        table: What they are.
        rows: Sorted rows of one day.
        known: Parts that may have some of them; their content is sound.
        origin: Where they come from.
        number: Of the part among those of this chunk and day.

    Returns:
        The part; it belongs to the archive when the manifest says so. None if all were known.

    Raises:
        ArchiveError: It cannot be written, does not read back as it was, or the archive has other
            values for a slot.
    """
    new = _leave_out_known(store, rows, known) if known else rows
    if new.is_empty():
        return None
    content = _encode(table, new)
    path = name_part(table, new.item(0, "slot_at"), origin.chunk, number)
    store.write(path, content)
    if not new.equals(decode(store.read(path))):
        raise ArchiveError(f"{path} does not read back as it was written")
    slots = new["slot_at"]
    return Part(
        version=VERSION,
        path=path,
        rows=new.height,
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


def _encode(table: Table, rows: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    rows.write_parquet(
        file,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        row_group_size=ROW_GROUP_ROWS,
        metadata={"seqpulse.table": table.folder, "seqpulse.version": str(VERSION)},
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
