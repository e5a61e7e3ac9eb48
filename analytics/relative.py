"""Against the service's own baseline and history: what got worse, and was it the deployment?

The method of `seqpulse-v1`. Gauges are tested by `analytics.gauges`, errors by
`analytics.failures`; here their findings become evidence. See docs/method.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics import failures, gauges
from analytics.blocks import Array, Block
from analytics.compare import (
    NONE,
    Comparison,
    Decision,
    Flags,
    Numbers,
)
from analytics.evidence import INTERVAL_SIGMAS, Limits, describe
from analytics.finding import Finding, insert
from analytics.gauges import Minimum
from analytics.levels import ORDER, find_seconds, find_spans
from analytics.profile import Stack
from analytics.quality import Quality, assess_quality
from analytics.reasons import CODES, CONCLUSIVE, ReasonCode
from analytics.statistics import find_discoveries, normal_tail
from core.errors import InvalidInputError
from core.types import SHARES, Metric

TRAFFIC: Final = ORDER.index(Metric.REQUESTS_PER_SEC)
LATENCY: Final = ORDER.index(Metric.LATENCY_P95)
ERRORS: Final = ORDER.index(Metric.ERROR_RATE)
CPU: Final = ORDER.index(Metric.CPU_USAGE)

HARM_RATE: Final = 0.05
"""Share of deployments that do harm where teams are good at it (DORA, change failure rate)."""

LAST_SLOTS: Final = 2
DOUBLED: Final = 2.0
"""Latency at the end, in multiples of what is expected, that is worth another look."""

SHARED: Final = (
    "false_discovery_rate",
    "bad_share",
    "end_share",
    "severe_errors",
    "severe_traffic",
    "joint_errors",
    "joint_traffic",
    "min_coverage_ratio",
)
"""Numbers of the rules that are shares of one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of the method; docs/method.md gives the reason of each.

    Attributes:
        minima: The smallest change of each metric that matters.
        false_discovery_rate: Allowed share of false ones among the metrics that fail.
        bad_share: Share of the slots that must be worse for a metric to fail (strictly above).
        end_share: Share of the critical effect that must be left at the end of the window.
        breaches: Level from which a metric is in breach whatever it was before, in its unit.
        severe_errors: Rise of the error rate that recommends a rollback.
        severe_traffic: Share of lost traffic that does.
        severe_requests: Requests expected in the post window below which no lost ones do.
        joint_errors: Rise of the error rate that does together with one of the next two.
        joint_latency: Growth of latency, as a share.
        joint_traffic: Share of lost traffic.
        min_coverage_ratio: Share of planned post slots that must carry a sample.
        min_values: Values of a metric below which nothing is said of it.
        min_requests: Requests in the post window below which failures could hide.
    """

    minima: Mapping[Metric, Minimum]
    false_discovery_rate: float
    bad_share: float
    end_share: float
    breaches: Mapping[Metric, float]
    severe_errors: float
    severe_traffic: float
    severe_requests: float
    joint_errors: float
    joint_latency: float
    joint_traffic: float
    min_coverage_ratio: float
    min_values: int
    min_requests: float

    def __post_init__(self) -> None:
        if self.minima.keys() != set(Metric):
            raise InvalidInputError("minima: must name every metric")
        for metric, minimum in self.minima.items():
            if not (minimum.share > 0 and minimum.amount > 0):
                raise InvalidInputError(f"minima.{metric}: share and amount must be above 0")
        if Metric.REQUESTS_PER_SEC in self.breaches:
            raise InvalidInputError("breaches: traffic has no level that is too high")
        shares = {name: getattr(self, name) for name in SHARED} | {
            f"breaches.{metric}": self.breaches.get(metric, 0) for metric in sorted(SHARES)
        }
        for name, share in shares.items():
            if not share <= 1:
                raise InvalidInputError(f"{name}: must be at most 1")


def compare(block: Block, rules: Rules, profiles: Stack) -> Comparison:
    """Compare every metric of every deployment of `block`."""
    ground = gauges.prepare(block)
    counted = failures.prepare(block, profiles)
    spans = find_spans(block.after.shape[-1])
    persistence = (rules.bad_share, rules.end_share)
    found = []
    for span in spans:
        levels = gauges.examine(block, ground, span, rules.minima, persistence, profiles)
        errors = failures.examine(counted, span, rules.minima[Metric.ERROR_RATE], profiles)
        found.append(insert(levels, errors, ERRORS))
    chosen, p, passed = _choose(found, [span.weight for span in spans])
    fallen = find_discoveries(np.where(passed, p, 1.0).T, rules.false_discovery_rate).T
    quality = assess_quality(block, rules.min_values)
    # Data that cannot carry a verdict carries no failure; half-blind it carries no rollback.
    failed = fallen & passed & _usable(block, quality, rules)
    # What the first traffic costs was never measured, so it is no fault of the deployment's.
    failed[CPU] &= ~_has_first_traffic(quality, rules)
    severe = _grade(found, failed, rules) & ~quality.blind.any(axis=1)
    seconds = find_seconds(np.array(block.after.shape[-1]), block.slot_seconds)
    severe[TRAFFIC] &= chosen.expected[TRAFFIC] * seconds >= rules.severe_requests
    return describe(block, chosen, p, failed, severe, Limits(rules.bad_share, rules.breaches))


def _choose(found: list[Finding], weights: list[float]) -> tuple[Finding, Array, Flags]:
    """The most telling span of each metric, its p for all spans together, whether any passed."""
    p = np.stack(
        [np.minimum(each.p / weight, 1.0) for each, weight in zip(found, weights, strict=True)]
    )
    passed = np.stack([each.passed for each in found])
    rank = np.where(passed, p, 2.0 + np.nan_to_num(p, nan=2.0))
    best = rank.argmin(axis=0)
    chosen = {name: [getattr(each, name) for each in found] for name in Finding.__slots__}
    picked = {name: np.choose(best, each) for name, each in chosen.items()}
    return Finding(**picked), np.choose(best, p), np.logical_or.reduce(passed)


def _grade(found: list[Finding], failed: Flags, rules: Rules) -> Flags:
    """Which failures recommend a rollback, alone or together."""
    worst = np.max([np.where(each.passed, each.steady, -np.inf) for each in found], axis=0)
    worst = np.where(failed, worst, -np.inf)
    errors, traffic = worst[ERRORS], -np.expm1(-worst[TRAFFIC])
    latency = np.expm1(worst[LATENCY])
    slow = (errors >= rules.joint_errors) & (latency >= rules.joint_latency)
    lost = (errors >= rules.joint_errors) & (traffic >= rules.joint_traffic)
    severe = np.zeros(failed.shape, dtype=np.bool_)
    severe[ERRORS] = (errors >= rules.severe_errors) | slow | lost
    severe[TRAFFIC] = (traffic >= rules.severe_traffic) | lost
    severe[LATENCY] = slow
    return severe


def _usable(block: Block, quality: Quality, rules: Rules) -> Flags:
    """Whether there is enough fresh data for a verdict."""
    coverage = quality.samples / block.after.shape[-1]
    enough = (coverage >= rules.min_coverage_ratio) & (quality.samples >= rules.min_values)
    usable: Flags = enough & ~quality.stuck & ~quality.unknown.all(axis=1)
    return usable


def decide(block: Block, comparison: Comparison, rules: Rules) -> Decision:
    """Make one decision of each deployment's comparisons."""
    quality = assess_quality(block, rules.min_values)
    coverage = quality.samples / block.after.shape[-1]
    number = {code: place for place, code in enumerate(CODES)}
    reason: Numbers = np.select(
        [
            quality.samples == 0,
            (coverage < rules.min_coverage_ratio) | (quality.samples < rules.min_values),
            quality.stuck,
            quality.unknown.all(axis=1),
            comparison.severe.any(axis=1),
            comparison.failed.any(axis=1),
            (quality.blind | quality.unknown | quality.cut).any(axis=1)
            | _cannot_compare(block, quality, rules),
            _ends_badly(block, comparison, rules),
            quality.requests < rules.min_requests,
        ],
        [
            number[ReasonCode.NO_POST_SAMPLES],
            number[ReasonCode.INSUFFICIENT_POST_SAMPLES],
            number[ReasonCode.STALE_SOURCE],
            number[ReasonCode.NO_BASELINE],
            number[ReasonCode.SEVERE_REGRESSION],
            number[ReasonCode.REGRESSION],
            number[ReasonCode.METRIC_MISSING],
            number[ReasonCode.BAD_END],
            number[ReasonCode.LOW_POWER],
        ],
        number[ReasonCode.NO_REGRESSION],
    )
    size = block.rows.size
    return Decision(
        reason=reason,
        confidence=_trust(comparison, reason),
        quality_ratio=quality.ratio,
        penalties=quality.penalties,
        decided_at=np.full(size, NONE, dtype=np.int64),
    )


def _cannot_compare(block: Block, quality: Quality, rules: Rules) -> Flags:
    """Whether what came has no measure, since there was no traffic before.

    A few requests are not much; but that those few fail must not pass for harmless.
    """
    failed = failures.count(block.after, block.slot_seconds)[1].sum(axis=-1)
    bad = quality.untried.any(axis=1) & (failed >= rules.minima[Metric.ERROR_RATE].amount)
    without: Flags = _has_first_traffic(quality, rules) | bad
    return without


def _has_first_traffic(quality: Quality, rules: Rules) -> Flags:
    """Whether a service without traffic before has some after."""
    first: Flags = quality.untried.any(axis=1) & (quality.requests >= rules.min_requests)
    return first


def _ends_badly(block: Block, comparison: Comparison, rules: Rules) -> Flags:
    """Whether the last slots are bad beyond doubt: too few to fail, too bad to be called harmless.

    In each of them so much traffic is lost that it recommends a rollback, or latency has doubled,
    and it is worse than in any two minutes in a row of the baseline. Two slots of errors are enough
    to fail, for they are counted.
    """
    lost = _reach_at_the_end(-block.before[TRAFFIC], -block.after[TRAFFIC])
    slow = _reach_at_the_end(block.before[LATENCY], block.after[LATENCY])
    traffic, latency = comparison.expected[:, TRAFFIC], comparison.expected[:, LATENCY]
    requests = traffic * find_seconds(np.array(LAST_SLOTS), block.slot_seconds)
    much = (lost >= (rules.severe_traffic - 1) * traffic) & (requests >= rules.severe_requests)
    least = latency + rules.minima[Metric.LATENCY_P95].amount
    ends: Flags = much | (slow >= np.maximum(DOUBLED * latency, least))
    return ends


def _reach_at_the_end(before: Array, after: Array) -> Array:
    """The level all of the last slots reach, if no minutes before did; else minus infinity."""
    last = after[..., -LAST_SLOTS:].min(axis=-1)
    pairs = np.minimum(before[..., 1:], before[..., :-1])
    ever = np.where(np.isnan(pairs), -np.inf, pairs).max(axis=-1, initial=-np.inf)
    return np.where(last > ever, last, -np.inf)


def _trust(comparison: Comparison, reason: Numbers) -> Array:
    """The probability that the verdict is right; see docs/method.md for what it means.

    Of an alarm: one less the least probability that chance alone did it, given its p (Sellke,
    Bayarri and Berger, Calibration of p values, 2001). Of an ok: one less the chance that a
    deployment does harm times the chance that an effect that matters hides in the scatter.
    """
    p = np.where(comparison.failed, comparison.p_value, 1.0).min(axis=1)
    p = np.maximum(p, np.finfo(np.float64).tiny)
    chance = np.where(p < 1 / np.e, -np.e * p * np.log(p), 1.0)
    scatter = (comparison.effect_high - comparison.effect) / INTERVAL_SIGMAS
    hidden = normal_tail((comparison.minimum_effect - comparison.effect) / scatter)
    most = np.where(np.isnan(hidden), 0.0, hidden).max(axis=1)
    conclusive = np.array([code in CONCLUSIVE for code in CODES])[reason]
    trust: Array = np.select(
        [comparison.failed.any(axis=1), conclusive],
        [1 / (1 + chance), 1 - HARM_RATE * most],
        1 - HARM_RATE,
    )
    return trust
