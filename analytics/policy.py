"""The numbers of the judge, gathered under a name that is stored with every verdict.

A published policy never changes; a better one gets a new name. See docs/method.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from core.errors import InvalidInputError
from core.types import Metric


@dataclass(frozen=True, slots=True)
class Policy:
    """A fixed-threshold rule with its data-quality demands.

    Attributes:
        name: Stored with every verdict.
        thresholds: Level each metric must stay under, in the metric's unit; traffic has none.
        secured_ratio: Share of the threshold that is already too much.
        tolerances: Share of post slots that may lie beyond the secured threshold, 0..1.
        traffic_drop_ratio: Fall under the baseline mean that counts against a slot, 0..1.
        traffic_min_rps: Baseline mean under which traffic is not judged, req/s.
        severe: Metrics whose failure recommends a rollback; the others warn.
        worsened_ratio: Growth over an already bad baseline that is blamed on the deployment.
        min_coverage_ratio: Share of planned post slots that must carry a value, 0..1.
        solid_baseline_n: Continuous baseline samples that make a baseline trustworthy.
    """

    name: str
    thresholds: Mapping[Metric, float]
    secured_ratio: float
    tolerances: Mapping[Metric, float]
    traffic_drop_ratio: float
    traffic_min_rps: float
    severe: frozenset[Metric]
    worsened_ratio: float
    min_coverage_ratio: float
    solid_baseline_n: int

    def secured_threshold(self, metric: Metric) -> float:
        """Return the level a slot of `metric` must not cross, in the metric's unit.

        Raises:
            KeyError: The metric has no fixed threshold (traffic).
        """
        # Binary 0.9 * 0.01 lies above the 0.009 people read in the docs: round the noise away.
        return round(self.secured_ratio * self.thresholds[metric], 9)


REFERENCE_V2: Final = Policy(
    name="reference-v2",
    thresholds=MappingProxyType(
        {
            Metric.LATENCY_P95: 300.0,
            Metric.ERROR_RATE: 0.01,
            Metric.CPU_USAGE: 0.80,
            Metric.MEMORY_USAGE: 0.80,
        }
    ),
    secured_ratio=0.9,
    tolerances=MappingProxyType(
        {
            Metric.REQUESTS_PER_SEC: 0.20,
            Metric.LATENCY_P95: 0.20,
            Metric.ERROR_RATE: 0.05,
            Metric.CPU_USAGE: 0.20,
            Metric.MEMORY_USAGE: 0.10,
        }
    ),
    traffic_drop_ratio=0.20,
    traffic_min_rps=0.5,
    severe=frozenset({Metric.ERROR_RATE, Metric.REQUESTS_PER_SEC}),
    worsened_ratio=1.25,
    min_coverage_ratio=0.6,
    solid_baseline_n=3,
)
"""The fixed-threshold rule of the first SeqPulse, kept for compatibility."""

POLICIES: Final[Mapping[str, Policy]] = MappingProxyType(
    {policy.name: policy for policy in (REFERENCE_V2,)}
)
"""Every policy by its name."""


def find(name: str) -> Policy:
    """Return the policy called `name`.

    Raises:
        InvalidInputError: There is none; the text names those there are.
    """
    try:
        return POLICIES[name]
    except KeyError:
        raise InvalidInputError(f"policy: not one of {', '.join(sorted(POLICIES))}") from None
