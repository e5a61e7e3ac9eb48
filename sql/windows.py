"""What deployments are judged by, as frames: one deployment or thousands, live or years later.

Whatever is loaded here comes out the same whenever it is loaded, so that a verdict can be computed
again: nothing counts that was not known when the last post slot of the deployment was planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.database import Connection
from core.types import METRICS
from sql import frames
from sql.texts import query

Places: TypeAlias = NDArray[np.int64]

MOMENT: Final = pl.Datetime("us", "UTC")
PRE, POST = 1, 4
"""Numbers of the phases `pre` and `post`."""
LEAST_SAMPLES: Final = 3
"""Fewer of its own give way to another baseline, see `analytics.windows`."""
KINDS: Final = 65_536
UNPLACED: Final = 7
"""Parts of the key of a sample, see the query: its place times `KINDS` and what it is, which from
`UNPLACED` on is post, that one without a place in the window."""

DEPLOYMENTS: Final = pl.Schema(
    {
        "deployment_id": pl.String(),
        "project_id": pl.String(),
        "env": pl.String(),
        "triggered_at": MOMENT,
        "finished_at": MOMENT,
        "post_slots": pl.Int16(),
        "slot_seconds": pl.Float64(),
        "settled": pl.Boolean(),
        "extended": pl.Boolean(),
        "as_of": MOMENT,
    }
)
SAMPLES: Final = pl.Schema(
    {
        "key": pl.Int64(),
        "slot_at": MOMENT,
        **dict.fromkeys(METRICS, pl.Float64()),
    }
)
NEIGHBOURS: Final = pl.Schema(
    {
        "service_id": pl.String(),
        "deployment_id": pl.String(),
        "started_at": MOMENT,
        "ended_at": MOMENT,
        "bad": pl.Boolean(),
    }
)


@dataclass(frozen=True, slots=True)
class Material:
    """What deployments are judged by.

    Attributes:
        deployments: One row per finished deployment: deployment_id, project_id, env, triggered_at,
            finished_at, post_slots, slot_seconds, settled (no post slot is left to do), extended
            (its post window was), as_of (the database's clock), and service_id, which is the
            deployment's own id: every deployment has its own view of the neighbours.
        samples: row (place in `deployments`), phase (0 none, 1 `pre`, 2 `previous`, 3 `history`,
            4 `post`), slot_at, sequence_index (-1 for none) and the metrics (NaN for none), in
            any order.
        neighbours: service_id, deployment_id, started_at, ended_at, bad.
        profiles: Packed profiles (`analytics.profile`) by deployment id; those of one service
            may be one and the same object.
    """

    deployments: pl.DataFrame
    samples: pl.DataFrame
    neighbours: pl.DataFrame
    profiles: Mapping[str, bytes]

    def settled(self) -> Material:
        """Return what those are judged by whose post window is over; the others may wait."""
        over = self.deployments["settled"]
        if over.all():
            return self
        place = np.where(over, over.cum_sum().cast(pl.Int64) - 1, -1)
        samples = self.samples.with_columns(row=pl.Series(place).gather(self.samples["row"]))
        return replace(
            self,
            deployments=self.deployments.filter(over),
            samples=samples.filter(pl.col("row") >= 0),
        )


async def load(conn: Connection, ids: Sequence[UUID], baseline_seconds: float) -> Material:
    """Return what the finished ones of these deployments are judged by.

    Args:
        conn: Connection.
        ids: Deployments; those that are close in time cost less together.
        baseline_seconds: Length of the baseline window.
    """
    deployments = await frames.fetch(conn, query("windows.deployments"), [ids], DEPLOYMENTS)
    deployments = deployments.with_columns(service_id="deployment_id")
    known = deployments["deployment_id"].to_list()
    if not known:
        return Material(deployments, _unpack(SAMPLES.to_frame()), _nobody(), {})
    since, until = _enclose(deployments, baseline_seconds)
    window = [known, baseline_seconds, since, until]
    rows = _unpack(await frames.fetch(conn, query("windows.samples"), window, SAMPLES))
    around = [known, baseline_seconds]
    neighbours = await frames.fetch(conn, query("windows.neighbours"), around, NEIGHBOURS)
    return Material(
        deployments,
        pl.concat([rows, await _fall_back(conn, known, rows, neighbours)]),
        neighbours,
        {
            each: row["packed"]
            for row in await conn.fetch(query("windows.profiles"), known)
            for each in row["deployment_ids"]
        },
    )


async def _fall_back(
    conn: Connection, known: Sequence[str], rows: pl.DataFrame, neighbours: pl.DataFrame
) -> pl.DataFrame:
    """Load other baselines for the deployments whose own is too thin, or none."""
    continuous, pre = (
        np.bincount(rows["row"].filter(rows["phase"] == phase).to_numpy(), minlength=len(known))
        for phase in (0, PRE)
    )
    continuous -= _count_bad(known, rows, neighbours)
    own = np.where(continuous > 0, continuous, pre)
    without = np.flatnonzero(own < LEAST_SAMPLES)
    if not without.size:
        return rows.clear()
    ids = [known[place] for place in without.tolist()]
    found = _unpack(await frames.fetch(conn, query("windows.fallbacks"), [ids], SAMPLES))
    # It counts places among those without; what is wanted is the place among all.
    return found.with_columns(row=without[found["row"].to_numpy()])


def _count_bad(known: Sequence[str], rows: pl.DataFrame, neighbours: pl.DataFrame) -> Places:
    """How many continuous samples of each are from the time of a deployment that did harm."""
    place = pl.DataFrame({"service_id": known, "row": np.arange(len(known))})
    bad = neighbours.filter("bad").join(place, on="service_id")
    hit = (
        rows.filter(pl.col("phase") == 0)
        .select("row", "slot_at")
        .join(bad.select("row", "started_at", "ended_at"), on="row")
        .filter(pl.col("slot_at").is_between("started_at", "ended_at"))
        .unique(["row", "slot_at"])
    )
    return np.bincount(hit["row"].to_numpy(), minlength=len(known))


def _unpack(rows: pl.DataFrame) -> pl.DataFrame:
    """Unpack the key of each sample, see the query."""
    place, kind = np.divmod(rows["key"].to_numpy(), KINDS)
    return pl.DataFrame(
        {
            "row": place - 1,
            "phase": np.where(kind < UNPLACED, kind, POST),
            "slot_at": rows["slot_at"],
            "sequence_index": np.where(kind < UNPLACED, -1, kind - UNPLACED - 1),
            **{name: rows[name] for name in METRICS},
        }
    )


def _enclose(deployments: pl.DataFrame, baseline_seconds: float) -> tuple[datetime, datetime]:
    """Return two moments between which all windows lie."""
    post = pl.duration(microseconds=pl.col("post_slots") * pl.col("slot_seconds") * 1e6)
    since, until = deployments.select(
        pl.col("triggered_at").min(), until=(pl.col("finished_at") + post).max()
    ).row(0)
    room = timedelta(seconds=1)
    return since - timedelta(seconds=baseline_seconds) - room, until + room


def _nobody() -> pl.DataFrame:
    return NEIGHBOURS.to_frame()
