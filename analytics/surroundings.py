"""What a judgement cannot know by itself: plain facts from outside that hints may mention.

Callers look them up and hand them over; without them the hints that need them stay silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Final

from core.types import CollectCode, Metric

OUR_CODES: Final = frozenset({CollectCode.DEADLINE, CollectCode.INTERNAL})
"""Ways of missing a slot that surely say nothing of the target."""

DRIFT_DEPLOYMENTS: Final = 6
"""Fewest deployments in a row that can show a drift."""

DRIFT_TAU: Final = 0.7
"""Least Kendall's tau of a drift: six levels without any trend reach it in 2.8 % of the cases."""

DRIFT_EFFECTS: Final[Mapping[Metric, float]] = MappingProxyType(
    {
        Metric.REQUESTS_PER_SEC: 0.5,
        Metric.LATENCY_P95: 0.5,
        Metric.ERROR_RATE: 0.005,
        Metric.CPU_USAGE: 0.5,
        Metric.MEMORY_USAGE: 0.3,
    }
)
"""Least drift that is worth a word: a difference for the error rate, else a share of the first."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One metric that got worse deployment by deployment, none of which failed.

    Attributes:
        deployments: How many deployments it took.
        first: Level after the first of them, in the metric's unit.
        last: Level after the last of them, in the metric's unit.
    """

    metric: Metric
    deployments: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Facts about a deployment that are not in its samples.

    Attributes:
        missed: Planned post slots that were missed, by code; a code without any may be left out.
        elsewhere_silent_ratio: Share of the other projects that answered before and could not be
            reached once while this deployment was watched, 0..1; None if there are too few.
        drifts: What `find_drifts` found.
    """

    missed: Mapping[CollectCode, int] = field(default_factory=dict)
    elsewhere_silent_ratio: float | None = None
    drifts: tuple[Drift, ...] = ()

    @property
    def our_fault(self) -> bool:
        """Whether at least half of the misses are ours, or half of the others went silent too."""
        missed = sum(self.missed.values())
        ours = sum(self.missed.get(code, 0) for code in OUR_CODES)
        return missed > 0 and (2 * ours >= missed or (self.elsewhere_silent_ratio or 0) >= 0.5)


NOTHING_KNOWN: Final = Surroundings()


def find_drifts(levels: Sequence[Mapping[Metric, float]]) -> tuple[Drift, ...]:
    """Return the metrics that got worse over deployments in a row.

    A metric drifts when Kendall's rank correlation of its level with the order of the deployments
    is at least `DRIFT_TAU` in the harmful direction, and the last level is worse than the first
    by `DRIFT_EFFECTS`.

    Args:
        levels: `Evidence.observed` by metric, of the last deployments that passed, oldest first,
            this one last; a level that is unknown is left out. Eight to twelve are a good number.
    """
    found = []
    for metric in Metric:
        known = [each[metric] for each in levels if metric in each]
        if len(known) >= DRIFT_DEPLOYMENTS and _drifts(metric, known):
            found.append(Drift(metric, len(known), known[0], known[-1]))
    return tuple(found)


def _drifts(metric: Metric, levels: Sequence[float]) -> bool:
    harm = -1 if metric is Metric.REQUESTS_PER_SEC else 1
    pairs = [harm * (late - early) for early, late in combinations(levels, 2)]
    tau = sum((pair > 0) - (pair < 0) for pair in pairs) / len(pairs)
    scale = 1.0 if metric is Metric.ERROR_RATE else levels[0]
    grown = harm * (levels[-1] - levels[0])
    return tau >= DRIFT_TAU and grown > 0 and grown >= DRIFT_EFFECTS[metric] * scale
