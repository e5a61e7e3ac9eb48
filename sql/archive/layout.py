"""What the archive is made of: two tables, cut into days, and their schema.

samples/day=2026-01-31/part-_hyper_1_7_chunk-0001.parquet
missed/day=2026-01-31/part-_hyper_2_9_chunk-0001.parquet
_manifest.jsonl
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from core.types import METRICS

VERSION: Final = 1
"""Of the schema; stands in every file and in the manifest."""
MOMENT: Final = pl.Datetime("us", "UTC")
KEY: Final = ("project_id", "env", "slot_at")
"""What makes a row the same row, and the order of the rows in a file."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is archived.

    Attributes:
        name: The hypertable.
        folder: Its folder in the archive; also the ending of the names of its queries.
        schema: Columns of its files. Ids are texts, `extra` is a JSON object of numbers.
    """

    name: str
    folder: str
    schema: pl.Schema


_SLOT: Final = {
    "project_id": pl.String(),
    "env": pl.String(),
    "deployment_id": pl.String(),
    "phase": pl.String(),
    "sequence_index": pl.Int16(),
}

SAMPLES: Final = Table(
    "metric_samples",
    "samples",
    pl.Schema(
        {
            "slot_at": MOMENT,
            "collected_at": MOMENT,
            **_SLOT,
            **dict.fromkeys(METRICS, pl.Float64()),
            "extra": pl.String(),
        }
    ),
)
MISSED: Final = Table(
    "missed_slots",
    "missed",
    pl.Schema(
        {
            "slot_at": MOMENT,
            "missed_at": MOMENT,
            **_SLOT,
            "code": pl.String(),
            "detail": pl.String(),
        }
    ),
)
TABLES: Final = (SAMPLES, MISSED)
FOLDERS: Final = {table.folder: table for table in TABLES}


def name_part(table: Table, at: datetime, chunk: str, number: int) -> str:
    """Return the path of a part of the day of `at`."""
    return f"{table.folder}/day={at.astimezone(UTC):%Y-%m-%d}/part-{chunk}-{number:04}.parquet"
