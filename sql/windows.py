"""What deployments are judged by, as frames: one deployment or thousands, live or years later.

Whatever is loaded here comes out the same whenever it is loaded, so that a verdict can be computed
again: nothing counts that was not known when the last post slot of the deployment was planned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import compress
from typing import Any, Final, TypeAlias
from uuid import UUID

import numpy as np
import polars as pl

from core.database import Connection
from core.types import METRICS
from sql import frames, holds
from sql.spans import MOMENT, POST, PRE, SPANS, Places, match
from sql.texts import query

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
        "held": pl.Boolean(),
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

Find: TypeAlias = Callable[[pl.DataFrame], pl.DataFrame]
"""Finds samples that are elsewhere: takes `sql.spans.SPANS`, returns `sql.spans.FOUND`."""


@dataclass(frozen=True, slots=True)
class Material:
    """What deployments are judged by.

    Attributes:
        deployments: One row per finished deployment: deployment_id, project_id, env, triggered_at,
            finished_at, post_slots, slot_seconds, settled (no post slot is left to do), extended
            (its post window was), held (copies of its samples are kept), as_of (the database's
            clock), and service_id, which is the deployment's own id: every deployment has its own
            view of the neighbours.
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


@dataclass(frozen=True, slots=True)
class Outline:
    """What deployments are judged by but for the samples, for an engine that has those.

    Attributes:
        deployments: As in `Material`.
        own: Their own windows, frame of `sql.spans.SPANS`.
        substitutes: What else may be a baseline, the same.
        neighbours: As in `Material`.
        profiles: As in `Material`.
    """

    deployments: pl.DataFrame
    own: pl.DataFrame
    substitutes: pl.DataFrame
    neighbours: pl.DataFrame
    profiles: Mapping[str, bytes]

    def fill(self, samples: pl.DataFrame) -> Material:
        """Return it with samples: all of the services there are, each once (`sql.spans.ROWS`)."""
        rows = match(self.own, samples)
        known = self.deployments["deployment_id"].to_list()
        thin = _find_thin(known, rows, self.neighbours)
        others = match(self.substitutes.filter(pl.col("row").is_in(thin)), samples)
        return Material(self.deployments, pl.concat([rows, others]), self.neighbours, self.profiles)


async def outline(conn: Connection, ids: Sequence[UUID], baseline_seconds: float) -> Outline:
    """Return what the finished ones of these deployments are judged by, but for the samples."""
    deployments = await _load_deployments(conn, ids)
    known = deployments["deployment_id"].to_list()
    around = [known, baseline_seconds]
    return Outline(
        deployments,
        await frames.fetch(conn, query("spans.own"), around, SPANS),
        await frames.fetch(conn, query("spans.substitutes"), [known], SPANS),
        await frames.fetch(conn, query("windows.neighbours"), around, NEIGHBOURS),
        await _load_profiles(conn, known),
    )


async def load(
    conn: Connection, ids: Sequence[UUID], baseline_seconds: float, find: Find | None = None
) -> Material:
    """Return what the finished ones of these deployments are judged by.

    Samples of held deployments that are not in the table any more are found among their copies.

    Args:
        conn: Connection.
        ids: Deployments; those that are close in time cost less together.
        baseline_seconds: Length of the baseline window.
        find: Finds samples outside of the database; called in a thread. None: nobody looks there.
    """
    deployments = await _load_deployments(conn, ids)
    known = deployments["deployment_id"].to_list()
    if not known:
        return Material(deployments, _unpack(SAMPLES.to_frame()), _nobody(), {})
    since, until = _enclose(deployments, baseline_seconds)
    around = [known, baseline_seconds]
    rows = _unpack(
        await frames.fetch(conn, query("windows.samples"), [*around, since, until], SAMPLES)
    )
    held = set(deployments.filter("held")["deployment_id"])
    elsewhere = partial(_look_elsewhere, conn, held, find)
    rows = await elsewhere(rows, "spans.own", around)
    neighbours = await frames.fetch(conn, query("windows.neighbours"), around, NEIGHBOURS)
    thin = _find_thin(known, rows, neighbours)
    if thin.size:
        ids_of_thin = [known[place] for place in thin.tolist()]
        found = await frames.fetch(conn, query("windows.fallbacks"), [ids_of_thin], SAMPLES)
        others = await elsewhere(_unpack(found), "spans.substitutes", [ids_of_thin])
        # They count places among the thin ones; what is wanted is the place among all.
        rows = pl.concat([rows, others.with_columns(row=thin[others["row"].to_numpy()])])
    return Material(deployments, rows, neighbours, await _load_profiles(conn, known))


async def _load_deployments(conn: Connection, ids: Sequence[UUID]) -> pl.DataFrame:
    rows = await frames.fetch(conn, query("windows.deployments"), [ids], DEPLOYMENTS)
    return rows.with_columns(service_id="deployment_id")


async def _look_elsewhere(
    conn: Connection,
    held: Set[str],
    find: Find | None,
    rows: pl.DataFrame,
    text: str,
    arguments: Sequence[Any],
) -> pl.DataFrame:
    """Add what the table does not have; of a slot that is there, what stands there counts."""
    ids = arguments[0]
    theirs = [each in held for each in ids]
    if find is None and not any(theirs):
        return rows
    spans = await frames.fetch(conn, query(text), arguments, SPANS)
    found = [rows]
    if any(theirs):
        mine = spans.filter(pl.Series(theirs).gather(spans["row"]))
        found.append(match(mine, await holds.load(conn, list(compress(ids, theirs)))))
    if find is not None:
        found.append(await asyncio.to_thread(find, spans))
    return pl.concat(found).unique(["row", "slot_at"], keep="first", maintain_order=True)


async def _load_profiles(conn: Connection, known: Sequence[str]) -> dict[str, bytes]:
    return {
        each: row["packed"]
        for row in await conn.fetch(query("windows.profiles"), known)
        for each in row["deployment_ids"]
    }


def _find_thin(known: Sequence[str], rows: pl.DataFrame, neighbours: pl.DataFrame) -> Places:
    """Return the places of the deployments whose own baseline is too thin."""
    continuous, pre = (
        np.bincount(rows["row"].filter(rows["phase"] == phase).to_numpy(), minlength=len(known))
        for phase in (0, PRE)
    )
    continuous -= _count_bad(known, rows, neighbours)
    return np.flatnonzero(np.where(continuous > 0, continuous, pre) < LEAST_SAMPLES)


def _count_bad(known: Sequence[str], rows: pl.DataFrame, neighbours: pl.DataFrame) -> Places:
    """How many continuous samples of each are from the time of a deployment that did harm."""
    place = pl.DataFrame(
        {"service_id": known, "row": range(len(known))}, {"service_id": pl.String, "row": pl.Int64}
    )
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
