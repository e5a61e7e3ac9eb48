"""Frames from the database: a query answers with one row, whose every cell is a whole column.

A record per row costs Python more than the query costs the server. So numbers and moments come as
`string_agg(float8send(x), NULL)` and the like, the wire format of one value after another, and are
turned into arrays at the speed of memory; texts come as `array_agg(x)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from core.database import Connection

EPOCH_MICROSECONDS: Final = 946_684_800_000_000
"""The first moment of 2000, from which the server counts."""

WIRE: Final = {
    pl.Int16(): ">i2",
    pl.Int64(): ">i8",
    pl.Float64(): ">f8",
    pl.Datetime("us", "UTC"): ">i8",
}
"""Types that come as bytes, in network order."""


async def fetch(
    conn: Connection, text: str, arguments: Sequence[object], schema: pl.Schema
) -> pl.DataFrame:
    """Return what a query of one row of columns answers.

    Args:
        conn: Connection.
        text: The query; its one row has a cell for every name of `schema`, null if it is empty.
        arguments: Its arguments.
        schema: Types of `WIRE` in that format without nulls (NaN instead), others as arrays.
    """
    row = await conn.fetchrow(text, *arguments)
    if row is None:  # an aggregate always has a row
        raise AssertionError
    return pl.DataFrame([_series(name, row[name], dtype) for name, dtype in schema.items()])


def _series(name: str, cell: bytes | list[object] | None, dtype: pl.DataType) -> pl.Series:
    if not isinstance(cell, bytes):
        return pl.Series(name, cell or [], dtype=dtype)
    wire = np.dtype(WIRE[dtype])
    values = np.frombuffer(cell, wire).astype(wire.newbyteorder("="))
    if isinstance(dtype, pl.Datetime):
        return pl.Series(name, values + EPOCH_MICROSECONDS).cast(dtype)
    return pl.Series(name, values)
