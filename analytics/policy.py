"""The policies: a method, its numbers and the name that is stored with every verdict.

A published policy never changes; a better one gets a new name. See docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from analytics import evidence, reference, relative
from analytics.blocks import Block
from analytics.compare import Comparison, Decision
from analytics.gauges import Minimum
from analytics.profile import Stack
from core.errors import InvalidInputError
from core.types import Metric

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Method(Generic[R]):
    """How to judge: two plain functions over a block and the numbers of type `R` they take.

    Attributes:
        compare: Sets post window against baseline, metric by metric.
        decide: Makes one decision of each deployment's comparisons.
        tests: Names of the tests `Comparison.test` counts.
    """

    compare: Callable[[Block, R, Stack], Comparison]
    decide: Callable[[Block, Comparison, R], Decision]
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy(Generic[R]):
    """A method with its numbers.

    Attributes:
        name: Stored with every verdict.
        method: How to judge.
        rules: The numbers of the method.
    """

    name: str
    method: Method[R]
    rules: R


REFERENCE: Final = Method(reference.compare, reference.decide)
RELATIVE: Final = Method(relative.compare, relative.decide, evidence.TESTS)

REFERENCE_V2: Final = Policy(
    "reference-v2",
    REFERENCE,
    reference.Rules(
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
    ),
)
"""The fixed-threshold rule of the first SeqPulse, kept for compatibility."""

SEQPULSE_V1: Final = Policy(
    "seqpulse-v1",
    RELATIVE,
    relative.Rules(
        minima=MappingProxyType(
            {
                Metric.REQUESTS_PER_SEC: Minimum(share=0.20, amount=10.0),
                Metric.LATENCY_P95: Minimum(share=0.15, amount=2.0),
                Metric.ERROR_RATE: Minimum(share=0.004, amount=3.0),
                Metric.CPU_USAGE: Minimum(share=0.12, amount=0.04),
                Metric.MEMORY_USAGE: Minimum(share=0.08, amount=0.04),
            }
        ),
        false_discovery_rate=0.05,
        bad_share=0.6,
        end_share=0.65,
        breaches=MappingProxyType(
            {
                Metric.LATENCY_P95: 300.0,
                Metric.ERROR_RATE: 0.01,
                Metric.CPU_USAGE: 0.80,
                Metric.MEMORY_USAGE: 0.80,
            }
        ),
        severe_errors=0.02,
        severe_traffic=0.45,
        severe_requests=30.0,
        joint_errors=0.01,
        joint_latency=0.25,
        joint_traffic=0.25,
        min_coverage_ratio=0.5,
        min_values=3,
        min_requests=60.0,
    ),
)
"""Against the service's own baseline and history; the default."""

POLICIES: Final[Mapping[str, Policy[Any]]] = MappingProxyType(
    {policy.name: policy for policy in (SEQPULSE_V1, REFERENCE_V2)}
)
"""Every policy by its name."""


def find(name: str) -> Policy[Any]:
    """Return the policy called `name`.

    Raises:
        InvalidInputError: There is none; the text names those there are.
    """
    try:
        return POLICIES[name]
    except KeyError:
        raise InvalidInputError(f"policy: not one of {', '.join(sorted(POLICIES))}") from None
