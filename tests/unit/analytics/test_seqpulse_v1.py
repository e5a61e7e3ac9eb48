"""What `seqpulse-v1` says of deployments whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from scipy import stats

from analytics.policy import SEQPULSE_V1
from analytics.reasons import CONCLUSIVE, VERDICTS, Penalty, ReasonCode
from core.judgement import Direction, Evidence, Judgement, Pattern
from core.types import METRICS, Attribution, Metric, Verdict

Compare = Callable[..., Judgement]
CompareAll = Callable[..., list[Judgement]]
Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]
Sample = dict[str, object]

FINISHED_AT = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
STEPS = {
    Metric.REQUESTS_PER_SEC: ({"requests_per_sec": 4.0}, Verdict.ROLLBACK_RECOMMENDED),
    Metric.LATENCY_P95: ({"latency_p95": 100.0}, Verdict.WARNING),
    Metric.ERROR_RATE: ({"error_rate": 0.05}, Verdict.ROLLBACK_RECOMMENDED),
    Metric.CPU_USAGE: ({"cpu_usage": 0.5}, Verdict.WARNING),
    Metric.MEMORY_USAGE: ({"memory_usage": 0.5}, Verdict.WARNING),
}


def _of(judgement: Judgement, metric: Metric) -> Evidence:
    (evidence,) = (each for each in judgement.evidence if each.metric is metric)
    return evidence


def _failed(judgement: Judgement) -> list[Metric]:
    return [each.metric for each in judgement.evidence if each.failed]


@pytest.mark.parametrize("slots", [5, 15])
def test_a_harmless_deployment_is_ok(compare: Compare, slots: int) -> None:
    judgement = compare(after=[{}] * slots)
    assert (judgement.verdict, judgement.conclusive) == (Verdict.OK, True)
    assert judgement.reason_code == ReasonCode.NO_REGRESSION
    assert judgement.policy == "seqpulse-v1"
    assert (judgement.quality_ratio, judgement.penalties) == (1.0, ())
    assert judgement.confidence > 0.95


@pytest.mark.parametrize("slots", [3, 5, 9, 10, 15, 30])
@pytest.mark.parametrize("metric", Metric)
def test_a_step_is_found_named_and_weighed(compare: Compare, metric: Metric, slots: int) -> None:
    changed, verdict = STEPS[metric]
    judgement = compare(after=[changed] * slots)
    assert _failed(judgement) == [metric]
    assert judgement.verdict is verdict
    evidence = _of(judgement, metric)
    assert evidence.attribution is Attribution.INTRODUCED
    assert evidence.direction is Direction.WORSE
    assert evidence.pattern is Pattern.STEP
    assert evidence.contribution == 1.0
    assert evidence.severe == (verdict is Verdict.ROLLBACK_RECOMMENDED)
    assert judgement.confidence > 0.9


@pytest.mark.parametrize("metric", Metric)
def test_the_same_the_other_way_round_is_better(compare: Compare, metric: Metric) -> None:
    changed, _ = STEPS[metric]
    judgement = compare(before=[changed] * 30, after=[{}] * 15)
    assert judgement.verdict is Verdict.OK
    assert _of(judgement, metric).direction is Direction.BETTER


BAD = {
    "requests_per_sec": 0.5,
    "latency_p95": 900.0,
    "error_rate": 0.5,
    "cpu_usage": 0.99,
    "memory_usage": 0.95,
}


GONE = dict.fromkeys(METRICS)


@pytest.mark.parametrize("slots", [5, 15])
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, -1])
def test_one_bad_minute_never_alarms(compare: Compare, slots: int, place: int) -> None:
    after: list[Sample] = [{}] * slots
    after[place] = dict(BAD)
    assert _failed(compare(after=after)) == []


@pytest.mark.parametrize("slots", [5, 15])
@pytest.mark.parametrize("cold", [1, 2])
def test_a_cold_start_is_no_regression_but_is_told(compare: Compare, slots: int, cold: int) -> None:
    start = {"latency_p95": 500.0, "error_rate": 0.08, "cpu_usage": 0.9}
    judgement = compare(after=[start] * cold + [{}] * (slots - cold))
    assert judgement.verdict is Verdict.OK
    for metric in (Metric.LATENCY_P95, Metric.ERROR_RATE, Metric.CPU_USAGE):
        assert _of(judgement, metric).pattern is Pattern.TRANSIENT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"latency_p95": 56.0}),  # less than 15 %
        ({"latency_p95": 3.0}, {"latency_p95": 4.9}),  # less than 2 ms
        ({"cpu_usage": 0.05}, {"cpu_usage": 0.08}),  # less than four points
        ({"memory_usage": 0.1}, {"memory_usage": 0.13}),
        ({}, {"error_rate": 0.004}),  # less than 0.4 points more
        ({"error_rate": 0.02}, {"error_rate": 0.035}),  # has not doubled
        ({}, {"requests_per_sec": 8.5}),
    ],
)
def test_what_does_not_matter_does_not_alarm(
    compare: Compare, before: Sample, after: Sample
) -> None:
    judgement = compare(before=[before] * 30, after=[after] * 15)
    assert _failed(judgement) == []


def test_lost_traffic_must_be_some_requests(compare: Compare) -> None:
    """Of an idle service nothing can be lost: 0.02 req/s are 18 requests in 15 minutes."""
    judgement = compare(
        before=[{"requests_per_sec": 0.02}] * 30, after=[{"requests_per_sec": 0.012}] * 15
    )
    assert _failed(judgement) == []


def test_what_was_too_little_to_lose_is_no_minimum(compare: Compare) -> None:
    """Of six expected requests no ten can be lost: all of them is the least that would matter."""
    usual = {"requests_per_sec": 0.02}
    traffic = _of(compare(before=[usual] * 30, after=[usual] * 5), Metric.REQUESTS_PER_SEC)
    assert (traffic.minimum_effect, traffic.threshold) == (1.0, 0.0)
    usual = {"requests_per_sec": 0.1}
    traffic = _of(compare(before=[usual] * 30, after=[usual] * 5), Metric.REQUESTS_PER_SEC)
    assert traffic.minimum_effect == pytest.approx(10 / 30)


def test_three_failures_are_too_few(compare: Compare) -> None:
    before = [{"requests_per_sec": 1.0, "error_rate": 0.0}] * 30
    two = [{"requests_per_sec": 1.0, "error_rate": 1 / 60}] * 2
    quiet = [{"requests_per_sec": 1.0, "error_rate": 0.0}] * 3
    assert _failed(compare(before=before, after=quiet + two)) == []


def test_work_that_comes_with_traffic_is_not_the_deployments(compare: Compare) -> None:
    busy = {"requests_per_sec": 20.0, "cpu_usage": 0.55}
    judgement = compare(after=[busy] * 15)
    assert _failed(judgement) == []
    expected = _of(judgement, Metric.CPU_USAGE).expected
    assert expected == pytest.approx(0.3 * 2**0.85)
    assert _of(judgement, Metric.CPU_USAGE).exceedance_ratio == 0
    assert _failed(compare(after=[busy | {"cpu_usage": 0.85}] * 15)) == [Metric.CPU_USAGE]


def test_traffic_excuses_four_times_the_work_at_most(compare: Compare) -> None:
    flood = {"requests_per_sec": 1000.0, "cpu_usage": 0.08 * 4**0.85 * 1.5}
    judgement = compare(before=[{"cpu_usage": 0.08}] * 30, after=[flood] * 15)
    assert _failed(judgement) == [Metric.CPU_USAGE]


def test_no_more_than_all_of_the_cpu_is_expected(compare: Compare) -> None:
    busy = {"requests_per_sec": 20.0, "cpu_usage": 0.99}
    judgement = compare(before=[{"cpu_usage": 0.8}] * 30, after=[busy] * 15)
    assert _of(judgement, Metric.CPU_USAGE).expected == pytest.approx(1.0)
    assert _failed(judgement) == []


@pytest.mark.parametrize(
    ("before", "after", "attribution", "failed"),
    [
        ({"latency_p95": 900.0}, {"latency_p95": 900.0}, Attribution.PRE_EXISTING, False),
        ({"cpu_usage": 0.85}, {"cpu_usage": 0.85}, Attribution.PRE_EXISTING, False),
        ({"latency_p95": 900.0}, {"latency_p95": 100.0}, Attribution.RECOVERED, False),
        ({"latency_p95": 900.0}, {"latency_p95": 1800.0}, Attribution.WORSENED, True),
        ({"error_rate": 0.03}, {"error_rate": 0.2}, Attribution.WORSENED, True),
        ({"latency_p95": 50.0}, {"latency_p95": 900.0}, Attribution.INTRODUCED, True),
        ({"latency_p95": 299.0}, {"latency_p95": 301.0}, None, False),
    ],
)
def test_says_whose_a_deviation_is(
    compare: Compare, before: Sample, after: Sample, attribution: Attribution, failed: bool
) -> None:
    judgement = compare(before=[before] * 30, after=[after] * 15)
    (metric,) = map(Metric, before)
    assert _of(judgement, metric).attribution is attribution
    assert _failed(judgement) == [metric] * failed


def test_what_had_changed_before_the_trigger_is_not_the_deployments(compare: Compare) -> None:
    fallen = {"requests_per_sec": 4.0}
    judgement = compare(before=[fallen] * 6 + [{}] * 24, after=[fallen] * 15)
    assert _failed(judgement) == []
    assert _of(judgement, Metric.REQUESTS_PER_SEC).attribution is Attribution.PRE_EXISTING


def test_a_fall_under_way_is_drawn_out(compare: Compare) -> None:
    """Traffic has been falling for half an hour and goes on falling."""
    before = [{"requests_per_sec": 5.0 + 0.25 * minute} for minute in range(30)]
    judgement = compare(before=before, after=[{"requests_per_sec": 3.5}] * 15)
    assert _of(judgement, Metric.REQUESTS_PER_SEC).attribution is Attribution.PRE_EXISTING
    assert _failed(judgement) == []


def test_one_bad_minute_never_recommends_a_rollback(compare: Compare) -> None:
    """Errors rise by a point and a half, which warns; one minute of the tail is terrible."""
    after = [{"error_rate": 0.016, "latency_p95": 50.0}] * 15
    after[12] = {"error_rate": 0.5, "latency_p95": 50.0}
    judgement = compare(after=after)
    assert (_failed(judgement), judgement.verdict) == ([Metric.ERROR_RATE], Verdict.WARNING)


@pytest.mark.parametrize("metric", [Metric.LATENCY_P95, Metric.ERROR_RATE])
def test_what_begins_late_is_found_at_the_end(compare: Compare, metric: Metric) -> None:
    changed = {"latency_p95": 300.0} if metric is Metric.LATENCY_P95 else {"error_rate": 0.08}
    judgement = compare(after=[{}] * 10 + [changed] * 5)
    assert _failed(judgement) == [metric]


def test_what_is_over_at_the_end_is_forgiven(compare: Compare) -> None:
    slow = {"latency_p95": 300.0, "error_rate": 0.05}
    assert _failed(compare(after=[slow] * 8 + [{}] * 7)) == []


def test_a_leak_is_a_ramp_with_a_slope(compare: Compare) -> None:
    judgement = compare(after=[{"memory_usage": 0.4 + 0.02 * slot} for slot in range(15)])
    evidence = _of(judgement, Metric.MEMORY_USAGE)
    assert (evidence.failed, evidence.pattern) == (True, Pattern.RAMP)
    assert evidence.trend_per_hour == pytest.approx(1.2)


def test_falling_traffic_has_a_falling_slope(compare: Compare) -> None:
    judgement = compare(after=[{"requests_per_sec": 9.0 - 0.5 * slot} for slot in range(15)])
    evidence = _of(judgement, Metric.REQUESTS_PER_SEC)
    assert (evidence.failed, evidence.pattern) == (True, Pattern.RAMP)
    assert evidence.trend_per_hour == pytest.approx(-30.0)


def test_what_comes_and_goes_flaps(compare: Compare) -> None:
    slow = [{"latency_p95": 200.0}, {"latency_p95": 200.0}, {"latency_p95": 200.0}, {}]
    judgement = compare(after=(slow * 4)[:15])
    assert _of(judgement, Metric.LATENCY_P95).pattern is Pattern.FLAPPING


@pytest.mark.parametrize(
    ("changed", "severe"),
    [
        ({"error_rate": 0.016}, set()),
        ({"latency_p95": 100.0}, set()),
        ({"requests_per_sec": 6.5}, set()),
        (
            {"error_rate": 0.016, "latency_p95": 100.0},
            {Metric.ERROR_RATE, Metric.LATENCY_P95},
        ),
        (
            {"error_rate": 0.016, "requests_per_sec": 6.5},
            {Metric.ERROR_RATE, Metric.REQUESTS_PER_SEC},
        ),
        ({"error_rate": 0.016, "latency_p95": 61.0}, set()),  # 22 % slower, 22 % less traffic
        ({"error_rate": 0.016, "requests_per_sec": 7.8}, set()),
        ({"error_rate": 0.008, "latency_p95": 100.0}, set()),
        ({"cpu_usage": 0.9, "latency_p95": 400.0}, set()),
        ({"error_rate": 0.04}, {Metric.ERROR_RATE}),
    ],
)
def test_errors_and_lost_requests_recommend_a_rollback(
    compare: Compare, changed: Sample, severe: set[Metric]
) -> None:
    judgement = compare(after=[changed] * 15)
    assert {each.metric for each in judgement.evidence if each.severe} == severe
    assert set(_failed(judgement)) == set(map(Metric, changed))
    expected = Verdict.ROLLBACK_RECOMMENDED if severe else Verdict.WARNING
    assert judgement.verdict is expected


@pytest.mark.parametrize(
    ("rate", "verdict"), [(0.0199, Verdict.WARNING), (0.02, Verdict.ROLLBACK_RECOMMENDED)]
)
def test_two_points_more_errors_recommend_a_rollback(
    compare: Compare, rate: float, verdict: Verdict
) -> None:
    judgement = compare(before=[{"error_rate": 0.0}] * 30, after=[{"error_rate": rate}] * 15)
    assert judgement.verdict is verdict


@pytest.mark.parametrize(
    ("traffic", "verdict"), [(0.09, Verdict.WARNING), (0.11, Verdict.ROLLBACK_RECOMMENDED)]
)
def test_a_few_lost_requests_recommend_no_rollback(
    compare: Compare, traffic: float, verdict: Verdict
) -> None:
    """Of 27 and of 33 that were expected in five minutes all but one in ten are lost."""
    usual, lost = {"requests_per_sec": traffic}, {"requests_per_sec": traffic / 10}
    assert compare(before=[usual] * 30, after=[lost] * 5).verdict is verdict


def _stamped(*seconds: float) -> list[Sample]:
    return [{"source_at": FINISHED_AT + timedelta(seconds=each)} for each in seconds]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"after": []}, ReasonCode.NO_POST_SAMPLES),
        ({"after": [BAD] * 2}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [BAD] * 7, "post_slots": 15}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [GONE] * 8 + [BAD] * 7}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [GONE] * 2 + [{"latency_p95": 400.0}] * 3}, ReasonCode.REGRESSION),
        ({"after": [GONE] * 5 + [{"latency_p95": 400.0}] * 5}, ReasonCode.REGRESSION),
        ({"after": [BAD] * 2, "post_slots": 2}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": _stamped(*[-30.0] * 5)}, ReasonCode.STALE_SOURCE),
        ({"after": _stamped(0, 60, 120, 180, 240)}, ReasonCode.NO_REGRESSION),
        ({"after": _stamped(0, 24, 48, 72, 96)}, ReasonCode.STALE_SOURCE),
        ({"after": _stamped(0, 36, 72, 108, 144)}, ReasonCode.NO_REGRESSION),
        ({"after": [*_stamped(-30.0, -30.0), {}, {}, {}]}, ReasonCode.NO_REGRESSION),
        ({"after": [BAD] * 5, "before": []}, ReasonCode.NO_BASELINE),
        ({"after": [BAD] * 5, "before": [{}] * 2}, ReasonCode.NO_BASELINE),
        ({"after": [{"cpu_usage": None}] * 5}, ReasonCode.METRIC_MISSING),
        ({"before": [{"cpu_usage": None}] * 30, "after": [{}] * 5}, ReasonCode.METRIC_MISSING),
        ({"before": [{"requests_per_sec": 0.1}] * 30, "after": [{"requests_per_sec": 0.1}] * 5},
         ReasonCode.LOW_POWER),
        ({"after": [{"cpu_usage": None}] * 2 + [{}] * 3}, ReasonCode.NO_REGRESSION),
        ({"after": [{"latency_p95": 400.0}] * 5}, ReasonCode.REGRESSION),
        ({"after": [{"error_rate": 0.4}] * 5}, ReasonCode.SEVERE_REGRESSION),
        ({"after": [{"error_rate": 0.4, "cpu_usage": None}] * 5}, ReasonCode.REGRESSION),
        (
            {"before": [{"cpu_usage": None}] * 30, "after": [{"error_rate": 0.4}] * 5},
            ReasonCode.SEVERE_REGRESSION,
        ),
        # Nobody knows whether it was still so at the end: surely no ok.
        ({"after": [BAD] * 8, "post_slots": 15}, ReasonCode.METRIC_MISSING),
        ({"after": [{"latency_p95": 400.0}] * 10, "post_slots": 15}, ReasonCode.METRIC_MISSING),
        ({"after": [{"latency_p95": 400.0}] * 3, "post_slots": 5}, ReasonCode.METRIC_MISSING),
        ({"after": [{}] * 10 + [{"cpu_usage": None}] * 5}, ReasonCode.METRIC_MISSING),
        ({"after": [{}] * 11 + [GONE] * 4}, ReasonCode.NO_REGRESSION),
        ({"after": [{}] * 10 + [{"requests_per_sec": 0.0}] * 5}, ReasonCode.SEVERE_REGRESSION),
        # Only the last thirty are compared with, and there the latency is unknown.
        (
            {
                "before": [{"requests_per_sec": 0.0}] * 30 + [{}] * 30,
                "after": [{"error_rate": 0.4, "latency_p95": 400.0}] * 5,
            },
            ReasonCode.METRIC_MISSING,
        ),
    ],
)  # fmt: skip
def test_gives_one_reason(compare: Compare, case: dict[str, Any], reason: ReasonCode) -> None:
    judgement = compare(**case)
    assert judgement.reason_code == reason
    assert judgement.verdict is VERDICTS[reason]
    assert judgement.conclusive == (reason in CONCLUSIVE)
    assert judgement.conclusive or _failed(judgement) == []


def test_slots_without_traffic_excuse_what_they_cannot_have(compare: Compare) -> None:
    idle = {"requests_per_sec": 0.0, "latency_p95": 0.0, "error_rate": 0.0}
    judgement = compare(before=[{"requests_per_sec": 0.1}] * 30, after=[idle] * 3 + [{}] * 2)
    assert judgement.reason_code != ReasonCode.METRIC_MISSING


@pytest.mark.parametrize(
    ("case", "penalties"),
    [
        ({"after": [{}] * 4, "post_slots": 5}, {Penalty.MISSING_SLOTS}),
        ({"after": [{"cpu_usage": None}] + [{}] * 4}, {Penalty.MISSING_VALUES}),
        ({"after": _stamped(*[-30.0] * 5)}, {Penalty.SOURCE_CLOCK_STUCK}),
        ({"after": _stamped(300, 360, 420, 480, 540)}, {Penalty.CLOCK_SKEW}),
        ({"after": _stamped(90, 150, 210, 270, 330)}, set()),
        ({"after": [{}] * 5, "before": [{}] * 9}, {Penalty.THIN_BASELINE}),
        ({"after": [{}] * 5, "before": []}, {Penalty.NO_BASELINE}),
        ({"after": []}, {Penalty.MISSING_SLOTS}),
    ],
)
def test_lists_what_is_wrong_with_the_data(
    compare: Compare, case: dict[str, Any], penalties: set[Penalty]
) -> None:
    judgement = compare(**case)
    assert set(judgement.penalties) == penalties
    assert (judgement.quality_ratio < 1) == bool(penalties)


@pytest.mark.parametrize(
    ("case", "ratio"),
    [
        ({"after": [{}] * 4, "post_slots": 5}, 0.8),
        ({"after": [{"cpu_usage": None}] + [{}] * 4}, 24 / 25),
        ({"after": _stamped(300, 360, 420, 480, 540)}, 0.9),
        ({"after": [{}] * 5, "before": [{}] * 9}, 0.6),
        ({"after": [{}] * 5, "before": []}, 0.0),
        ({"after": []}, 0.0),
        ({"after": [{}] * 4, "post_slots": 5, "before": [{}] * 6}, 0.32),
    ],
)
def test_weighs_what_is_wrong_with_the_data(
    compare: Compare, case: dict[str, Any], ratio: float
) -> None:
    assert compare(**case).quality_ratio == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("seconds", "requests"), [(1.0, 10 * 74 * 13 / 15), (60.0, 7800.0), (120.0, 15600.0)]
)
def test_requests_behind_overlapping_readings_count_once(
    frames: Frames, compare_all: CompareAll, seconds: float, requests: float
) -> None:
    """A reading tells of the last minute: 15 of them a second apart tell of 74 seconds."""
    before = [{"slot_at": FINISHED_AT - timedelta(minutes=2, seconds=i + 1)} for i in range(30)]
    parts = frames(before=before, after=[{"error_rate": 0.1}] * 15, post_slots=15)
    changed = parts[0].with_columns(slot_seconds=pl.lit(seconds)), parts[1]
    (judgement,) = compare_all([changed], SEQPULSE_V1)
    evidence = _of(judgement, Metric.ERROR_RATE)
    assert evidence.failed
    assert evidence.statistic == pytest.approx(0.1 * requests)


@pytest.mark.parametrize("hidden", [False, True])
def test_confidence_in_an_ok_is_less_where_harm_could_hide(compare: Compare, hidden: bool) -> None:
    before = [{"latency_p95": 50.0 * (4.0 if hidden and n % 2 else 1.0)} for n in range(30)]
    judgement = compare(before=before, after=[before[n] for n in range(15)])
    assert judgement.verdict is Verdict.OK
    assert (judgement.confidence < 0.995) is hidden
    assert judgement.confidence >= 0.95


@pytest.mark.parametrize("latency", [46.0, 50.0, 54.0])
def test_confidence_in_an_ok_counts_what_could_hide(compare: Compare, latency: float) -> None:
    """The nearer a metric is to what matters, and the worse it is known, the more hides there."""
    judgement = compare(after=[{"latency_p95": latency, "cpu_usage": 0.29}] * 15)
    assert judgement.verdict is Verdict.OK
    hidden = []
    for each in judgement.evidence:
        assert each.effect is not None
        assert each.effect_high is not None
        assert each.minimum_effect is not None
        scatter = (each.effect_high - each.effect) / stats.norm.ppf(0.975)
        hidden.append(stats.norm.sf((each.minimum_effect - each.effect) / scatter))
    assert judgement.confidence == pytest.approx(1 - 0.05 * max(hidden))


def test_confidence_in_what_is_inconclusive_is_what_was_known_before(compare: Compare) -> None:
    assert compare(after=[]).confidence == 0.95


@pytest.mark.parametrize("latency", [62.0, 80.0, 150.0])
def test_confidence_in_an_alarm_follows_its_p(compare: Compare, latency: float) -> None:
    judgement = compare(after=[{"latency_p95": latency}] * 15)
    p = _of(judgement, Metric.LATENCY_P95).p_value
    assert p is not None
    if judgement.verdict is Verdict.WARNING:
        odds = -math.e * p * math.log(p)
        assert judgement.confidence == pytest.approx(1 / (1 + odds))


def test_evidence_hangs_together(compare: Compare) -> None:
    judgement = compare(after=[{"latency_p95": 75.0, "cpu_usage": 0.5}] * 15)
    slow, busy = _of(judgement, Metric.LATENCY_P95), _of(judgement, Metric.CPU_USAGE)
    assert tuple(each.metric.value for each in judgement.evidence) == METRICS
    assert [slow.expected, slow.observed] == pytest.approx([50.0, 75.0])
    assert slow.effect == pytest.approx(0.5)
    assert slow.minimum_effect == pytest.approx(0.15)
    assert slow.effect_low is not None
    assert slow.effect_high is not None
    assert slow.effect_low < 0.5 < slow.effect_high
    assert slow.threshold is not None
    assert slow.distance_to_flip == pytest.approx(slow.threshold / 50.0 - 1 - 0.5)
    assert slow.smallest_detectable_effect is not None
    assert slow.smallest_detectable_effect > slow.threshold / 50.0 - 1
    assert (slow.test, slow.exceedance_ratio, slow.tolerance_ratio) == ("shift", 1.0, 0.6)
    assert slow.contribution + busy.contribution == pytest.approx(1)
    assert (slow.baseline_source, slow.baseline_n, slow.post_n) == ("baseline", 30, 15)
    errors = _of(judgement, Metric.ERROR_RATE)
    assert errors.test == "failures"
    assert errors.effect == pytest.approx(0, abs=1e-12)
    traffic = _of(compare(after=[{"requests_per_sec": 4.0}] * 15), Metric.REQUESTS_PER_SEC)
    assert traffic.effect == pytest.approx(0.6)
    assert traffic.threshold is not None
    assert 4.0 < traffic.threshold <= 8.0


def test_the_worked_example_of_the_docs_is_true(compare: Compare) -> None:
    def window(*columns: tuple[float, ...]) -> list[dict[str, float]]:
        return [dict(zip(METRICS, row, strict=True)) for row in zip(*columns, strict=True)]

    judgement = compare(
        before=window(
            (12, 11, 13, 12) * 3,
            (36, 40, 38, 38) * 3,
            (0.001,) * 12,
            (0.30, 0.29, 0.31, 0.30) * 3,
            (0.5,) * 12,
        ),
        after=window(
            (12, 12, 11, 13, 12),
            (75, 52, 55, 54, 56),
            (0.004, 0.001, 0, 0.002, 0.001),
            (0.33, 0.31, 0.30, 0.32, 0.31),
            (0.5,) * 5,
        ),
    )
    evidence = judgement.evidence
    assert [each.expected for each in evidence] == pytest.approx([12, 38, 0.001, 0.3, 0.5])
    assert [each.observed for each in evidence] == pytest.approx(
        [12, 55.0, 0.00163, 0.31, 0.5], rel=0.01
    )
    assert [each.effect for each in evidence] == pytest.approx(
        [0, 0.447, 0.00063, 0.033, 0], rel=0.02, abs=1e-9
    )
    assert [each.p_value for each in evidence] == pytest.approx(
        [0.5, 0.00122, 0.254, 0.188, 0.5], rel=0.01
    )
    slow = evidence[1]
    assert slow.statistic == pytest.approx(6.8, rel=0.01)
    assert [each.failed for each in evidence] == [False, True, False, False, False]
    assert judgement.reason_code == ReasonCode.REGRESSION
    assert judgement.confidence == pytest.approx(0.978, rel=0.01)
    assert judgement.quality_ratio == pytest.approx(0.8)


def test_contributions_are_effects_in_multiples_of_what_matters(compare: Compare) -> None:
    judgement = compare(after=[{"latency_p95": 100.0, "memory_usage": 0.6}] * 15)
    slow, full = _of(judgement, Metric.LATENCY_P95), _of(judgement, Metric.MEMORY_USAGE)
    weights = math.log(2) / math.log(1.15), math.log(1.5) / math.log(1.1)
    assert slow.contribution == pytest.approx(weights[0] / sum(weights))
    assert full.contribution == pytest.approx(weights[1] / sum(weights))


def test_the_threshold_of_errors_is_the_usual_rate_and_what_matters(compare: Compare) -> None:
    errors = _of(compare(after=[{}] * 15), Metric.ERROR_RATE)
    assert errors.minimum_effect is not None
    assert errors.threshold == pytest.approx(0.001 + errors.minimum_effect)


@pytest.mark.parametrize(("latency", "failed"), [(53.7, True), (53.5, False)])
def test_a_slot_is_bad_from_half_of_what_matters(
    compare: Compare, latency: float, failed: bool
) -> None:
    """Half of ln 1.15 is 7.2 %. Seven of the 13 settled slots are too few, eight are enough."""
    slow, good = {"latency_p95": 200.0}, {"latency_p95": 50.0}
    after = [good] * 2 + [slow] * 4 + [{"latency_p95": latency}] + [good] * 3
    after += [slow, good, slow, good, slow]
    assert _of(compare(after=after), Metric.LATENCY_P95).failed is failed


@pytest.mark.parametrize(
    ("usual", "changed"),
    [
        ({"latency_p95": 50.0}, {"latency_p95": 61.0}),
        ({"requests_per_sec": 10.0}, {"requests_per_sec": 7.0}),
        ({"error_rate": 0.001}, {"error_rate": 0.02}),
    ],
)
def test_exceedance_is_the_share_of_the_post_slots_beyond_the_threshold(
    compare: Compare, usual: Sample, changed: Sample
) -> None:
    """Anybody can count it from the samples, in the settling slots as well."""
    (metric,) = map(Metric, usual)
    missing = {metric.value: None}
    after = [changed] * 2 + [usual] * 3 + [changed] * 7 + [missing, usual, changed]
    evidence = _of(compare(after=after), metric)
    assert evidence.threshold is not None
    sign = -1 if metric is Metric.REQUESTS_PER_SEC else 1
    assert sign * usual[metric.value] < sign * evidence.threshold < sign * changed[metric.value]  # type: ignore[operator]
    assert evidence.exceedance_ratio == pytest.approx(10 / 14)


def test_without_a_threshold_there_is_no_exceedance(compare: Compare) -> None:
    judgement = compare(before=[{"latency_p95": None}] * 30, after=[{}] * 15)
    latency = _of(judgement, Metric.LATENCY_P95)
    assert (latency.threshold, latency.exceedance_ratio) == (None, None)


def test_a_metric_that_fails_in_company_is_at_its_threshold_at_least(compare: Compare) -> None:
    """Where the memory fails as well p <= 0.02 suffices for the latency; alone it takes 0.01."""
    slow = {"latency_p95": 50.0 * math.exp(0.17)}
    alone = _of(compare(after=[slow] * 15), Metric.LATENCY_P95)
    assert not alone.failed
    judgement = compare(after=[slow | {"memory_usage": 0.8}] * 15)
    together = _of(judgement, Metric.LATENCY_P95)
    assert _failed(judgement) == [Metric.LATENCY_P95, Metric.MEMORY_USAGE]
    assert alone.p_value == together.p_value
    assert alone.distance_to_flip is not None
    assert alone.distance_to_flip > 0
    assert together.distance_to_flip == pytest.approx(0, abs=1e-12)
    assert together.threshold == pytest.approx(together.observed)
