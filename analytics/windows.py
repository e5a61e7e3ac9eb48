"""Cut the samples of many deployments into baseline windows and post windows.

The only place that looks at raw rows: what leaves here is validated, clean, one row per slot and
in a fixed order, so nothing further on depends on how the rows came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from analytics.aggregate import share
from core.errors import InvalidInputError
from core.types import METRICS, Metric, Phase

MOMENT: Final = pl.Datetime("us", "UTC")

DEPLOYMENTS: Final = pl.Schema(
    {
        "deployment_id": pl.String(),
        "triggered_at": MOMENT,
        "finished_at": MOMENT,
        "post_slots": pl.Int16(),
        "slot_seconds": pl.Float64(),
    }
)
"""One row per deployment to judge, no empty cells; `post_slots` may be Int32 as well."""

SAMPLES: Final = pl.Schema(
    {
        "deployment_id": pl.String(),
        "slot_at": MOMENT,
        "phase": pl.String(),
        "sequence_index": pl.Int16(),
        **dict.fromkeys(METRICS, pl.Float64()),
    }
)
"""One row per sample; `deployment_id` says for which deployment it was loaded, `phase` is `pre`,
`post` or null. `sequence_index` may be Int32 as well. A metric is missing where it is null, NaN,
infinite or negative."""

UUID_TEXT: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


@dataclass(frozen=True, slots=True)
class Windows:
    """Clean windows of many deployments.

    `row` is the position of a deployment in `deployments` and ties the frames together.

    Attributes:
        deployments: `DEPLOYMENTS` plus row, baseline_source (`baseline`, `pre` or `none`),
            baseline_n (samples), post_n (samples), idle_n (post samples without traffic) and
            coverage_ratio (post_n of post_slots, 0..1).
        baseline: row, source, slot_at and the five metrics; sorted, one row per slot.
        post: row, sequence_index and the five metrics; sorted, one row per slot.
    """

    deployments: pl.DataFrame
    baseline: pl.DataFrame
    post: pl.DataFrame


def split(deployments: pl.DataFrame, samples: pl.DataFrame) -> Windows:
    """Cut `samples` into the windows of each deployment.

    The baseline window is the continuous samples (phase null) before the trigger or, where there
    are none, the `pre` samples. The post window is the `post` samples with a planned
    `sequence_index`. A sample without a single number is none; all other rows are ignored.

    Args:
        deployments: Frame of schema `DEPLOYMENTS`.
        samples: Frame of schema `SAMPLES`; rows in any order.

    Raises:
        InvalidInputError: A column is missing or of another type, or a deployment is impossible.
    """
    _check_columns("deployments", deployments, DEPLOYMENTS)
    _check_columns("samples", samples, SAMPLES)
    _check_deployments(deployments)
    plan = deployments.select(DEPLOYMENTS.names()).with_row_index("row")
    rows = _clean(samples).join(
        plan.select("row", "deployment_id", "triggered_at", "post_slots"), on="deployment_id"
    )
    baseline, post = _baseline(rows), _post(rows)
    return Windows(_count(plan, baseline, post), baseline, post)


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
    if not (deployments["post_slots"] >= 1).all():
        raise InvalidInputError("deployments: post_slots must be at least 1")


def _clean(samples: pl.DataFrame) -> pl.DataFrame:
    """Make impossible values null and drop the rows that have nothing left."""
    value = pl.col(*METRICS)
    # Zero by name: -0.0 and 0.0 must not differ by which of two equal rows came first.
    possible = pl.when(value == 0).then(0.0).when((value > 0) & value.is_finite()).then(value)
    # Without requests there is neither a latency nor an error rate; the SDK reports 0 for both.
    served = pl.when(pl.col(Metric.REQUESTS_PER_SEC).ne_missing(0.0)).then(
        pl.col(Metric.LATENCY_P95, Metric.ERROR_RATE)
    )
    return (
        samples.select(SAMPLES.names())
        .with_columns(possible.name.keep())
        .with_columns(served.name.keep())
        .filter(pl.any_horizontal(value.is_not_null()))
    )


def _baseline(rows: pl.DataFrame) -> pl.DataFrame:
    before = rows.filter(pl.col("phase").is_null(), pl.col("slot_at") < pl.col("triggered_at"))
    pre = rows.filter(pl.col("phase") == Phase.PRE.value).join(before, on="row", how="anti")
    both = pl.concat(
        [
            before.with_columns(source=pl.lit("baseline")),
            pre.with_columns(source=pl.lit("pre")),
        ]
    )
    return _merge(both, "row", "source", "slot_at")


def _post(rows: pl.DataFrame) -> pl.DataFrame:
    planned = rows.filter(
        pl.col("phase") == Phase.POST.value,
        pl.col("sequence_index") >= 0,
        pl.col("sequence_index") < pl.col("post_slots"),
    )
    return _merge(planned, "row", "sequence_index")


def _merge(rows: pl.DataFrame, *slot: str) -> pl.DataFrame:
    """One row per slot: of several readings of it the worst of each metric counts."""
    # Least and greatest come out the same in any order, and a worse reading never hides.
    falls = pl.col(Metric.REQUESTS_PER_SEC).min()
    rises = pl.col(*(metric for metric in METRICS if metric != Metric.REQUESTS_PER_SEC)).max()
    return rows.group_by(slot).agg(falls, rises).sort(slot)


def _count(plan: pl.DataFrame, baseline: pl.DataFrame, post: pl.DataFrame) -> pl.DataFrame:
    before = baseline.group_by("row").agg(
        baseline_source=pl.col("source").first(), baseline_n=pl.len()
    )
    idle = pl.col(Metric.REQUESTS_PER_SEC) == 0
    after = post.group_by("row").agg(post_n=pl.len(), idle_n=idle.sum())
    counted = (
        plan.join(before, on="row", how="left")
        .join(after, on="row", how="left")
        .with_columns(
            pl.col("baseline_source").fill_null("none"),
            pl.col("baseline_n", "post_n", "idle_n").fill_null(0),
        )
        .sort("row")
    )
    return counted.with_columns(coverage_ratio=share(counted["post_n"], counted["post_slots"]))
