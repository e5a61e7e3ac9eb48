"""What testing the metrics in one span of the post window came to."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from analytics.blocks import Array
from analytics.compare import Flags, Numbers


@dataclass(frozen=True, slots=True)
class Finding:
    """The tests of m metrics in one span; every array has shape (m, d).

    Attributes:
        effect: Change on the metric's own scale, positive where it got worse: a shift of
            logarithms for a gauge, a difference of rates for errors; NaN if it cannot be told.
        steady: Effect without the worst slot, where one slot could make much of it, and no larger
            than the end of the window leaves possible.
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
        pattern: How the deviation runs, where the test itself has seen it: a position in
            `analytics.compare.PATTERNS`, else `NONE`.
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
    pattern: Numbers


def insert(gauges: Finding, failures: Finding, place: int) -> Finding:
    """Return the findings of all metrics: `failures` put at `place` among `gauges`."""
    parts = {}
    for field in fields(Finding):
        many, one = getattr(gauges, field.name), getattr(failures, field.name)
        parts[field.name] = np.concatenate([many[:place], one, many[place:]])
    return Finding(**parts)
