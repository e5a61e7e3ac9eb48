"""Cut the samples of many deployments into baseline windows and post windows.

The only place that looks at raw rows: what leaves here is validated, clean, one value per slot and
in a fixed order, so nothing further on depends on how the rows came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.blocks import Array, Block, Rows, Slots, clean, count_microseconds, lay_out, merge
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

PHASES: Final = (None, *SOURCES[1:], Phase.POST.value)
"""Phases by number; those of a baseline source stand where the source stands."""

NEVER: Final = -(2**62)
"""A moment, in microseconds, that stands for none."""

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
    deployments: pl.DataFrame, samples: pl.DataFrame, neighbours: pl.DataFrame | None = None
) -> Windows:
    """Cut `samples` into the windows of each deployment.

    The post window is the `post` samples with a planned `sequence_index`. A sample without a
    single number is none; all rows that belong to neither window are ignored. Baseline samples
    taken while a bad neighbour was rolled out or watched are left out.

    Args:
        deployments: Frame of schema `DEPLOYMENTS`.
        samples: Frame of schema `SAMPLES`; rows in any order.
        neighbours: Frame of schema `NEIGHBOURS`, if any are known.

    Raises:
        InvalidInputError: A column is missing or of another type, or a deployment is impossible.
    """
    around = NEIGHBOURS.to_frame() if neighbours is None else neighbours
    _check_columns("deployments", deployments, DEPLOYMENTS)
    _check_columns("samples", samples, SAMPLES)
    _check_columns("neighbours", around, NEIGHBOURS)
    _check_deployments(deployments)
    plan = deployments.lazy().select(DEPLOYMENTS.names()).with_row_index("row").collect()
    near = _near(plan, around)
    readings = _read(samples, plan)
    before, source = _baseline(readings, plan, near)
    after = _post(readings, plan)
    counted = _count(plan, before, after).with_columns(
        pl.Series("baseline_source", [*SOURCES, "none"]).gather(source),
        confounders=_confounders(plan, near),
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


class _Readings(NamedTuple):
    """Samples as columns, in the order they came; moments in microseconds since 1970."""

    row: Rows
    phase: Rows  # position in `PHASES`
    slot_us: Rows
    sequence_index: Rows
    source_us: Rows  # `NEVER` where the target says nothing
    values: Array  # shape (5, samples)

    def pick(self, chosen: NDArray[np.bool_]) -> _Readings:
        if chosen.all():
            return self
        return _Readings._make(each[..., chosen] for each in self)


def _read(samples: pl.DataFrame, plan: pl.DataFrame) -> _Readings:
    said = "source_at" in samples.columns
    phase = [pl.when(pl.col("phase").eq_missing(name)).then(n) for n, name in enumerate(PHASES)]
    found = (
        samples.lazy()
        .select(
            "deployment_id",
            pl.col(*METRICS).fill_null(np.nan),
            pl.coalesce(phase).cast(pl.Int64).alias("phase"),
            pl.col("slot_at").dt.timestamp("us"),
            pl.col("sequence_index").cast(pl.Int64).fill_null(-1),
            (pl.col("source_at") if said else pl.lit(None, MOMENT))
            .dt.timestamp("us")
            .fill_null(NEVER)
            .alias("source_at"),
        )
        .drop_nulls(["phase", "slot_at"])
        .join(plan.lazy().select("deployment_id", pl.col("row").cast(pl.Int64)), on="deployment_id")
        .collect()
    )
    values = clean(np.stack([found[name].to_numpy() for name in METRICS]))
    readings = _Readings(
        row=found["row"].to_numpy(),
        phase=found["phase"].to_numpy(),
        slot_us=found["slot_at"].to_numpy(),
        sequence_index=found["sequence_index"].to_numpy(),
        source_us=found["source_at"].to_numpy(),
        values=values,
    )
    return readings.pick(np.any(~np.isnan(values), axis=0, keepdims=True)[0])


def _near(plan: pl.DataFrame, neighbours: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a deployment (row) and another one of its service."""
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


def _baseline(readings: _Readings, plan: pl.DataFrame, near: pl.DataFrame) -> tuple[Slots, Rows]:
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


def _best_source(found: _Readings, size: int) -> Rows:
    """The first source that has a sample; a substitute if that one is too thin to compare with."""
    cells = found.row * len(SOURCES) + found.phase
    counts = np.bincount(cells, minlength=size * len(SOURCES)).reshape(size, len(SOURCES))
    counts = np.concatenate([counts, np.zeros((size, 1), dtype=np.int64)], axis=1)
    first = np.where(counts.any(axis=1), (counts > 0).argmax(axis=1), len(SOURCES))
    thin = counts[np.arange(size), first] < LEAST_SAMPLES
    solid = counts >= LEAST_SAMPLES
    solid[:, : SOURCES.index("previous")] = False
    return np.where(thin & solid.any(axis=1), solid.argmax(axis=1), first)


def _inside(found: _Readings, near: pl.DataFrame) -> NDArray[np.bool_]:
    """Which continuous samples are from the time of a deployment that did harm."""
    inside = np.zeros(found.row.size, dtype=np.bool_)
    moments = pl.col("started_at", "ended_at").dt.timestamp("us")
    bad = near.lazy().filter("bad").select("row", moments).collect()
    for row, start, end in bad.iter_rows():
        inside |= (
            (found.row == row)
            & (found.phase == 0)
            & (found.slot_us >= start)
            & (found.slot_us <= end)
        )
    return inside


def _post(readings: _Readings, plan: pl.DataFrame) -> Slots:
    slots = plan["post_slots"].cast(pl.Int64).to_numpy()
    index = readings.sequence_index
    planned = (index >= 0) & (index < slots[readings.row])
    found = readings.pick((PHASES.index(Phase.POST.value) == readings.phase) & planned)
    finished = count_microseconds(plan["finished_at"])
    said = np.where(found.source_us == NEVER, np.nan, (found.source_us - finished[found.row]) / 1e6)
    return merge(found.row, found.sequence_index, said, found.values)


def _count(plan: pl.DataFrame, before: Slots, after: Slots) -> pl.DataFrame:
    idle = after.values[METRICS.index(Metric.REQUESTS_PER_SEC)] == 0
    baseline_n, post_n, idle_n = (
        np.bincount(rows, minlength=plan.height)
        for rows in (before.row, after.row, after.row[idle])
    )
    return plan.with_columns(
        pl.Series("baseline_n", baseline_n),
        pl.Series("post_n", post_n),
        pl.Series("idle_n", idle_n),
        # In numpy: Polars divides by a column of one row with its reciprocal, and 3 of 5 is then
        # a little more than 0.6.
        pl.Series("coverage_ratio", post_n / plan["post_slots"].cast(pl.Float64).to_numpy()),
    )
