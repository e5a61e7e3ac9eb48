"""Put the numbers of a judgement into words, in the units people read them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from analytics.reasons import ReasonCode
from analytics.surroundings import Drift, Surroundings
from core.judgement import Evidence, Judgement
from core.types import Metric

NAMES: Final[Mapping[Metric, tuple[str, str, float]]] = {
    Metric.REQUESTS_PER_SEC: ("traffic", "req/s", 1),
    Metric.LATENCY_P95: ("latency p95", "ms", 1),
    Metric.ERROR_RATE: ("error rate", "%", 100),
    Metric.CPU_USAGE: ("CPU", "%", 100),
    Metric.MEMORY_USAGE: ("memory", "%", 100),
}
"""What people call a metric, the unit they read it in, and the factor to that unit."""

REASONS: Final[Mapping[str, str]] = {
    ReasonCode.NO_POST_SAMPLES: "Nothing was collected after the deploy",
    ReasonCode.INSUFFICIENT_POST_SAMPLES: "Too little was collected after the deploy",
    ReasonCode.NO_BASELINE: "Nothing is known from before the deploy",
    ReasonCode.METRIC_MISSING: "A metric is missing",
}

SOURCES: Final[Mapping[str, str]] = {
    "previous": "after the deploy before this one",
    "history": "at this time of earlier weeks",
}
"""When the expected level was seen, if not right before the deploy."""

LOADED: Final = "shift"
"""The test that expects more CPU where there is more traffic, whatever there was before."""

TIMES: Final = 9
"""Growth (as a share) from which on a level is called so many times the other."""

ROUNDING: Final = 12
"""Digits of an effect that are more than noise."""

MANY: Final = 3
"""Most deployments that are named one by one."""


def phrase(judgement: Judgement, surroundings: Surroundings) -> dict[str, str]:
    """Return the words a diagnosis template may use, besides `found`.

    Returns:
        A sentence for every metric by its name, and
        reason, coverage, values: why the data could not carry a verdict;
        detectable: the smallest effect on each metric that would have been seen;
        time_to_limit: how long until the memory is full;
        missed: how many slots were missed with which code, if that is known;
        drifts: levels now and some deployments ago;
        confounders: deployments that overlap.
    """
    by_metric = {each.metric: each for each in judgement.evidence}
    return {metric.value: describe(each) for metric, each in by_metric.items()} | {
        "reason": REASONS.get(judgement.reason_code, judgement.reason_code),
        "coverage": f"{100 * judgement.coverage_ratio:.3g} %",
        "values": ", ".join(
            f"{NAMES[each.metric][0]} {each.post_n} after and {each.baseline_n} before"
            for each in judgement.evidence
        ),
        "detectable": ", ".join(_detectable(each) for each in judgement.evidence),
        "time_to_limit": _time_to_limit(by_metric.get(Metric.MEMORY_USAGE)),
        "missed": _missed(surroundings),
        "drifts": ". And ".join(_drift(each) for each in surroundings.drifts),
        "confounders": _confounders(judgement),
    }


def describe(evidence: Evidence) -> str:
    """Return a metric's levels, the size of the change and the bad slots, as one sentence."""
    metric = evidence.metric
    when = SOURCES.get(evidence.baseline_source, "before the deploy")
    if metric is Metric.CPU_USAGE and evidence.test == LOADED:
        when = "expected at this traffic"
    sentence = (
        f"{NAMES[metric][0]} {amount(metric, evidence.observed)} "
        f"against {amount(metric, evidence.expected)} {when}{_change(evidence)}"
    )
    # Where the size of the change was measured, that says more than how many slots cross a line.
    if not evidence.exceedance_ratio or evidence.threshold is None or evidence.effect is not None:
        return sentence
    side = "below" if metric is Metric.REQUESTS_PER_SEC else "above"
    slots = round(evidence.exceedance_ratio * evidence.post_n)
    limit = amount(metric, evidence.threshold)
    return f"{sentence}; {slots} of {evidence.post_n} slots {side} {limit}"


def amount(metric: Metric, level: float | None) -> str:
    """Return `level` with its unit, in three digits or whole numbers."""
    if level is None:
        return "an unknown level"
    _, unit, factor = NAMES[metric]
    return f"{_number(level * factor)} {unit}"


def _number(shown: float) -> str:
    return f"{shown:.0f}" if 999.5 <= abs(shown) < 1e6 else f"{shown:.3g}"


def change(metric: Metric, effect: float) -> str:
    """Return an effect in people's eyes: lost traffic is negative, errors are points."""
    # Rounded: what binary arithmetic leaves is no change. Plus zero: that is "0", never "-0".
    signed = round(-effect if metric is Metric.REQUESTS_PER_SEC else effect, ROUNDING) + 0.0
    if metric is Metric.ERROR_RATE:
        return f"{signed * 100:+.3g} points"
    return f"{_number(1 + signed)} times" if signed >= TIMES else f"{signed * 100:+.3g} %"


def _change(evidence: Evidence) -> str:
    if evidence.effect is None:
        return ""
    size = change(evidence.metric, evidence.effect)
    if evidence.effect_low is None or evidence.effect_high is None:
        return f" ({size})"
    ends = (evidence.effect_low, evidence.effect_high)
    low, high = sorted(ends, reverse=evidence.metric is Metric.REQUESTS_PER_SEC)
    between = f"{change(evidence.metric, low)} to {change(evidence.metric, high)}"
    return f" ({size}, 95 % interval {between})"


def _detectable(evidence: Evidence) -> str:
    name = NAMES[evidence.metric][0]
    if evidence.smallest_detectable_effect is None:
        return f"{name} unknown"
    return f"{name} {change(evidence.metric, evidence.smallest_detectable_effect)}"


def _time_to_limit(memory: Evidence | None) -> str:
    """How long the memory lasts if it goes on growing as it did in the post window."""
    if memory is None or memory.observed is None or not (memory.trend_per_hour or 0) > 0:
        return "an unknown time"
    hours = max(1 - memory.observed, 0) / (memory.trend_per_hour or 1)
    if hours < 2:
        return f"{60 * hours:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{_number(hours / 24)} days"


def _missed(surroundings: Surroundings) -> str:
    counted = sorted(surroundings.missed.items(), key=lambda each: (-each[1], each[0]))
    codes = ", ".join(f"{code} {n}" for code, n in counted if n)
    return f" Missed slots by code: {codes}." if codes else ""


def _drift(drift: Drift) -> str:
    first, last = (amount(drift.metric, level) for level in (drift.first, drift.last))
    name = NAMES[drift.metric][0]
    return f"{name} went from {first} to {last} over the last {drift.deployments} deploys"


def _confounders(judgement: Judgement) -> str:
    named = ", ".join(map(str, judgement.confounders[:MANY]))
    more = len(judgement.confounders) - MANY
    return f"{named} and {more} more" if more > 0 else named
