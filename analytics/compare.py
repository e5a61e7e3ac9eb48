"""The outcome of comparing and deciding, as columns of many deployments.

A method (`analytics.fixed`, `analytics.relative`) is two plain functions: `compare` sets the
post window against the baseline metric by metric, `decide` makes one decision of it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.blocks import Array
from core.judgement import Direction, Pattern
from core.types import Attribution, Metric

Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]

ROUNDING: Final = 1e-9
"""Relative distance that is noise of binary arithmetic: 20 % under is not more than 20 % under."""

NONE: Final = -1
"""Stands for None among the numbers of an enumeration's members."""

TRAFFIC: Final = tuple(Metric).index(Metric.REQUESTS_PER_SEC)
ATTRIBUTIONS: Final = tuple(Attribution)
DIRECTIONS: Final = tuple(Direction)
PATTERNS: Final = tuple(Pattern)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Evidence of the five metrics of many deployments; every array has shape (d, 5).

    Attributes are the fields of `core.types.Evidence`, NaN for None. Attribution, direction,
    pattern and test are numbers: positions in `ATTRIBUTIONS`, `DIRECTIONS`, `PATTERNS` and in the
    names of the method's tests; `NONE` for None.
    """

    baseline_n: Numbers
    post_n: Numbers
    expected: Array
    observed: Array
    threshold: Array
    exceedance_ratio: Array
    tolerance_ratio: Array
    failed: Flags
    attribution: Numbers
    severe: Flags
    direction: Numbers
    pattern: Numbers
    effect: Array
    effect_low: Array
    effect_high: Array
    minimum_effect: Array
    smallest_detectable_effect: Array
    test: Numbers
    statistic: Array
    p_value: Array
    contribution: Array
    distance_to_flip: Array
    trend_per_hour: Array


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said of each of many deployments; every array has shape (d,) unless it says so.

    Attributes:
        reason: Position in `analytics.reasons.CODES`.
        confidence: 0..1, meaning defined by the method.
        quality_ratio: 0..1.
        penalties: Which of `analytics.reasons.Penalty` apply, shape (d, penalties).
        decided_at: `sequence_index` from which the verdict is final; `NONE` if unknown.
    """

    reason: Numbers
    confidence: Array
    quality_ratio: Array
    penalties: Flags
    decided_at: Numbers


def find_beyond(after: Array, threshold: Array) -> Flags:
    """Return which slots are beyond their threshold: below it for traffic, above it otherwise.

    Args:
        after: Post window, shape (5, d, s).
        threshold: Shape (d, 5); nothing is beyond NaN.

    Returns:
        Shape (5, d, s).
    """
    limit = threshold.T[:, :, None]
    beyond: Flags = after > limit
    beyond[TRAFFIC] = after[TRAFFIC] < limit[TRAFFIC] * (1 - ROUNDING)
    return beyond


def find_exceedance(after: Array, threshold: Array) -> Array:
    """Return the share of the post slots with a value that are beyond the threshold, shape (d, 5).

    It is NaN without a slot or a threshold; for the arguments see `find_beyond`.
    """
    n = (~np.isnan(after)).sum(axis=-1).T
    share = find_beyond(after, threshold).sum(axis=-1).T / np.maximum(n, 1)
    return np.where((n > 0) & ~np.isnan(threshold), share, np.nan)


def mark(metrics: AbstractSet[Metric]) -> Flags:
    """Return which of the five are among `metrics`, shape (5,)."""
    return np.array([metric in metrics for metric in Metric])
