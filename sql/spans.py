"""Windows as spans of time, to find samples in that are not in the table of samples (any more).

`windows.sql` says to the database which samples a deployment is judged by; `match` says the same of
samples that lie anywhere else: copies of those that are held, files of the archive, another engine.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.types import METRICS, Phase

Places: TypeAlias = NDArray[np.int64]

MOMENT: Final = pl.Datetime("us", "UTC")
PRE, POST = 1, 4
"""Numbers of the phases `pre` and `post`."""

SPANS: Final = pl.Schema(
    {
        "row": pl.Int64(),
        "source": pl.Int64(),
        "project_id": pl.String(),
        "env": pl.String(),
        "owner": pl.String(),
        "since": MOMENT,
        "until": MOMENT,
        "continuous_by": MOMENT,
        "pre_by": MOMENT,
    }
)
"""A span of a service: `since` <= slot_at <= `until`. `row` is the place of the deployment it is
for, `source` 0 (its own window), 2 (`previous`) or 3 (`history`). In it count continuous samples
that were collected until `continuous_by`, and of the deployment `owner` the `post` samples and the
`pre` one that was collected until `pre_by`."""

ROWS: Final = pl.Schema(
    {
        "project_id": pl.String(),
        "env": pl.String(),
        "slot_at": MOMENT,
        "collected_at": MOMENT,
        "deployment_id": pl.String(),
        "phase": pl.String(),
        "sequence_index": pl.Int16(),
        **dict.fromkeys(METRICS, pl.Float64()),
    }
)
"""Samples wherever they lie; columns of `metric_samples`, ids as text."""

FOUND: Final = pl.Schema(
    {
        "row": pl.Int64(),
        "phase": pl.Int64(),
        "slot_at": MOMENT,
        "sequence_index": pl.Int64(),
        **dict.fromkeys(METRICS, pl.Float64()),
    }
)
"""Samples by the place of the deployment they are for, as in `sql.windows.Material`."""


def match(spans: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the samples that count in each span, in no order.

    Args:
        spans: Frame of `SPANS`.
        rows: Has the columns of `ROWS`.

    Returns:
        Frame of `FOUND`; a sample is in it as often as it is in a span.
    """
    services = spans.select("project_id", "env").unique().with_row_index("service")
    spans = spans.join(services, on=("project_id", "env"))
    rows = rows.select(ROWS.names()).join(services, on=("project_id", "env"))
    if spans.is_empty() or rows.is_empty():
        return FOUND.to_frame()
    rows = rows.sort("service", "slot_at")
    span, sample = _pair(spans, rows)
    ours = rows.drop("project_id", "env", "service")[sample]
    pairs = pl.concat([spans["row", "source", "owner", "continuous_by", "pre_by"][span], ours],
                      how="horizontal")  # fmt: skip
    return _shape(pairs.filter(_counts()))


def _pair(spans: pl.DataFrame, rows: pl.DataFrame) -> tuple[Places, Places]:
    """Return all pairs of a span and a row of its service in it, by their places."""
    # One number for service and moment: the rows are in its order, so a span is a slice of them.
    # It has room for 16,000 services over 17 years.
    at = _as_numbers(rows["slot_at"])
    first, last = at.min(), at.max()
    length = last - first + 1
    keys = _as_numbers(rows["service"]) * length + (at - first)
    service = _as_numbers(spans["service"]) * length
    since = np.clip(_as_numbers(spans["since"]), first, last + 1) - first
    until = np.clip(_as_numbers(spans["until"]), first - 1, last) - first
    begin = np.searchsorted(keys, service + since)
    number = np.maximum(np.searchsorted(keys, service + until, side="right") - begin, 0)
    span = np.repeat(np.arange(len(spans)), number)
    behind = np.repeat(np.cumsum(number) - number, number)
    return span, np.repeat(begin, number) + np.arange(len(span)) - behind


def _as_numbers(column: pl.Series) -> Places:
    return column.cast(pl.Int64).to_numpy()


def _counts() -> pl.Expr:
    """Whether a sample counts in a span it lies in; see the comments in `windows.sql`."""
    phase, theirs = pl.col("phase"), pl.col("deployment_id") == pl.col("owner")
    return (
        pl.when(phase.is_null())
        .then(pl.col("collected_at") <= pl.col("continuous_by"))
        .when(phase == Phase.PRE)
        .then(theirs & (pl.col("collected_at") <= pl.col("pre_by")))
        .otherwise(theirs)
    )


def _shape(pairs: pl.DataFrame) -> pl.DataFrame:
    own = pl.col("source") == 0
    is_post = own & (pl.col("phase") == Phase.POST).fill_null(value=False)
    is_pre = own & (pl.col("phase") == Phase.PRE).fill_null(value=False)
    return pairs.select(
        "row",
        pl.when(is_post).then(POST).when(is_pre).then(PRE).otherwise("source")
        .cast(pl.Int64).alias("phase"),
        "slot_at",
        pl.when(is_post).then(pl.col("sequence_index").fill_null(-1).clip(-1, None)).otherwise(-1)
        .cast(pl.Int64).alias("sequence_index"),
        pl.col(METRICS).fill_null(float("nan")),
    )  # fmt: skip
