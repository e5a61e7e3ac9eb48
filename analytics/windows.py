"""Cut the samples of many deployments into baseline windows and post windows.

The only place that looks at raw rows: what leaves here is validated, clean, one value per slot and
in a fixed order, so nothing further on depends on how the rows came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from analytics.blocks import Block, clean_values, lay_out
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

SOURCES: Final = ("baseline", Phase.PRE.value, "previous", "history")
"""Where a baseline may come from; the first that has a sample is taken.

`baseline`: continuous samples (phase null) before the trigger. `pre`: the snapshot taken at the
trigger. `previous`: the post window of the last harmless deployment, aligned by the time since
finish. `history`: the same minutes of the week, earlier.
"""

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
    plan = deployments.select(DEPLOYMENTS.names()).with_row_index("row")
    near = _near(plan, around)
    rows = _clean(samples).join(
        plan.select("row", "deployment_id", "triggered_at", "finished_at", "post_slots"),
        on="deployment_id",
    )
    before, after = _baseline(rows, near), _post(rows)
    counted = _count(plan, before, after).with_columns(confounders=_confounders(plan, near))
    return Windows(counted, tuple(lay_out(counted, before, after)))


def _check_columns(frame_name: str, frame: pl.DataFrame, schema: pl.Schema) -> None:
    for name, wanted in schema.items():
        found = frame.schema.get(name)
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
    if not deployments["post_slots"].is_between(1, POST_SLOTS).all():
        raise InvalidInputError(f"deployments: post_slots must be at least 1, at most {POST_SLOTS}")
    if not ((deployments["slot_seconds"] > 0) & deployments["slot_seconds"].is_finite()).all():
        raise InvalidInputError("deployments: slot_seconds must be above 0")


def _clean(samples: pl.DataFrame) -> pl.DataFrame:
    source_at = pl.col("source_at") if "source_at" in samples.columns else pl.lit(None)
    return clean_values(
        samples.select(*SAMPLES.names(), source_at.cast(MOMENT).alias("source_at"))
    )


def _near(plan: pl.DataFrame, neighbours: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a deployment (row) and another one of its service."""
    return (
        plan.select("row", "service_id", own_id="deployment_id")
        .join(neighbours.select(NEIGHBOURS.names()), on="service_id")
        .filter(pl.col("own_id") != pl.col("deployment_id"))
    )


def _confounders(plan: pl.DataFrame, near: pl.DataFrame) -> pl.Series:
    """Ids of the neighbours whose time overlaps roll-out or post window, for every deployment."""
    window = pl.duration(microseconds=pl.col("post_slots") * pl.col("slot_seconds") * 1e6)
    named = (
        near.join(plan.select("row", "triggered_at", end=pl.col("finished_at") + window), on="row")
        .filter(pl.col("started_at") < pl.col("end"), pl.col("ended_at") > pl.col("triggered_at"))
        .group_by("row")
        .agg(confounders=pl.col("deployment_id").unique().sort())
    )
    joined = plan.select("row").join(named, on="row", how="left", maintain_order="left")
    return joined["confounders"].fill_null(pl.Series([[]], dtype=pl.List(pl.String)))


def _baseline(rows: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """Rows of the best source each deployment has, one per slot, oldest first."""
    early = pl.col("slot_at") < pl.col("triggered_at")
    source = (
        pl.when(pl.col("phase").is_null() & early)
        .then(0)
        .when(pl.col("phase").is_in(SOURCES[1:]))
        .then(pl.col("phase").replace_strict({n: i for i, n in enumerate(SOURCES)}, default=None))
    )
    found = rows.with_columns(source=source).drop_nulls("source")
    found = _exclude_bad(found, near.filter("bad"))
    best = found.filter(pl.col("source") == pl.col("source").min().over("row"))
    age = (pl.col("triggered_at") - pl.col("slot_at")).dt.total_microseconds() / 1e6
    return _merge(best.with_columns(age_seconds=age), "row", "source", "slot_at")


def _exclude_bad(found: pl.DataFrame, bad: pl.DataFrame) -> pl.DataFrame:
    """Leave out continuous samples from the time of deployments that did harm."""
    if bad.is_empty():
        return found
    inside = (
        found.with_row_index("sample")
        .filter(pl.col("source") == 0)
        .join(bad.select("row", "started_at", "ended_at"), on="row")
        .filter(pl.col("slot_at").is_between("started_at", "ended_at"))
    )
    return found.with_row_index("sample").join(inside, on="sample", how="anti").drop("sample")


def _post(rows: pl.DataFrame) -> pl.DataFrame:
    planned = rows.filter(
        pl.col("phase") == Phase.POST.value,
        pl.col("sequence_index") >= 0,
        pl.col("sequence_index") < pl.col("post_slots"),
    )
    said = (pl.col("source_at") - pl.col("finished_at")).dt.total_microseconds() / 1e6
    return _merge(planned.with_columns(source_seconds=said), "row", "sequence_index")


def _merge(rows: pl.DataFrame, *slot: str) -> pl.DataFrame:
    """One row per slot: of several readings of it the worst of each metric counts."""
    if rows.select(slot).is_duplicated().any():
        # Least and greatest come out the same in any order, and a worse reading never hides.
        falls = pl.col(Metric.REQUESTS_PER_SEC).min()
        other = [name for name in rows.columns if name not in (*slot, Metric.REQUESTS_PER_SEC)]
        rows = rows.group_by(slot).agg(falls, pl.col(*other).max())
    return rows.sort(slot)


def _count(plan: pl.DataFrame, baseline: pl.DataFrame, post: pl.DataFrame) -> pl.DataFrame:
    names = dict(enumerate(SOURCES))
    before = baseline.group_by("row").agg(
        baseline_source=pl.col("source").first().replace_strict(names, return_dtype=pl.String),
        baseline_n=pl.len(),
    )
    idle = pl.col(Metric.REQUESTS_PER_SEC) == 0
    after = post.group_by("row").agg(post_n=pl.len(), idle_n=idle.sum())
    return (
        plan.join(before, on="row", how="left")
        .join(after, on="row", how="left")
        .with_columns(
            pl.col("baseline_source").fill_null("none"),
            pl.col("baseline_n", "post_n", "idle_n").fill_null(0).cast(pl.Int64),
        )
        .sort("row")
        .with_columns(coverage_ratio=_share("post_n", "post_slots"))
    )


def _share(part: str, whole: str) -> pl.Expr:
    # In numpy: Polars divides by a column of one row with its reciprocal, and 3 of 5 is then a
    # little more than 0.6.
    return pl.struct(part, whole).map_batches(
        lambda both: pl.Series(
            both.struct[part].to_numpy() / both.struct[whole].cast(pl.Float64).to_numpy()
        ),
        return_dtype=pl.Float64,
    )
