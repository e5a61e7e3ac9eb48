"""How a deviation runs through the post window: a step, a ramp, a passing one, a flapping one."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import NONE, PATTERNS, Flags, Numbers
from analytics.finding import Finding
from analytics.levels import FLOORS, ORDER, PLACES, SETTLE_SLOTS, TAIL_SLOTS, TRAFFIC, mean, midmean
from analytics.statistics import normal_tail
from core.judgement import Pattern
from core.types import Metric

ERRORS: Final = ORDER.index(Metric.ERROR_RATE)
STEP, RAMP, TRANSIENT, FLAPPING = (
    PATTERNS.index(pattern)
    for pattern in (Pattern.STEP, Pattern.RAMP, Pattern.TRANSIENT, Pattern.FLAPPING)
)

TREND_P: Final = 0.01
"""p of the trend test below which a window has a slope."""

TURNS: Final = 4
"""Crossings of the line between good and bad from which on a metric flaps."""

HOUR: Final = 3600.0


def find_patterns(block: Block, chosen: Finding, failed: Flags) -> tuple[Numbers, Array]:
    """Return the pattern of every metric and the slope of those on a ramp.

    Args:
        block: The windows.
        chosen: The finding of every metric; what its test has seen is not asked again.
        failed: Shape (5, d).

    Returns:
        Positions in `PATTERNS`, `NONE` for none; and slopes in the metric's unit per hour, NaN
        where there is no ramp; both of shape (5, d).
    """
    pattern = np.where(failed, chosen.pattern, NONE)
    slope = np.full(failed.shape, np.nan)
    worse = _measure(block.after, chosen.expected)
    early = mean(worse[..., :SETTLE_SLOTS]) >= chosen.critical
    late = (
        midmean(worse[..., -TAIL_SLOTS:])
        if worse.shape[-1] >= 2 * TAIL_SLOTS
        else mean(worse[..., -SETTLE_SLOTS:])
    )
    pattern[early & (late < chosen.critical / 2) & ~failed] = TRANSIENT
    for metric, row in np.argwhere(failed & (pattern == NONE)):
        bad = worse[metric, row] >= chosen.least[metric, row] / 2
        bad = bad[~np.isnan(worse[metric, row])]
        sign = -1.0 if metric == PLACES[TRAFFIC] else 1.0
        if find_trend(sign * block.after[metric, row]) < TREND_P:
            pattern[metric, row] = RAMP
            growth = find_slope(block.after[metric, row])
            slope[metric, row] = growth * HOUR / block.slot_seconds[row]
        else:
            turns = int((bad[1:] != bad[:-1]).sum())
            pattern[metric, row] = FLAPPING if turns >= TURNS else STEP
    return pattern, slope


def _measure(after: Array, expected: Array) -> Array:
    """How much worse every slot is than expected, on the metric's own scale."""
    floors = np.zeros((len(ORDER), 1, 1))
    for place, floor in zip(PLACES, FLOORS, strict=True):
        floors[place] = floor
    worse = np.log(np.maximum(after, floors) / expected[..., None])
    worse[PLACES[TRAFFIC]] *= -1
    worse[ERRORS] = after[ERRORS] - expected[ERRORS, :, None]
    return worse


def find_trend(values: Array) -> float:
    """Return the probability of such a rise of `values` by chance (Mann, 1945; Kendall).

    It is the normal approximation, corrected for ties and continuity; 1 where more pairs fall than
    rise.

    Args:
        values: Shape (n,); NaN is missing.
    """
    known = values[~np.isnan(values)]
    n = known.size
    first, second = _pair(n)
    score = np.sign(known[second] - known[first]).sum()
    if score <= 0:
        return 1.0
    _, ties = np.unique(known, return_counts=True)
    spread = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    return float(normal_tail((score - 1) / np.sqrt(spread)))


def find_slope(values: Array) -> float:
    """Return the median slope of all pairs of `values`, per slot (Theil, Sen); see `find_trend`."""
    place = np.flatnonzero(~np.isnan(values))
    first, second = _pair(place.size)
    steps = values[place[second]] - values[place[first]]
    return float(np.median(steps / (place[second] - place[first])))


@lru_cache(maxsize=8)
def _pair(n: int) -> tuple[Numbers, Numbers]:
    """Every two of `n` places, the earlier one first; there are few `n`."""
    return np.triu_indices(n, 1)
