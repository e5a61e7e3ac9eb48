"""Everything that was ever accepted, kept beside the database, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from core.database import Connection
from core.types import METRICS, CollectCode, MissedSlot, Slot
from sql import bulk, samples
from sql.rollups import COARSE, Rollup

MOMENT = bulk.ROWS["slot_at"]
KEYS = ["project_id", "env", "bucket_at"]
AGGREGATES = [f"{name}_{what}" for name in METRICS for what in ("mean", "min", "max")]


@dataclass
class Ledger:
    """What was written; moments are made beforehand, numbers at random."""

    conn: Connection
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(6))
    frames: list[pl.DataFrame] = field(default_factory=list)
    missed: list[tuple[str, str, datetime]] = field(default_factory=list)

    async def add(self, project_id: UUID, moments: list[datetime], env: str = "prod") -> int:
        """Write a sample at each moment; return how many are new, which count."""
        numbers = {name: self.random.lognormal(0, 2, len(moments)) % 1 for name in METRICS}
        columns = {"slot_at": moments, "env": [env] * len(moments), **numbers}
        rows = pl.DataFrame({**columns, "extra": [None] * len(moments)}, schema=bulk.ROWS)
        stored = await bulk.write(self.conn, project_id, rows)
        self.frames.append(rows.with_columns(project_id=pl.lit(str(project_id))))
        return stored

    async def miss(self, project_id: UUID, moments: list[datetime], env: str = "prod") -> None:
        """Write a missed slot at each moment."""
        slots = [Slot(project_id, env, moment) for moment in moments]
        gone = [MissedSlot(slot, CollectCode.TIMEOUT, "") for slot in slots]
        await samples.insert_missed(self.conn, gone)
        self.missed += [(str(project_id), env, moment) for moment in moments]

    def accepted(self) -> pl.DataFrame:
        """Return every sample once; of two of one slot the first counts."""
        return pl.concat(self.frames).unique(["project_id", "env", "slot_at"], keep="first")

    def roll(self, rollup: Rollup, since: datetime, until: datetime) -> pl.DataFrame:
        """Return what the buckets of [since, until) must be."""
        schema: dict[str, Any] = {
            "project_id": pl.String,
            "env": pl.String,
            "slot_at": bulk.ROWS["slot_at"],
        }
        missed = pl.DataFrame(self.missed, schema=schema, orient="row").with_columns(present=False)
        every = pl.concat(
            [self.accepted().drop("extra").with_columns(present=True), missed], how="diagonal"
        )
        bucket = pl.col("slot_at").dt.truncate(rollup.width)
        return (
            every.with_columns(bucket_at=bucket)
            .filter(pl.col("bucket_at").is_between(since, until, closed="left"))
            .group_by(KEYS)
            .agg(
                samples=pl.col("present").sum().cast(pl.Int64),
                missed=(~pl.col("present")).sum().cast(pl.Int64),
                **{f"{name}_mean": pl.col(name).mean() for name in METRICS},
                **{f"{name}_min": pl.col(name).min() for name in METRICS},
                **{f"{name}_max": pl.col(name).max() for name in METRICS},
            )
            .select(*KEYS, "samples", "missed", *AGGREGATES)
            .sort(KEYS)
        )

    def roll_fleet(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Return what the hours of the fleet must be."""
        return (
            self.roll(COARSE, since, until)
            .group_by("env", "bucket_at")
            .agg(pl.len().cast(pl.Int64).alias("services"), pl.sum("samples", "missed"))
            .sort("env", "bucket_at")
        )


async def read(conn: Connection, table: str, since: datetime, until: datetime) -> pl.DataFrame:
    """Return buckets of a rollup or its view, as `Ledger.roll` does."""
    names = ", ".join(["project_id::text", "env", "bucket_at", "samples", "missed", *AGGREGATES])
    rows = await conn.fetch(
        f"SELECT {names} FROM {table} WHERE bucket_at >= $1 AND bucket_at < $2", since, until
    )
    schema: dict[str, Any] = {
        "project_id": pl.String,
        "env": pl.String,
        "bucket_at": MOMENT,
        **dict.fromkeys(("samples", "missed"), pl.Int64),
        **dict.fromkeys(AGGREGATES, pl.Float64),
    }
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row").sort(KEYS)


async def read_fleet(conn: Connection) -> pl.DataFrame:
    """Return all hours of the fleet, as `Ledger.roll_fleet` does; each sketch is of all samples."""
    rows = await conn.fetch(
        "SELECT env, bucket_at, services, samples, missed, coalesce((SELECT sum(e & 65535) "
        "FROM unnest(sketch) AS e), 0) AS values FROM report.samples_fleet_1h"
    )
    assert all(row["values"] == row["samples"] * len(METRICS) for row in rows)
    counts = dict.fromkeys(("services", "samples", "missed"), pl.Int64)
    schema: dict[str, Any] = {"env": pl.String, "bucket_at": MOMENT, **counts}
    found = pl.DataFrame([tuple(row)[:-1] for row in rows], schema=schema, orient="row")
    return found.sort("env", "bucket_at")


def assert_same(found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    """Compare buckets: the same ones, counts exact, numbers to 1e-6."""
    assert_frame_equal(found, wanted, check_exact=False, rel_tol=1e-6, abs_tol=1e-12)


def minutes(since: datetime, count: int, step: float = 1) -> list[datetime]:
    """Return `count` moments, `step` minutes apart."""
    return [since + timedelta(minutes=step * place) for place in range(count)]
