"""Services without traffic: nothing to compare is no harm, and no proof of none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics.hints import diagnose
from analytics.reasons import ReasonCode
from core.judgement import Judgement
from core.types import METRICS, Metric, Severity, Verdict

Compare = Callable[..., Judgement]
Sample = dict[str, object]

IDLE: Sample = {"requests_per_sec": 0.0, "latency_p95": 0.0, "error_rate": 0.0, "cpu_usage": 0.02}


def _few(requests: float, failed: float) -> Sample:
    """A minute with so many requests."""
    return {"requests_per_sec": requests / 60, "error_rate": failed / requests, "cpu_usage": 0.02}


def _failed(judgement: Judgement) -> list[Metric]:
    return [each.metric for each in judgement.evidence if each.failed]


@pytest.mark.parametrize("slots", [5, 15, 30])
def test_an_idle_service_is_ok_but_nothing_is_proven(compare: Compare, slots: int) -> None:
    judgement = compare(before=[IDLE] * 30, after=[IDLE] * slots)
    assert (judgement.verdict, judgement.conclusive) == (Verdict.OK, False)
    assert judgement.reason_code == ReasonCode.LOW_POWER
    (hint,) = diagnose(judgement)
    assert (hint.rule, hint.severity) == ("low_power", Severity.INFO)
    assert "or none: traffic 0 req/s against 0 req/s before the deploy" in hint.diagnosis
    traffic = judgement.evidence[METRICS.index("requests_per_sec")]
    assert (traffic.expected, traffic.observed) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [({"cpu_usage": 0.5}, "cpu_saturation"), ({"memory_usage": 0.7}, "memory_step")],
)
def test_what_an_idle_service_has_is_compared(compare: Compare, changed: Sample, rule: str) -> None:
    """Nor is it said that every request costs more: there is none."""
    judgement = compare(before=[IDLE] * 30, after=[IDLE | changed] * 5)
    assert judgement.reason_code == ReasonCode.REGRESSION
    assert _failed(judgement) == [Metric(name) for name in changed]
    assert [hint.rule for hint in diagnose(judgement)] == [rule]


@pytest.mark.parametrize("slots", [5, 15])
def test_traffic_that_dies_recommends_a_rollback(compare: Compare, slots: int) -> None:
    judgement = compare(after=[IDLE] * slots)
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED
    assert [hint.rule for hint in diagnose(judgement)][:1] == ["traffic_drop"]


@pytest.mark.parametrize("cpu", [0.05, 0.6])
@pytest.mark.parametrize("slots", [5, 15])
def test_traffic_that_begins_has_nothing_to_be_compared_with(
    compare: Compare, slots: int, cpu: float
) -> None:
    judgement = compare(before=[IDLE] * 30, after=[{"cpu_usage": cpu}] * slots)
    assert (judgement.reason_code, _failed(judgement)) == (ReasonCode.METRIC_MISSING, [])
    assert judgement.verdict is Verdict.WARNING


@pytest.mark.parametrize("slots", [5, 15])
def test_first_traffic_excuses_no_memory(compare: Compare, slots: int) -> None:
    judgement = compare(before=[IDLE] * 30, after=[{"memory_usage": 0.9}] * slots)
    assert (judgement.reason_code, _failed(judgement)) == (
        ReasonCode.REGRESSION,
        [Metric.MEMORY_USAGE],
    )


@pytest.mark.parametrize(
    ("minutes", "reason"),
    [
        ([_few(1, 0)] * 2, ReasonCode.LOW_POWER),
        ([_few(19, 0)] * 3, ReasonCode.LOW_POWER),
        ([_few(20, 0)] * 3, ReasonCode.METRIC_MISSING),  # 60 requests
        ([_few(1, 1)] * 2, ReasonCode.LOW_POWER),
        ([_few(1, 1)] * 3, ReasonCode.METRIC_MISSING),  # three failures
        ([_few(19, 1.1)] * 3, ReasonCode.METRIC_MISSING),
    ],
)
@pytest.mark.parametrize("slots", [5, 15])
def test_a_few_requests_are_no_traffic_unless_they_fail(
    compare: Compare, minutes: list[Sample], reason: ReasonCode, slots: int
) -> None:
    after = [IDLE] * (slots - len(minutes)) + minutes
    judgement = compare(before=[IDLE] * 30, after=after)
    assert (judgement.reason_code, _failed(judgement)) == (reason, [])


def test_a_request_now_and_then_is_no_gap(compare: Compare) -> None:
    """Two minutes of thirty with a request, then three of fifteen."""
    before = [IDLE] * 14 + [_few(1, 0)] * 2 + [IDLE] * 14
    judgement = compare(before=before, after=([IDLE] * 4 + [_few(1, 0)]) * 3)
    assert judgement.reason_code == ReasonCode.LOW_POWER


@pytest.mark.parametrize(
    "before",
    [
        {"latency_p95": None},
        {"requests_per_sec": None, "latency_p95": None, "error_rate": None},
        IDLE | {"cpu_usage": None},
    ],
)
def test_what_nobody_measured_is_missing_all_the_same(compare: Compare, before: Sample) -> None:
    judgement = compare(before=[before] * 30, after=[IDLE] * 5)
    assert judgement.reason_code in (ReasonCode.METRIC_MISSING, ReasonCode.SEVERE_REGRESSION)
