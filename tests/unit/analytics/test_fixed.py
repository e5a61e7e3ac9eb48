from __future__ import annotations

from collections.abc import Callable
from math import nextafter

import pytest

from core.judgement import Evidence, Judgement
from core.types import Attribution, Metric

Verify = Callable[..., Judgement]
LEVELS = {
    Metric.LATENCY_P95: 270.0,
    Metric.ERROR_RATE: 0.009,
    Metric.CPU_USAGE: 0.72,
    Metric.MEMORY_USAGE: 0.72,
}


def _of(judgement: Judgement, metric: Metric) -> Evidence:
    (evidence,) = (each for each in judgement.evidence if each.metric is metric)
    return evidence


@pytest.mark.parametrize(("metric", "level"), LEVELS.items())
def test_only_slots_strictly_above_the_threshold_count(
    verify: Verify, metric: Metric, level: float
) -> None:
    at = _of(verify(after=[{metric: level}] * 5), metric)
    above = _of(verify(after=[{metric: nextafter(level, 1e9)}] * 5), metric)
    assert (at.threshold, at.exceedance_ratio, at.failed) == (level, 0.0, False)
    assert (above.exceedance_ratio, above.failed) == (1.0, True)


@pytest.mark.parametrize(
    ("metric", "bad", "post_slots", "allowed"),
    [
        (Metric.REQUESTS_PER_SEC, 1.0, 5, 1),
        (Metric.REQUESTS_PER_SEC, 1.0, 15, 3),
        (Metric.LATENCY_P95, 400.0, 5, 1),
        (Metric.LATENCY_P95, 400.0, 15, 3),
        (Metric.ERROR_RATE, 0.5, 5, 0),
        (Metric.ERROR_RATE, 0.5, 20, 1),
        (Metric.CPU_USAGE, 0.9, 15, 3),
        (Metric.MEMORY_USAGE, 0.9, 10, 1),
        (Metric.MEMORY_USAGE, 0.9, 15, 1),
    ],
)
def test_fails_with_one_slot_more_than_tolerated(
    verify: Verify, metric: Metric, bad: float, post_slots: int, allowed: int
) -> None:
    def failed(n: int) -> bool:
        after = [{metric: bad}] * n + [{}] * (post_slots - n)
        return _of(verify(after=after, post_slots=post_slots), metric).failed

    assert (failed(allowed), failed(allowed + 1)) == (False, True)


def test_shares_are_over_the_slots_that_carry_a_value(verify: Verify) -> None:
    after = [{"latency_p95": 400.0}, {}, {}, {}, {"latency_p95": None}]
    evidence = _of(verify(after=after), Metric.LATENCY_P95)
    assert (evidence.post_n, evidence.exceedance_ratio, evidence.failed) == (4, 0.25, True)


@pytest.mark.parametrize("level", [0.5, 0.7, 1.1, 3.3, 10.0, 1234.567, 1e300])
def test_exactly_a_fifth_under_the_baseline_is_no_drop(verify: Verify, level: float) -> None:
    before = [{"requests_per_sec": level}] * 7
    exact = round(level * 0.8, 9) if level < 1e6 else 8e299
    at = verify(before=before, after=[{"requests_per_sec": exact}] * 5)
    under = verify(before=before, after=[{"requests_per_sec": exact * (1 - 1e-6)}] * 5)
    assert _of(at, Metric.REQUESTS_PER_SEC).exceedance_ratio == 0
    assert _of(under, Metric.REQUESTS_PER_SEC).exceedance_ratio == 1
    assert _of(at, Metric.REQUESTS_PER_SEC).threshold == 0.8 * level


def test_traffic_of_a_nearly_idle_service_is_not_judged(verify: Verify) -> None:
    nearly_idle = [{"requests_per_sec": nextafter(0.5, 0)}] * 4
    evidence = _of(
        verify(before=nearly_idle, after=[{"requests_per_sec": 0.01}] * 5), Metric.REQUESTS_PER_SEC
    )
    assert (evidence.threshold, evidence.exceedance_ratio, evidence.failed) == (None, None, False)


@pytest.mark.parametrize(
    ("before", "after", "attribution"),
    [
        (100.0, 400.0, Attribution.INTRODUCED),
        (270.0, 400.0, Attribution.INTRODUCED),
        (400.0, 400.0, Attribution.PRE_EXISTING),
        (400.0, 499.9, Attribution.PRE_EXISTING),
        (400.0, 500.0, Attribution.WORSENED),
        (400.0, 270.0, Attribution.RECOVERED),
        (270.0, 100.0, None),
        (100.0, 100.0, None),
        (None, 400.0, Attribution.UNKNOWN),
        (None, 100.0, None),
        (400.0, None, None),
    ],
)
def test_says_whose_a_deviation_is(
    verify: Verify, before: float | None, after: float | None, attribution: Attribution | None
) -> None:
    judgement = verify(before=[{"latency_p95": before}] * 3, after=[{"latency_p95": after}] * 5)
    assert _of(judgement, Metric.LATENCY_P95).attribution == attribution


def test_no_deviation_to_attribute_when_the_mean_stays_beyond(verify: Verify) -> None:
    """One slot of five far beyond is tolerated, yet lifts the mean: neither failed nor well."""
    judgement = verify(
        before=[{"latency_p95": 400.0}] * 3, after=[{"latency_p95": 5000.0}] + [{}] * 4
    )
    evidence = _of(judgement, Metric.LATENCY_P95)
    assert (evidence.failed, evidence.attribution) == (False, None)


def test_lost_traffic_is_always_introduced(verify: Verify) -> None:
    evidence = _of(verify(after=[{"requests_per_sec": 1.0}] * 5), Metric.REQUESTS_PER_SEC)
    assert (evidence.failed, evidence.attribution) == (True, Attribution.INTRODUCED)
    risen = _of(verify(after=[{"requests_per_sec": 99.0}] * 5), Metric.REQUESTS_PER_SEC)
    assert (risen.failed, risen.attribution) == (False, None)


def test_a_thin_post_window_accuses_nobody(verify: Verify) -> None:
    thin = verify(after=[{"error_rate": 1.0, "latency_p95": 9e9}] * 2)
    assert [each.failed for each in thin.evidence] == [False] * 5
    assert [each.attribution for each in thin.evidence] == [None] * 5
    assert _of(thin, Metric.ERROR_RATE).exceedance_ratio == 1.0  # it is still shown


def test_a_thin_post_window_has_not_recovered_either(verify: Verify) -> None:
    thin = verify(before=[{"latency_p95": 400.0}] * 3, after=[{}] * 2)
    assert _of(thin, Metric.LATENCY_P95).attribution is None


def test_evidence_says_what_it_rests_on(verify: Verify) -> None:
    judgement = verify(
        pre=[{"cpu_usage": None, "latency_p95": 30.0}, {"cpu_usage": None, "latency_p95": 50.0}],
        after=[{"latency_p95": 60.0}] * 5,
    )
    assert [each.metric for each in judgement.evidence] == list(Metric)
    assert _of(judgement, Metric.LATENCY_P95) == Evidence(
        metric=Metric.LATENCY_P95,
        baseline_source="pre",
        baseline_n=2,
        post_n=5,
        expected=40.0,
        observed=60.0,
        threshold=270.0,
        exceedance_ratio=0.0,
        tolerance_ratio=0.2,
        failed=False,
        attribution=None,
    )
    cpu = _of(judgement, Metric.CPU_USAGE)
    assert (cpu.baseline_source, cpu.baseline_n, cpu.expected) == ("none", 0, None)


def test_nothing_is_made_up_for_an_empty_window(verify: Verify) -> None:
    for each in verify(before=[]).evidence:
        assert (each.baseline_source, each.baseline_n, each.post_n) == ("none", 0, 0)
        assert (each.expected, each.observed, each.exceedance_ratio) == (None, None, None)
        assert each.attribution is None


def test_one_slot_has_an_exceedance(verify: Verify) -> None:
    slow: list[dict[str, object]] = [{"latency_p95": 400.0}]
    slow += [{"latency_p95": None}] * 4
    latency = _of(verify(after=slow), Metric.LATENCY_P95)
    assert (latency.post_n, latency.exceedance_ratio) == (1, 1.0)
