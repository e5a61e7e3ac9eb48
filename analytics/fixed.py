"""The fixed-threshold rule of the first SeqPulse: a metric fails when too many slots are beyond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import (
    ATTRIBUTIONS,
    NONE,
    Comparison,
    Decision,
    Flags,
    Numbers,
    find_beyond,
    find_exceedance,
    mark,
)
from analytics.early import find_decision
from analytics.profile import Stack
from analytics.reasons import CODES, CONCLUSIVE, Penalty, ReasonCode
from analytics.simple import INCONCLUSIVE_CONFIDENCE, describe, measure
from core.errors import InvalidInputError
from core.types import SHARES, Attribution, Metric

ORDER: Final = tuple(Metric)
TRAFFIC: Final = ORDER.index(Metric.REQUESTS_PER_SEC)


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of a fixed-threshold policy.

    Attributes:
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

    thresholds: Mapping[Metric, float]
    secured_ratio: float
    tolerances: Mapping[Metric, float]
    traffic_drop_ratio: float
    traffic_min_rps: float
    severe: frozenset[Metric]
    worsened_ratio: float
    min_coverage_ratio: float
    solid_baseline_n: int

    def __post_init__(self) -> None:
        if self.thresholds.keys() != set(Metric) - {Metric.REQUESTS_PER_SEC}:
            raise InvalidInputError("thresholds: must name every metric but traffic, and no other")
        if self.tolerances.keys() != set(Metric):
            raise InvalidInputError("tolerances: must name every metric")
        for metric in sorted(SHARES):
            if not self.thresholds[metric] <= 1:
                raise InvalidInputError(f"thresholds.{metric}: must be at most 1")
        shares = {f"tolerances.{metric}": ratio for metric, ratio in self.tolerances.items()}
        for name in ("secured_ratio", "traffic_drop_ratio", "min_coverage_ratio"):
            shares[name] = getattr(self, name)
        for name, ratio in shares.items():
            if not ratio <= 1:
                raise InvalidInputError(f"{name}: must be at most 1")

    def secured_threshold(self, metric: Metric) -> float:
        """Return the level a slot of `metric` must not cross, in the metric's unit.

        Raises:
            KeyError: The metric has no fixed threshold (traffic).
        """
        # Binary 0.9 * 0.01 lies above the 0.009 people read in the docs: round the noise away.
        return round(self.secured_ratio * self.thresholds[metric], 9)


def compare(block: Block, rules: Rules, profiles: Stack) -> Comparison:
    """Compare every metric of every deployment of `block`; `profiles` are of no use here."""
    del profiles
    means = measure(block)
    threshold = _threshold(means.expected, rules)
    exceedance = find_exceedance(block.after, threshold)
    tolerance = np.array([rules.tolerances[metric] for metric in ORDER])
    covered = (_coverage(block) >= rules.min_coverage_ratio)[:, None]
    failed = covered & (exceedance > tolerance)
    whose = _attribute(failed, means.expected, means.observed, rules)
    return describe(
        means,
        failed,
        failed & mark(rules.severe),
        threshold=threshold,
        exceedance_ratio=exceedance,
        tolerance_ratio=np.broadcast_to(tolerance, failed.shape),
        attribution=np.where(covered, whose, NONE),
    )


def _coverage(block: Block) -> Array:
    samples = (~np.isnan(block.after)).any(axis=0).sum(axis=-1)
    coverage: Array = samples / block.after.shape[-1]
    return coverage


def _threshold(expected: Array, rules: Rules) -> Array:
    """The level a slot must not cross; NaN where the metric is not judged."""
    threshold = np.empty_like(expected)
    for place, metric in enumerate(ORDER):
        if place != TRAFFIC:
            threshold[:, place] = rules.secured_threshold(metric)
    usual = expected[:, TRAFFIC]
    floor = (1 - rules.traffic_drop_ratio) * usual
    threshold[:, TRAFFIC] = np.where(usual >= rules.traffic_min_rps, floor, np.nan)
    return threshold


def _attribute(failed: Flags, expected: Array, observed: Array, rules: Rules) -> Numbers:
    """Whose the deviation is; `NONE` if there is none."""
    threshold = _threshold(expected, rules)
    # The threshold of traffic is made from its baseline, which can therefore not be beyond it.
    breached = expected > threshold
    breached[:, TRAFFIC] = False
    worsened = observed >= rules.worsened_ratio * expected
    number = {whose: place for place, whose in enumerate(ATTRIBUTIONS)}
    whose: Numbers = np.select(
        [
            failed & np.isnan(expected),
            failed & breached & worsened,
            failed & breached,
            failed,
            breached & (observed <= threshold),
        ],
        [
            number[Attribution.UNKNOWN],
            number[Attribution.WORSENED],
            number[Attribution.PRE_EXISTING],
            number[Attribution.INTRODUCED],
            number[Attribution.RECOVERED],
        ],
        NONE,
    )
    return whose


def decide(block: Block, comparison: Comparison, rules: Rules) -> Decision:
    """Make one decision of each deployment's comparisons."""
    coverage = _coverage(block)
    baseline_n = (~np.isnan(block.before)).any(axis=0).sum(axis=-1)
    number = {code: place for place, code in enumerate(CODES)}
    reason: Numbers = np.select(
        [
            coverage == 0,
            coverage < rules.min_coverage_ratio,
            comparison.severe.any(axis=1),
            comparison.failed.any(axis=1),
            baseline_n == 0,
            _missing(block, comparison, rules),
        ],
        [
            number[ReasonCode.NO_POST_SAMPLES],
            number[ReasonCode.INSUFFICIENT_POST_SAMPLES],
            number[ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED],
            number[ReasonCode.THRESHOLD_EXCEEDED],
            number[ReasonCode.NO_BASELINE],
            number[ReasonCode.METRIC_MISSING],
        ],
        number[ReasonCode.WITHIN_LIMITS],
    )
    size = block.rows.size
    return Decision(
        reason=reason,
        confidence=_confidence(block, coverage, baseline_n, reason, rules),
        quality_ratio=np.ones(size),
        penalties=np.zeros((size, len(Penalty)), dtype=np.bool_),
        decided_at=find_decision(
            block,
            find_beyond(block.after, comparison.threshold),
            np.where(np.isnan(comparison.threshold), np.nan, comparison.tolerance_ratio).T,
            mark(rules.severe),
            rules.min_coverage_ratio,
        ),
    )


def _missing(block: Block, comparison: Comparison, rules: Rules) -> Flags:
    """Whether too little is known of some metric to call the deployment harmless."""
    known = comparison.post_n.copy()
    # Traffic without a baseline cannot be judged. Where it has one, slots without traffic are
    # either a fall that traffic itself answers for, or the habit of an idle service: they excuse
    # the latency and the error rate they cannot have.
    idle = (block.after[TRAFFIC] == 0).sum(axis=-1)
    for metric in (Metric.LATENCY_P95, Metric.ERROR_RATE):
        known[:, ORDER.index(metric)] += idle
    thin = (known / block.after.shape[-1] < rules.min_coverage_ratio).any(axis=1)
    missing: Flags = thin | (comparison.baseline_n[:, TRAFFIC] == 0)
    return missing


def _confidence(
    block: Block, coverage: Array, baseline_n: Numbers, reason: Numbers, rules: Rules
) -> Array:
    solid = block.continuous & (baseline_n >= rules.solid_baseline_n)
    weight = np.select([solid, baseline_n > 0], [1.0, 0.8], 0.5)
    # Through Python: numpy rounds 0.0625 steps another way than the decimals people read.
    complete = np.array([round(float(each), 3) for each in coverage * weight])
    conclusive = np.array([code in CONCLUSIVE for code in CODES])[reason]
    return np.where(conclusive, complete, np.minimum(complete, INCONCLUSIVE_CONFIDENCE))
