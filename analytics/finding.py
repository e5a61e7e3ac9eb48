"""What testing the metrics in one span of the post window came to."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from analytics.blocks import Array
from analytics.compare import Flags


@dataclass(frozen=True, slots=True)
class Finding:
    """The tests of m metrics in one span; every array has shape (m, d).

    Attributes:
        effect: Change on the metric's own scale, positive where it got worse: a shift of
            logarithms for a gauge, a difference of rates for errors; NaN if it cannot be told.
        steady: Effect without the worst slot, where one slot could make much of it.
        scale: Standard deviation such an effect has by chance.
        least: Smallest effect that matters.
        critical: Effect that must show at the end, too: it matters and is no scatter.
        sure: Effect that chance gives once in a hundred times.
        statistic: Value of the test.
        p: Probability of such a value without a change.
        passed: Whether everything but multiplicity says that the metric fails.
        old: Whether the change was there before the deployment already.
        expected: Level without the deployment, in the metric's unit.
        observed: Level of the span, in the metric's unit.
    """

    effect: Array
    steady: Array
    scale: Array
    least: Array
    critical: Array
    sure: Array
    statistic: Array
    p: Array
    passed: Flags
    old: Flags
    expected: Array
    observed: Array


def insert(gauges: Finding, failures: Finding, place: int) -> Finding:
    """Return the findings of all metrics: `failures` put at `place` among `gauges`."""
    parts = {}
    for field in fields(Finding):
        many, one = getattr(gauges, field.name), getattr(failures, field.name)
        parts[field.name] = np.concatenate([many[:place], one, many[place:]])
    return Finding(**parts)


def exceed(quantiles: Array, levels: tuple[float, ...], value: Array) -> Array:
    """Return the share of a distribution at or above `value`, shape (...).

    Args:
        quantiles: Of the distribution at `levels`, shape (..., k), ascending; the share is 0 where
            they are NaN.
        levels: Their levels, 0..1, ascending; below the first one the share is 1.
        value: Shape (...).
    """
    below = (quantiles < value[..., None]).sum(axis=-1)
    upper = np.minimum(below, len(levels) - 1)
    lower = np.maximum(upper - 1, 0)
    low = np.take_along_axis(quantiles, lower[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(quantiles, upper[..., None], axis=-1)[..., 0]
    step = np.where(high > low, (value - low) / np.where(high > low, high - low, 1.0), 0.0)
    known = np.asarray(levels)
    between = 1 - known[lower] - step * (known[upper] - known[lower])
    share = np.where(below == 0, 1.0, np.where(below == len(levels), 0.0, between))
    return np.where(np.isnan(quantiles[..., 0]) | np.isnan(value), 0.0, share)
