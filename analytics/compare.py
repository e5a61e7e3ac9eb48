"""Set one metric of the post window against its threshold and its baseline."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.aggregate import Levels, Values, average, count, share, take
from analytics.policy import Policy
from analytics.windows import Windows
from core.types import Attribution, Metric

ROUNDING: Final = 1e-9
"""Relative distance that is noise of binary arithmetic: 20 % under is not more than 20 % under."""


def compare(windows: Windows, metric: Metric, policy: Policy) -> pl.DataFrame:
    """Compare `metric` of every deployment.

    Returns:
        One row per deployment, in their order; the columns are the fields of `Evidence`.
    """
    size = windows.deployments.height
    before, after = take(windows.baseline, metric), take(windows.post, metric)
    expected = average(before, size)
    threshold = _threshold(metric, expected, policy)
    frame = windows.deployments.select("baseline_source", "coverage_ratio").with_columns(
        metric=pl.lit(metric.value),
        tolerance_ratio=pl.lit(policy.tolerances[metric]),
        baseline_n=pl.Series(count(before.row, size)),
        post_n=pl.Series(count(after.row, size)),
        expected=pl.Series(expected, nan_to_null=True),
        observed=pl.Series(average(after, size), nan_to_null=True),
        threshold=pl.Series(threshold, nan_to_null=True),
        beyond_n=pl.Series(count(after.row[_beyond(metric, after, threshold)], size)),
    )
    return _conclude(frame, metric, policy)


def _threshold(metric: Metric, expected: Levels, policy: Policy) -> Levels:
    """The level a slot must not cross, per deployment; NaN where the metric is not judged."""
    if metric is not Metric.REQUESTS_PER_SEC:
        return np.full(expected.shape, policy.secured_threshold(metric))
    floor = (1 - policy.traffic_drop_ratio) * expected
    return np.where(expected >= policy.traffic_min_rps, floor, np.nan)


def _beyond(metric: Metric, values: Values, threshold: Levels) -> NDArray[np.bool_]:
    limit = threshold[values.row]
    if metric is Metric.REQUESTS_PER_SEC:
        return values.value < limit * (1 - ROUNDING)
    return values.value > limit


def _conclude(frame: pl.DataFrame, metric: Metric, policy: Policy) -> pl.DataFrame:
    exceedance = share(frame["beyond_n"], frame["post_n"])
    covered = pl.col("coverage_ratio") >= policy.min_coverage_ratio
    failed = covered & (pl.col("exceedance_ratio") > pl.col("tolerance_ratio"))
    return (
        frame.with_columns(
            exceedance_ratio=pl.when(pl.col("threshold").is_not_null()).then(exceedance)
        )
        .with_columns(failed=failed.fill_null(value=False))
        .with_columns(
            attribution=pl.when(covered).then(_attribution(metric, policy)),
            baseline_source=pl.when(pl.col("baseline_n") > 0)
            .then("baseline_source")
            .otherwise(pl.lit("none")),
        )
        .drop("coverage_ratio", "beyond_n")
    )


def _attribution(metric: Metric, policy: Policy) -> pl.Expr:
    """Whose the deviation is; null if there is none."""
    failed, expected, observed = pl.col("failed"), pl.col("expected"), pl.col("observed")
    # The threshold of traffic is made from its baseline, which can therefore not be beyond it.
    breached = (expected > pl.col("threshold")) & (metric is not Metric.REQUESTS_PER_SEC)
    worsened = observed >= policy.worsened_ratio * expected
    return (
        pl.when(failed & expected.is_null())
        .then(pl.lit(Attribution.UNKNOWN.value))
        .when(failed & breached & worsened)
        .then(pl.lit(Attribution.WORSENED.value))
        .when(failed & breached)
        .then(pl.lit(Attribution.PRE_EXISTING.value))
        .when(failed)
        .then(pl.lit(Attribution.INTRODUCED.value))
        .when(breached & (observed <= pl.col("threshold")))
        .then(pl.lit(Attribution.RECOVERED.value))
    )
