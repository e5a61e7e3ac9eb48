"""Cut the samples of many deployments into baseline windows and post windows.

The only place that looks at raw rows: what leaves here is validated, clean, one value per slot and
in a fixed order, so nothing further on depends on how the rows came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.blocks import (
    NEVER,
    Block,
    Readings,
    Rows,
    Slots,
    clean,
    count_microseconds,
    lay_out,
    merge,
)
from core.errors import InvalidInputError
from core.types import METRICS, Metric, Phase

MOMENT: Final = pl.Datetime("us", "UTC")

DEPLOYMENTS: Final = pl.Schema(
    {
        "deployment_id": pl.String(),
        "service_id": pl.String(),
        "triggered_at": MOMENT,
        "finished_at": MOMENT,
        "post_slots": pl.Int16(),
        "slot_seconds": pl.Float64(),
    }
)
"""One row per deployment to judge, no empty cells; `post_slots` may be Int32 as well. `service_id`
is any text that stands for one project in one environment."""

SAMPLES: Final = pl.Schema(
    {
        "deployment_id": pl.String(),
        "slot_at": MOMENT,
        "phase": pl.String(),
        "sequence_index": pl.Int16(),
        **dict.fromkeys(METRICS, pl.Float64()),
    }
)
"""One row per sample; `deployment_id` says for which deployment it was loaded, `phase` is null,
`pre`, `post`, `previous` or `history` (see `SOURCES`). `sequence_index` may be Int32 as well. A
metric is missing where it is null, NaN, infinite or negative. A further column `source_at` (a
moment) may say when the target claims to have taken its numbers."""

NEIGHBOURS: Final = pl.Schema(
    {
        "service_id": pl.String(),
        "deployment_id": pl.String(),
        "started_at": MOMENT,
        "ended_at": MOMENT,
        "bad": pl.Boolean(),
    }
)
"""Deployments around those to judge, no empty cells: from trigger to end of the post window, and
whether they are known to have done harm. It may list the judged ones themselves."""

LEAST_SAMPLES: Final = 3
"""Fewer baseline samples than this give way to a substitute (`previous`, `history`)."""

SOURCES: Final = ("baseline", Phase.PRE.value, "previous", "history")
"""Where a baseline may come from; the first that has a sample is taken, or the first substitute
that has `LEAST_SAMPLES` if that one has not.

`baseline`: continuous samples (phase null) before the trigger. `pre`: the snapshot taken at the
trigger. `previous`: the post window of the last harmless deployment, aligned by the time since
finish. `history`: the same minutes of the week, earlier.
"""

PHASES: Final = ("", *SOURCES[1:], Phase.POST.value)
"""Phases by number, none first; those of a baseline source stand where the source stands."""

UUID_TEXT: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

POST_SLOTS: Final = 1440
"""Longest post window there is, in slots."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Clean windows of many deployments.

    Attributes:
        deployments: `DEPLOYMENTS` plus row, baseline_source (`SOURCES` or `none`), baseline_n
            (samples), post_n (samples), idle_n (post samples without traffic), coverage_ratio
            (post_n of post_slots, 0..1) and confounders (list of deployment ids, sorted).
        blocks: The windows themselves; every deployment is in exactly one block
            (without any deployment there is one empty block).
    """

    deployments: pl.DataFrame
    blocks: tuple[Block, ...]


def split(
    deployments: pl.DataFrame,
    samples: pl.DataFrame | Readings,
    neighbours: pl.DataFrame | None = None,
) -> Windows:
    """Cut `samples` into the windows of each deployment.

    The post window is the `post` samples with a planned `sequence_index`. A sample without a
    single number is none; all rows that belong to neither window are ignored. Baseline samples
    taken while a bad neighbour was rolled out or watched are left out.

    Args:
        deployments: Frame of schema `DEPLOYMENTS`.
        samples: Frame of schema `SAMPLES`, or the same as arrays; rows in any order.
        neighbours: Frame of schema `NEIGHBOURS`, if any are known.

    Raises:
        InvalidInputError: A column is missing or of another type, or a deployment is impossible.
    """
    around = NEIGHBOURS.to_frame() if neighbours is None else neighbours
    _check_columns("deployments", deployments, DEPLOYMENTS)
    _check_columns("neighbours", around, NEIGHBOURS)
    _check_deployments(deployments)
    readings = samples if isinstance(samples, Readings) else _read(samples, deployments)
    values = clean(readings.values)
    readings = readings._replace(values=values).pick(np.any(~np.isnan(values), axis=0))
    plan = deployments[DEPLOYMENTS.names()].with_row_index("row")
    near = _near(plan, around)
    before, source = _baseline(readings, plan, near)
    after = _post(readings, plan)
    counted = plan.hstack(
        [
            pl.Series("baseline_source", [*SOURCES, "none"])[source],
            *_count(plan, before, after),
            _confounders(plan, near).alias("confounders"),
        ]
    )
    return Windows(counted, tuple(lay_out(counted, before, after)))


def _check_columns(frame_name: str, frame: pl.DataFrame, schema: pl.Schema) -> None:
    columns = frame.schema
    for name, wanted in schema.items():
        found = columns.get(name)
        if found is None:
            raise InvalidInputError(f"{frame_name}: column {name} is missing")
        if found != wanted and not (wanted == pl.Int16 and found == pl.Int32):
            raise InvalidInputError(f"{frame_name}: column {name} is {found}, not {wanted}")


def _check_deployments(deployments: pl.DataFrame) -> None:
    for name in DEPLOYMENTS:
        if deployments[name].has_nulls():
            raise InvalidInputError(f"deployments: column {name} has empty cells")
    ids = deployments["deployment_id"]
    if ids.n_unique() != ids.len() or not ids.str.contains(UUID_TEXT).all():
        raise InvalidInputError("deployments: deployment_id must be distinct lower-case UUIDs")
    slots = deployments["post_slots"].to_numpy()
    if not ((slots >= 1) & (slots <= POST_SLOTS)).all():
        raise InvalidInputError(f"deployments: post_slots must be at least 1, at most {POST_SLOTS}")
    seconds = deployments["slot_seconds"].to_numpy()
    if not ((seconds > 0) & np.isfinite(seconds)).all():
        raise InvalidInputError("deployments: slot_seconds must be above 0")


def _read(samples: pl.DataFrame, deployments: pl.DataFrame) -> Readings:
    """Take `samples` as arrays; without a query, which would cost a lone deployment most of all."""
    _check_columns("samples", samples, SAMPLES)
    index = samples["sequence_index"].to_numpy()
    phase = _number(samples["phase"], PHASES[1:]) + 1
    unknown = (phase == 0) & ~samples["phase"].is_null().to_numpy()
    slot_us = count_microseconds(samples["slot_at"])
    said = samples["source_at"].cast(MOMENT) if "source_at" in samples.columns else None
    readings = Readings(
        row=_number(samples["deployment_id"], deployments["deployment_id"]),
        phase=phase,
        slot_us=slot_us,
        sequence_index=np.where(np.isnan(index), -1, index).astype(np.int64),
        source_us=np.full(slot_us.size, NEVER) if said is None else count_microseconds(said),
        values=np.stack([samples[name].to_numpy() for name in METRICS]),
    )
    return readings.pick((readings.row >= 0) & ~unknown & (slot_us != NEVER))


def _number(texts: pl.Series, members: Iterable[str]) -> Rows:
    """Return the place of each text among `members`, -1 for none."""
    place = texts.cast(pl.Enum(members), strict=False).to_physical().to_numpy()
    return np.where(np.isnan(place), -1, place).astype(np.int64)


def _near(plan: pl.DataFrame, neighbours: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a deployment (row) and another one of its service."""
    if neighbours.is_empty():
        return neighbours
    return (
        plan.lazy()
        .select("row", "service_id", own_id="deployment_id")
        .join(neighbours.lazy().select(NEIGHBOURS.names()), on="service_id")
        .filter(pl.col("own_id") != pl.col("deployment_id"))
        .collect()
    )


def _confounders(plan: pl.DataFrame, near: pl.DataFrame) -> pl.Series:
    """Ids of the neighbours whose time overlaps roll-out or post window, for every deployment."""
    nobody = pl.Series([[]], dtype=pl.List(pl.String))
    if near.is_empty():
        return nobody.new_from_index(0, plan.height)
    window = pl.duration(microseconds=pl.col("post_slots") * pl.col("slot_seconds") * 1e6)
    named = (
        near.join(plan.select("row", "triggered_at", end=pl.col("finished_at") + window), on="row")
        .filter(pl.col("started_at") < pl.col("end"), pl.col("ended_at") > pl.col("triggered_at"))
        .group_by("row")
        .agg(confounders=pl.col("deployment_id").unique().sort())
    )
    joined = plan.select("row").join(named, on="row", how="left", maintain_order="left")
    return joined["confounders"].fill_null(nobody)


def _baseline(readings: Readings, plan: pl.DataFrame, near: pl.DataFrame) -> tuple[Slots, Rows]:
    """The samples of the best source each deployment has, and which source that is."""
    triggered = count_microseconds(plan["triggered_at"])
    early = (readings.phase > 0) | (readings.slot_us < triggered[readings.row])
    found = readings.pick((readings.phase < len(SOURCES)) & early)
    found = found.pick(~_inside(found, near))
    best = _best_source(found, plan.height)
    found = found.pick(found.phase == best[found.row])
    slots = merge(found.row, found.slot_us, found.slot_us, found.values)
    age = (triggered[slots.row] - slots.extra) / 1e6
    return slots._replace(extra=age), best


def _best_source(found: Readings, size: int) -> Rows:
    """The first source that has a sample; a substitute if that one is too thin to compare with."""
    cells = found.row * len(SOURCES) + found.phase
    counts = np.bincount(cells, minlength=size * len(SOURCES)).reshape(size, len(SOURCES))
    counts = np.concatenate([counts, np.zeros((size, 1), dtype=np.int64)], axis=1)
    first = np.where(counts.any(axis=1), (counts > 0).argmax(axis=1), len(SOURCES))
    thin = counts[np.arange(size), first] < LEAST_SAMPLES
    solid = counts >= LEAST_SAMPLES
    solid[:, : SOURCES.index("previous")] = False
    return np.where(thin & solid.any(axis=1), solid.argmax(axis=1), first)


def _inside(found: Readings, near: pl.DataFrame) -> NDArray[np.bool_]:
    """Which continuous samples are from the time of a deployment that did harm."""
    inside = np.zeros(found.row.size, dtype=np.bool_)
    if near.is_empty():
        return inside
    moments = pl.col("started_at", "ended_at").dt.timestamp("us")
    bad = near.lazy().filter("bad").select(pl.col("row").cast(pl.Int64), moments).collect()
    hit = np.flatnonzero((found.phase == 0) & np.isin(found.row, bad["row"].to_numpy()))
    rows, slots = found.row[hit], found.slot_us[hit]
    for row, start, end in bad.iter_rows():
        inside[hit] |= (rows == row) & (slots >= start) & (slots <= end)
    return inside


def _post(readings: Readings, plan: pl.DataFrame) -> Slots:
    slots = plan["post_slots"].cast(pl.Int64).to_numpy()
    index = readings.sequence_index
    planned = (index >= 0) & (index < slots[readings.row])
    found = readings.pick((PHASES.index(Phase.POST.value) == readings.phase) & planned)
    finished = count_microseconds(plan["finished_at"])
    said = np.where(found.source_us == NEVER, np.nan, (found.source_us - finished[found.row]) / 1e6)
    return merge(found.row, found.sequence_index, said, found.values)


def _count(plan: pl.DataFrame, before: Slots, after: Slots) -> Iterator[pl.Series]:
    idle = after.values[METRICS.index(Metric.REQUESTS_PER_SEC)] == 0
    baseline_n, post_n, idle_n = (
        np.bincount(rows, minlength=plan.height)
        for rows in (before.row, after.row, after.row[idle])
    )
    yield pl.Series("baseline_n", baseline_n)
    yield pl.Series("post_n", post_n)
    yield pl.Series("idle_n", idle_n)
    # In numpy: Polars divides by a column of one row with its reciprocal, and 3 of 5 is then a
    # little more than 0.6.
    yield pl.Series("coverage_ratio", post_n / plan["post_slots"].to_numpy())
