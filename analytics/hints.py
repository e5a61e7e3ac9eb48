"""Explain a judgement: which composite of failures it is, in numbers, and what to do first.

The catalogue is data. A rule fires when all its signals are there, and takes them: what a
composite explains is not said again by a simpler rule further down. See docs/hints.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analytics.reasons import ReasonCode
from core.judgement import Evidence, Judgement
from core.types import Attribution, Hint, Metric, Severity


class Signal(StrEnum):
    """What a rule may ask for besides a `Metric`, which stands for its failure."""

    PRE_EXISTING = "pre_existing"  # a failed metric was no better before
    ENDPOINT_SILENT = "endpoint_silent"  # there was a baseline, the post window is (nearly) empty
    DATA_THIN = "data_thin"  # inconclusive for any other reason


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the catalogue.

    Attributes:
        id: Stable name, stored with the hint.
        signals: All of them must be there.
        diagnosis: Template; a metric's name stands for the sentence about it.
        actions: What to do, most useful first.
    """

    id: str
    severity: Severity
    signals: frozenset[Metric | Signal]
    title: str
    diagnosis: str
    actions: tuple[str, ...]


CATALOGUE: Final = (
    Rule(
        "partial_outage",
        Severity.CRITICAL,
        frozenset({Metric.ERROR_RATE, Metric.REQUESTS_PER_SEC}),
        "Partial outage: errors while traffic falls",
        "Requests fail and fewer arrive: {error_rate}. And {requests_per_sec}.",
        (
            "Roll back: the two together rarely have a harmless cause.",
            "Compare healthy instances with planned ones: look for crash loops and failing probes.",
            "Read the first error in the logs after the deploy; the later ones are echoes.",
            "Check that the load balancer routes to the new instances on the right port and path.",
        ),
    ),
    Rule(
        "service_degradation",
        Severity.CRITICAL,
        frozenset({Metric.ERROR_RATE, Metric.LATENCY_P95}),
        "Degradation: errors while requests slow down",
        "Requests fail and slow down together: {error_rate}. And {latency_p95}.",
        (
            "Roll back: errors and latency rising together rarely heal by themselves.",
            "Look for time-outs to a dependency: database, cache, downstream service.",
            "Check pools and limits the release changed: connections, threads, queue lengths.",
            "Look for a slow or locking query or migration that came with the release.",
        ),
    ),
    Rule(
        "traffic_drop",
        Severity.CRITICAL,
        frozenset({Metric.REQUESTS_PER_SEC}),
        "Traffic is down",
        "Fewer requests arrive: {requests_per_sec}.",
        (
            "Check whether requests are lost before the service: DNS, load balancer, certificate.",
            "Check readiness: instances that never became ready get no traffic.",
            "Rule out an outside cause: time of day, a paused client, a changed route.",
            "Roll back if nothing outside explains the fall.",
        ),
    ),
    Rule(
        "error_regression",
        Severity.CRITICAL,
        frozenset({Metric.ERROR_RATE}),
        "Too many requests fail",
        "Requests fail: {error_rate}.",
        (
            "Roll back unless the errors are known and harmless.",
            "Group the errors by route and exception: one new group points at the change.",
            "Check settings, secrets and feature flags the release expects in this environment.",
            "Check compatibility: schema, message formats and clients still on the old version.",
        ),
    ),
    Rule(
        "compute_saturation",
        Severity.WARNING,
        frozenset({Metric.LATENCY_P95, Metric.CPU_USAGE}),
        "Out of CPU, and users feel it",
        "Requests slow down while the CPU is busy: {latency_p95}. And {cpu_usage}.",
        (
            "Add instances or CPU to win time.",
            "Take a CPU profile of the new version and compare it with the old one.",
            "Look for work the release added to every request: serialisation, regexes, logging.",
            "Roll back if the load does not fall after scaling.",
        ),
    ),
    Rule(
        "latency_regression",
        Severity.WARNING,
        frozenset({Metric.LATENCY_P95}),
        "Requests are slow",
        "Requests take too long: {latency_p95}.",
        (
            "Trace a slow request and find the call it waits for.",
            "Look for new queries, missing indexes and calls in a loop in the release.",
            "Check whether caches were emptied by the deploy; if so, watch it recover.",
        ),
    ),
    Rule(
        "cpu_saturation",
        Severity.WARNING,
        frozenset({Metric.CPU_USAGE}),
        "The CPU is nearly used up",
        "There is little CPU left for a peak: {cpu_usage}.",
        (
            "Compare CPU per request before and after: did the work grow or the traffic?",
            "Take a CPU profile of the new version.",
            "Add instances or CPU before the next peak.",
        ),
    ),
    Rule(
        "memory_pressure",
        Severity.WARNING,
        frozenset({Metric.MEMORY_USAGE}),
        "The memory is nearly used up",
        "The next step is the out-of-memory killer: {memory_usage}.",
        (
            "Watch whether it still grows: a steady climb is a leak, a plateau is a bigger need.",
            "Compare heap profiles of the old and the new version.",
            "Check caches, batch sizes and worker counts the release changed.",
            "Raise the memory limit to win time, or roll back if it climbs.",
        ),
    ),
    Rule(
        "endpoint_died",
        Severity.WARNING,
        frozenset({Signal.ENDPOINT_SILENT}),
        "The metrics endpoint stopped answering with this deploy",
        "The metrics endpoint answered before the deploy, and for {coverage} of the planned slots "
        "after it; no verdict can rest on that.",
        (
            "Check that the new version is running at all: it may crash at start.",
            "Read the metrics endpoint by hand from where the workers run.",
            "Look up the codes in report.missed_slots: they say why every slot was missed.",
            "Check that the release kept the endpoint's path, port and HMAC secret.",
        ),
    ),
    Rule(
        "data_too_thin",
        Severity.WARNING,
        frozenset({Signal.DATA_THIN}),
        "Too little data for a verdict",
        "{reason}: samples for {coverage} of the planned slots after the deploy; "
        "values per metric {values}.",
        (
            "Look at the service yourself: nothing here says that this deploy is harmless.",
            "Look up the codes in report.missed_slots: they say why a slot was missed.",
            "Check that the metrics endpoint reports all five numbers.",
            "Let the baseline run for some minutes before the next deploy.",
        ),
    ),
    Rule(
        "pre_existing_breach",
        Severity.INFO,
        frozenset({Signal.PRE_EXISTING}),
        "It was like this before the deploy",
        "Already beyond the threshold before this deploy and not clearly worse since: "
        "{pre_existing}.",
        (
            "Do not expect a rollback to help with this part.",
            "Treat it as an incident of its own, older than this deploy.",
        ),
    ),
)
"""Composites before their parts, important before less important: hints come out in this order."""

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


def diagnose(judgement: Judgement) -> tuple[Hint, ...]:
    """Return the hints of `judgement`, most important first; none if there is nothing to say."""
    left = _signals(judgement)
    words = _words(judgement)
    hints = []
    for rule in CATALOGUE:
        if rule.signals <= left:
            left -= rule.signals
            hints.append(_hint(rule, judgement, words))
    return tuple(hints)


def _signals(judgement: Judgement) -> set[Metric | Signal]:
    signals: set[Metric | Signal] = {each.metric for each in judgement.evidence if each.failed}
    if _pre_existing(judgement):
        signals.add(Signal.PRE_EXISTING)
    if not judgement.conclusive:
        silent = judgement.reason_code in (
            ReasonCode.NO_POST_SAMPLES,
            ReasonCode.INSUFFICIENT_POST_SAMPLES,
        ) and any(each.baseline_n for each in judgement.evidence)
        signals.add(Signal.ENDPOINT_SILENT if silent else Signal.DATA_THIN)
    return signals


def _pre_existing(judgement: Judgement) -> list[Evidence]:
    return [
        each
        for each in judgement.evidence
        if each.failed and each.attribution is Attribution.PRE_EXISTING
    ]


def _hint(rule: Rule, judgement: Judgement, words: Mapping[str, str]) -> Hint:
    if Signal.PRE_EXISTING in rule.signals:
        metrics = tuple(each.metric for each in _pre_existing(judgement))
    else:
        metrics = tuple(metric for metric in Metric if metric in rule.signals)
    return Hint(
        rule.id, rule.severity, rule.title, rule.diagnosis.format_map(words), rule.actions, metrics
    )


def _words(judgement: Judgement) -> dict[str, str]:
    """The texts that fill the places of a diagnosis template."""
    return {each.metric.value: _sentence(each) for each in judgement.evidence} | {
        "coverage": f"{100 * judgement.coverage_ratio:.3g} %",
        "reason": REASONS.get(judgement.reason_code, judgement.reason_code),
        "values": ", ".join(
            f"{NAMES[each.metric][0]} {each.post_n} after and {each.baseline_n} before"
            for each in judgement.evidence
        ),
        "pre_existing": ". And ".join(_sentence(each) for each in _pre_existing(judgement)),
    }


def _sentence(evidence: Evidence) -> str:
    metric = evidence.metric
    side = "below" if metric is Metric.REQUESTS_PER_SEC else "above"
    slots = round((evidence.exceedance_ratio or 0) * evidence.post_n)
    return (
        f"{NAMES[metric][0]} {_amount(metric, evidence.observed)} on average "
        f"against {_amount(metric, evidence.expected)} before the deploy; "
        f"{slots} of {evidence.post_n} slots {side} {_amount(metric, evidence.threshold)}"
    )


def _amount(metric: Metric, level: float | None) -> str:
    """`level` with its unit, in three digits or whole numbers."""
    if level is None:
        return "an unknown level"
    _, unit, factor = NAMES[metric]
    shown = level * factor
    return f"{shown:.0f} {unit}" if 999.5 <= shown < 1e6 else f"{shown:.3g} {unit}"
