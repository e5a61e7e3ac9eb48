"""The archive as one lazy frame."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from sql.archive import manifest
from sql.archive.layout import SAMPLES, Table
from sql.archive.store import open_store


def scan(
    place: str,
    table: Table = SAMPLES,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.LazyFrame:
    """Return the rows of the archive with `since` <= slot_at < `until`.

    Only files that may have such rows are opened; what else is filtered (a project, a metric) is
    pushed down into them. No slot comes twice.

    Args:
        place: Folder or URL of the archive.
        table: `SAMPLES` or `MISSED`.
        since: First moment; None: from the beginning.
        until: First moment after it; None: to the end.

    Returns:
        Columns of `table.schema`, in no order: moments in UTC, ids as text.

    Raises:
        ArchiveError: There is no archive, or its manifest cannot be read.
    """
    store = open_store(place)
    parts = manifest.select(manifest.load(store), table, since, until)
    if not parts:
        return table.schema.to_frame().lazy()
    sources = store.sources([part.path for part in parts])
    rows = pl.scan_parquet(sources, glob=False, hive_partitioning=False)
    if since is not None:
        rows = rows.filter(pl.col("slot_at") >= since)
    if until is not None:
        rows = rows.filter(pl.col("slot_at") < until)
    return rows
