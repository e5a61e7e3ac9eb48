"""Turn what the tests of a metric found into the evidence people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import (
    ATTRIBUTIONS,
    DIRECTIONS,
    NONE,
    ROUNDING,
    Comparison,
    Flags,
    Numbers,
    find_exceedance,
)
from analytics.finding import Finding
from analytics.levels import GAUGES, ORDER, find_floors, midmean
from analytics.patterns import find_patterns
from analytics.profile import BASELINE_SLOTS
from core.judgement import Direction
from core.types import Attribution, Metric

TESTS: Final = ("shift", "failures")
"""Names of the tests, as `Comparison.test` counts them."""

TRAFFIC: Final = ORDER.index(Metric.REQUESTS_PER_SEC)
ERRORS: Final = ORDER.index(Metric.ERROR_RATE)
CPU: Final = ORDER.index(Metric.CPU_USAGE)

INTERVAL_SIGMAS: Final = 1.959963984540054
POWER_SIGMAS: Final = 1.2815515655446004
"""Standard deviations around a 95 % interval and under a power of nine in ten."""

WORSE, BETTER = DIRECTIONS.index(Direction.WORSE), DIRECTIONS.index(Direction.BETTER)

MOST_WEIGHT: Final = 1e6
"""An effect counts for at most so many times what matters."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of a policy that evidence shows.

    Attributes:
        bad_share: Share of the slots that must be worse for a metric to fail.
        breaches: Level from which a metric is in breach whatever it was before, in its unit.
    """

    bad_share: float
    breaches: Mapping[Metric, float]


def describe(
    block: Block,
    chosen: Finding,
    p: Array,
    failed: Flags,
    severe: Flags,
    limits: Limits,
) -> Comparison:
    """Return what tests found as evidence.

    Args:
        block: The windows.
        chosen: The most telling finding of each metric.
        p: Its probability by chance, all spans considered, shape (5, d).
        failed: Shape (5, d).
        severe: Shape (5, d).
        limits: Numbers of the policy that evidence shows.
    """
    needed = _find_needed(chosen, failed)
    better = _find_better(chosen, needed)
    threshold, effect = _level(chosen.expected, needed), _show(chosen.effect)
    pattern, slope = find_patterns(block, chosen, failed)
    said = {
        "baseline_n": (~np.isnan(block.before)).sum(axis=-1),
        "post_n": (~np.isnan(block.after)).sum(axis=-1),
        "expected": _silence(chosen.expected, block),
        "observed": _silence(chosen.observed, block),
        "threshold": threshold,
        "exceedance_ratio": find_exceedance(block.after, threshold.T).T,
        "tolerance_ratio": np.full(failed.shape, limits.bad_share),
        "failed": failed,
        "attribution": _attribute(chosen, _find_before(block, chosen), failed, better, limits),
        "severe": severe,
        "direction": np.select([failed, better], [WORSE, BETTER], NONE),
        "pattern": pattern,
        "trend_per_hour": slope,
        "effect": effect,
        "effect_low": _show(chosen.effect - INTERVAL_SIGMAS * chosen.scale),
        "effect_high": _show(chosen.effect + INTERVAL_SIGMAS * chosen.scale),
        "minimum_effect": _show(np.where(np.isnan(needed), np.nan, chosen.least)),
        "smallest_detectable_effect": _show(needed + POWER_SIGMAS * chosen.scale),
        "test": np.where(np.isnan(p), NONE, _tests(failed.shape)),
        "statistic": chosen.statistic,
        "p_value": p,
        "contribution": _contribute(chosen, failed),
        "distance_to_flip": _show(needed) - effect,
    }
    return Comparison(**{name: np.ascontiguousarray(each.T) for name, each in said.items()})


def _find_needed(chosen: Finding, failed: Flags) -> Array:
    """The effect from which on a metric fails; NaN where nothing was tested."""
    needed = np.where(np.isnan(chosen.effect), np.nan, np.maximum(chosen.least, chosen.sure))
    # In company a metric may fail a little earlier than alone: see the false discovery rate.
    return np.where(failed, np.minimum(needed, chosen.effect), needed)


def _find_better(chosen: Finding, needed: Array) -> Flags:
    """Which metrics surely improved by what matters."""
    least = needed.copy()
    # An error rate has risen when it has doubled, and fallen when it has halved.
    least[ERRORS] = np.maximum(chosen.sure[ERRORS], chosen.expected[ERRORS] / 2)
    return (-chosen.effect >= least) & (chosen.effect < 0)


def _show(effect: Array) -> Array:
    """Effects as `Evidence` has them: shares instead of logarithms."""
    shown = np.expm1(effect)
    shown[TRAFFIC] = -np.expm1(-effect[TRAFFIC])
    shown[ERRORS] = effect[ERRORS]
    return shown


def _level(expected: Array, effect: Array) -> Array:
    """The level of each metric that is `effect` worse than expected."""
    level = expected * np.exp(effect)
    level[TRAFFIC] = expected[TRAFFIC] * np.exp(-effect[TRAFFIC])
    level[ERRORS] = expected[ERRORS] + effect[ERRORS]
    return level


def _silence(level: Array, block: Block) -> Array:
    """Levels with the least traffic that can be told from none as none."""
    shown = level.copy()
    least = find_floors(block.slot_seconds)[GAUGES.index(Metric.REQUESTS_PER_SEC)]
    shown[TRAFFIC] = np.where(level[TRAFFIC] <= (1 + ROUNDING) * least, 0.0, level[TRAFFIC])
    return shown


def _tests(shape: tuple[int, ...]) -> Numbers:
    tests = np.zeros(shape, dtype=np.int64)
    tests[ERRORS] = TESTS.index("failures")
    return tests


def _contribute(chosen: Finding, failed: Flags) -> Array:
    """Share of each failed metric in the alarm: its effect in multiples of what matters."""
    weight = np.where(failed, np.minimum(chosen.effect / chosen.least, MOST_WEIGHT), 0.0)
    total = weight.sum(axis=0)
    share: Array = weight / np.where(total > 0, total, 1.0)
    return share


def _find_before(block: Block, chosen: Finding) -> Array:
    """The levels of the baseline: what is expected, but CPU without what more traffic explains."""
    before = chosen.expected.copy()
    before[CPU] = midmean(block.before[CPU, :, -BASELINE_SLOTS:])
    return before


def _attribute(
    chosen: Finding, before: Array, failed: Flags, better: Flags, limits: Limits
) -> Numbers:
    """Whose the deviation is; `NONE` if there is none."""
    levels = np.array([limits.breaches.get(metric, np.inf) for metric in ORDER])[:, None]
    breached, still = before > levels, chosen.observed > levels
    number = {whose: place for place, whose in enumerate(ATTRIBUTIONS)}
    whose: Numbers = np.select(
        [
            failed & breached,
            failed,
            breached & still,
            breached & better,
            chosen.old,
        ],
        [
            number[Attribution.WORSENED],
            number[Attribution.INTRODUCED],
            number[Attribution.PRE_EXISTING],
            number[Attribution.RECOVERED],
            number[Attribution.PRE_EXISTING],
        ],
        NONE,
    )
    return whose
