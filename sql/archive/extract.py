"""Rows of the database as frames, a bounded number at a time, whatever the size of the table.

The server sends columns, not rows (see `sql.frames`): one cell is all values of one service in one
day. That is about as fast as a binary COPY, but needs no work per row to be taken apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final, TypeAlias

import asyncpg
import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.database import Connection
from sql import frames
from sql.archive.layout import MOMENT, Table
from sql.texts import query

LOT_ROWS: Final = 500_000
SERVICES: Final = 16
"""Fetched at once: what one of them holds in a day is not known before."""
STATEMENT_SECONDS: Final = 3600.0
"""A statement over all of a chunk may take so long."""
SORT_MEMORY: Final = "64MB"

Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Digest:
    """Stands for a set of rows: how many, and the exclusive or of their 64-bit hashes."""

    rows: int = 0
    value: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, self.value ^ other.value)


async def read_digest(conn: Connection, table: Table, since: datetime, until: datetime) -> Digest:
    """Return the digest of the rows of `since` <= slot_at < `until`."""
    text = query(f"archive.digest_{table.folder}")
    row = await conn.fetchrow(text, since, until, timeout=STATEMENT_SECONDS)
    if row is None:  # an aggregate always has a row
        raise AssertionError
    return Digest(row["rows"], row["digest"])


async def extract(
    conn: Connection, table: Table, since: datetime, until: datetime, lot_rows: int = LOT_ROWS
) -> AsyncGenerator[tuple[pl.DataFrame, Digest]]:
    """Yield the rows of `since` <= slot_at < `until` as of one moment, sorted by their key.

    Args:
        conn: Connection; it is in a transaction until the generator ends.
        table: What to read.
        since: First moment.
        until: First moment after it; a day after `since` or less.
        lot_rows: A frame ends with the service that reaches so many.

    Yields:
        A frame of the schema of the table, and its digest.
    """
    async with conn.transaction():
        await conn.execute(query("archive.sort_in"), SORT_MEMORY)
        text = query(f"archive.read_{table.folder}")
        cursor = await conn.cursor(text, since, until, timeout=STATEMENT_SECONDS)
        lot: list[asyncpg.Record] = []
        rows = 0
        while found := await cursor.fetch(SERVICES, timeout=STATEMENT_SECONDS):
            lot += found
            rows += sum(service["rows"] for service in found)
            if rows >= lot_rows:
                yield await asyncio.to_thread(shape, table, lot)
                lot, rows = [], 0
        if lot:
            yield await asyncio.to_thread(shape, table, lot)


def shape(table: Table, services: Sequence[asyncpg.Record]) -> tuple[pl.DataFrame, Digest]:
    """Return the rows of services as one frame, and their digest."""
    counts = np.array([service["rows"] for service in services], dtype=np.int64)
    place = pl.Series(np.repeat(np.arange(len(services)), counts))
    digest = sum((Digest(each["rows"], each["digest"]) for each in services), Digest())

    def column(name: str, dtype: pl.DataType) -> pl.Series:
        if name in ("project_id", "env"):
            return pl.Series(name, [each[name] for each in services], dtype).gather(place)
        values = _join(name, dtype, services)
        if len(values) == digest.rows:
            return values
        if name in table.sparse:
            return _spread(values, _find(f"{name}_at", services, counts))
        return _spread(values, ~_find(f"{name}_gaps", services, counts))

    return pl.DataFrame([column(name, dtype) for name, dtype in table.schema.items()]), digest


def _join(name: str, dtype: pl.DataType, services: Sequence[asyncpg.Record]) -> pl.Series:
    """Return the values of a column that are there."""
    cells = [each[name] for each in services if each[name]]
    if dtype in (pl.Float64(), MOMENT):
        return pl.Series(name, _decode(b"".join(cells), dtype)).cast(dtype)
    return pl.Series(name, list(chain.from_iterable(cells)), dtype)


def _decode(cell: bytes, dtype: pl.DataType) -> NDArray[np.float64] | NDArray[np.int64]:
    wire = np.dtype(frames.WIRE[dtype])
    values = np.frombuffer(cell, wire).astype(wire.newbyteorder("="))
    return values + frames.EPOCH_MICROSECONDS if dtype == MOMENT else values


def _find(cell: str, services: Sequence[asyncpg.Record], counts: NDArray[np.int64]) -> Mask:
    """Return which rows the slots of a cell mean; slots ascend within a service."""
    found = np.zeros(counts.sum(), dtype=np.bool_)
    for service, end, count in zip(services, np.cumsum(counts), counts, strict=True):
        if service[cell]:
            slots = _decode(service["slot_at"], MOMENT)
            found[end - count + np.searchsorted(slots, _decode(service[cell], MOMENT))] = True
    return found


def _spread(values: pl.Series, present: Mask) -> pl.Series:
    """Return the values at their places, with nulls between them."""
    padded = values.extend_constant(None, 1)
    return padded.gather(np.where(present, np.cumsum(present) - 1, len(values)))
