"""The numbers of the tests, computed a second time from docs/method.md with scipy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import exp, log, sqrt

import numpy as np
import polars as pl
import pytest
from scipy import stats

from analytics import scatter, windows
from analytics.profile import ServiceProfile, build_profile
from core.judgement import Evidence, Judgement
from core.types import METRICS, Attribution, Metric, Verdict

Compare = Callable[..., Judgement]

WANDER = {
    Metric.REQUESTS_PER_SEC: 0.05,
    Metric.LATENCY_P95: 0.05,
    Metric.CPU_USAGE: 0.03,
    Metric.MEMORY_USAGE: 0.01,
}


def _of(judgement: Judgement, metric: Metric) -> Evidence:
    (evidence,) = (each for each in judgement.evidence if each.metric is metric)
    return evidence


def _scatter(metric: Metric, seed: int, n: int, level: float) -> list[dict[str, float]]:
    source = np.random.default_rng(seed)
    return [{metric.value: level * float(source.lognormal(0, 0.1))} for _ in range(n)]


LEVELS = {
    Metric.REQUESTS_PER_SEC: (10.0, 7.0),
    Metric.LATENCY_P95: (50.0, 75.0),
    Metric.CPU_USAGE: (0.3, 0.45),
    Metric.MEMORY_USAGE: (0.4, 0.5),
}


@pytest.mark.parametrize("metric", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_a_shift_is_tested_by_t_against_the_scatter_of_the_baseline(
    compare: Compare, metric: Metric, seed: int
) -> None:
    """Without history: scale from the minutes and the wander, four degrees of freedom."""
    usual, changed = LEVELS[metric]
    before, after = _scatter(metric, seed, 30, usual), _scatter(metric, -seed - 1 & 99, 15, changed)
    evidence = _of(compare(before=before, after=after), metric)
    x, y = (np.array([sample[metric.value] for sample in part]) for part in (before, after[2:]))
    if metric is Metric.LATENCY_P95:
        levels = np.exp([stats.trim_mean(np.log(part), 0.25) for part in (x, y)])
        variance = np.log(x).var()
    else:
        levels = np.array([stats.trim_mean(part, 0.25) for part in (x, y)])
        variance = x.var() / levels[0] ** 2
    shift = log(levels[1] / levels[0]) * (-1 if metric is Metric.REQUESTS_PER_SEC else 1)
    scale = sqrt(1.15 * variance * (1 / 30 + 1 / 13) + WANDER[metric] ** 2)
    assert [evidence.expected, evidence.observed] == pytest.approx(levels.tolist())
    assert evidence.statistic == pytest.approx(shift / scale)
    assert evidence.p_value == pytest.approx(stats.t.sf(shift / scale, 4) / 0.8)
    shown = -np.expm1(-shift) if metric is Metric.REQUESTS_PER_SEC else np.expm1(shift)
    assert evidence.effect == pytest.approx(shown)
    sure = stats.t.ppf(0.99, 4) * scale
    assert evidence.smallest_detectable_effect is not None
    detectable = max(sure, 0.0) + stats.norm.ppf(0.9) * scale
    if metric is Metric.LATENCY_P95:
        assert evidence.smallest_detectable_effect == pytest.approx(exp(detectable) - 1, rel=0.02)
        assert evidence.effect_low == pytest.approx(exp(shift - 1.959964 * scale) - 1)
        assert evidence.effect_high == pytest.approx(exp(shift + 1.959964 * scale) - 1)


def test_the_quantile_of_t_is_right_to_three_digits() -> None:
    freedom = np.array([4.0, 5.0, 7.5, 12.0, 30.0, 400.0])
    assert scatter.find_sure(freedom) == pytest.approx(stats.t.ppf(0.99, freedom), rel=2e-3)
    assert scatter.find_sure(freedom[3:]) == pytest.approx(stats.t.ppf(0.99, freedom[3:]), rel=1e-5)


UNTIL = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
HISTORY_LEVELS = (10.0, 50.0, 0.001, 0.3, 0.4)


def _profile(n: int, **series: list[float]) -> ServiceProfile:
    moments = [UNTIL - timedelta(minutes=n - i) for i in range(n)]
    history = pl.DataFrame(
        {"slot_at": pl.Series(moments, dtype=windows.MOMENT)}
        | {
            name: pl.Series(series.get(name, [level] * n), dtype=pl.Float64)
            for name, level in zip(METRICS, HISTORY_LEVELS, strict=True)
        }
    )
    profile = build_profile(history, UNTIL)
    assert profile is not None
    return profile


def test_history_takes_over_from_the_guess_as_it_grows(compare: Compare) -> None:
    """A service that never moved: only the guess is left, ever lighter."""
    after = [{"latency_p95": 60.0}] * 15
    for n in (500, 2000):
        evidence = _of(compare(_profile(n), after=after), Metric.LATENCY_P95)
        weight = n / 25
        scale = max(sqrt(4 * 0.05**2 / (weight + 4)), 0.01)
        assert evidence.statistic == pytest.approx(log(1.2) / scale)
        p = stats.t.sf(log(1.2) / scale, weight + 4)
        assert evidence.p_value == pytest.approx(p / 0.8, abs=1e-9)


def test_what_history_did_now_and_then_needs_more_to_stand_out(compare: Compare) -> None:
    latency = [50.0] * 3000
    for start in range(300, 3000, 750):
        latency[start : start + 16] = [100.0] * 16
    after = [{"latency_p95": 80.0}] * 15
    wild = _of(compare(_profile(3000, latency_p95=latency), after=after), Metric.LATENCY_P95)
    calm = _of(compare(_profile(3000), after=after), Metric.LATENCY_P95)
    assert (wild.failed, calm.failed) == (False, True)
    assert wild.p_value is not None
    assert wild.p_value > 0.01


def _errors(rate: float, traffic: float, n: int) -> list[dict[str, float]]:
    return [{"requests_per_sec": traffic, "error_rate": rate}] * n


@pytest.mark.parametrize("slots", [5, 15])
@pytest.mark.parametrize(("usual", "changed", "traffic"), [(0.0, 0.05, 0.5), (0.01, 0.03, 5.0)])
def test_failures_are_tested_by_the_binomial(
    compare: Compare, usual: float, changed: float, traffic: float, slots: int
) -> None:
    evidence = _of(
        compare(before=_errors(usual, traffic, 30), after=_errors(changed, traffic, slots)),
        Metric.ERROR_RATE,
    )
    span, share = (slots, 1.0) if slots == 5 else (13, 0.8)
    n, total = span * traffic * 60, 30 * traffic * 60
    x, known = n * changed, total * usual
    right = stats.beta.cdf(n / (n + total), x, known + 1)
    assert evidence.statistic == pytest.approx(x)
    assert evidence.p_value == pytest.approx(right / share, rel=1e-6)
    assert evidence.effect == pytest.approx(changed - usual)
    scale = sqrt((known + 0.5) / (total + 1) * (1 / n + 1 / total))
    assert evidence.effect_high == pytest.approx(changed - usual + 1.959964 * scale)
    least = max(0.004, 2 * (known + 0.5) / (total + 1) - usual, 3 / n)
    assert evidence.minimum_effect == pytest.approx(least)


def test_bursts_of_the_baseline_disperse_the_counts(compare: Compare) -> None:
    """Without history the baseline's minutes say how unevenly failures come."""
    before = _errors(0.0, 10.0, 15) + _errors(0.02, 10.0, 15)
    evidence = _of(compare(before=before, after=_errors(0.03, 10.0, 5)), Metric.ERROR_RATE)
    x = np.array([0.0] * 15 + [12.0] * 15)
    dispersion = float(((x - 6) ** 2 / 6).mean())
    assert dispersion == 6
    right = stats.beta.cdf(3000 / 21000, 90 / dispersion, 180 / dispersion + 1)
    assert evidence.p_value == pytest.approx(right)


def test_the_last_day_of_history_weighs_four_baselines_at_most(compare: Compare) -> None:
    profile = _profile(1440, error_rate=[0.004] * 1440)
    evidence = _of(
        compare(profile, before=_errors(0.0, 10.0, 30), after=_errors(0.05, 10.0, 15)),
        Metric.ERROR_RATE,
    )
    assert evidence.expected == pytest.approx(0.004 * 4 / 5)


@pytest.mark.parametrize(
    ("rates", "failed"),
    [
        ([0.02] * 5, True),
        ([0.0, 0.0, 0.02, 0.02, 0.02], True),
        ([0.05, 0.05, 0.0, 0.0, 0.0], False),  # a cold start
        ([0.0, 0.0, 0.1, 0.0, 0.0], False),  # one bad minute
        ([0.02] * 13 + [0.0] * 2, True),
        ([0.02] * 8 + [0.0] * 7, False),  # over
        ([0.0] * 10 + [0.02] * 5, True),
        ([0.0] * 14 + [0.2], False),
    ],
)
def test_failures_must_last(compare: Compare, rates: list[float], failed: bool) -> None:
    after = [sample for rate in rates for sample in _errors(rate, 10.0, 1)]
    evidence = _of(compare(before=_errors(0.0, 10.0, 30), after=after), Metric.ERROR_RATE)
    assert evidence.failed is failed


@pytest.mark.parametrize(("bad", "failed"), [(4, False), (5, True)])
def test_more_than_six_slots_of_ten_must_be_bad(compare: Compare, bad: int, failed: bool) -> None:
    """Of the 13 settled slots these and three of the last five: 7 are too few, 8 are enough."""
    slow = {"latency_p95": 200.0}
    after: list[dict[str, float]] = (
        [{}] * 2 + [slow] * bad + [{}] * (8 - bad) + [slow, {}, slow, {}, slow]
    )
    assert _of(compare(after=after), Metric.LATENCY_P95).failed is failed


@pytest.mark.parametrize(("end", "failed"), [(60.0, True), (52.0, False)])
def test_the_end_must_still_be_bad(compare: Compare, end: float, failed: bool) -> None:
    after = [{"latency_p95": 100.0}] * 3 + [{"latency_p95": end}] * 2
    profile = _profile(3000)
    assert _of(compare(profile, after=after), Metric.LATENCY_P95).failed is failed


def test_a_metric_needs_three_values_on_both_sides(compare: Compare) -> None:
    slow: list[dict[str, object]] = [{"latency_p95": 500.0}] * 2
    slow += [{"latency_p95": None}] * 3
    evidence = _of(compare(after=slow), Metric.LATENCY_P95)
    assert (evidence.effect, evidence.p_value, evidence.test) == (None, None, None)
    assert (evidence.threshold, evidence.minimum_effect, evidence.distance_to_flip) == (None,) * 3
    thin: list[dict[str, object]] = [{}] * 2
    thin += [{"latency_p95": None}] * 28
    evidence = _of(compare(before=thin, after=[{}] * 5), Metric.LATENCY_P95)
    assert (evidence.expected, evidence.effect) == (None, None)


@pytest.mark.parametrize(
    ("metric", "odd", "bad"),
    [
        (Metric.REQUESTS_PER_SEC, 1e5, {"requests_per_sec": 0.0}),
        (Metric.LATENCY_P95, 0.0, {"latency_p95": 125.0}),
        (Metric.CPU_USAGE, 1.0, {"cpu_usage": 0.45}),
    ],
)
@pytest.mark.parametrize("slots", [5, 15])
def test_one_odd_reading_before_hides_nothing_after(
    compare: Compare, metric: Metric, odd: float, bad: dict[str, float], slots: int
) -> None:
    """A counter that starts over, a latency of no request, a cron job: one minute of thirty."""
    before = _scatter(metric, 1, 30, LEVELS[metric][0])
    before[12] = before[12] | {metric.value: odd}
    judgement = compare(before=before, after=[bad] * slots)
    assert _of(judgement, metric).failed


@pytest.mark.parametrize("slots", [5, 15])
@pytest.mark.parametrize("known", [True, False])
def test_errors_that_came_before_the_deployment_are_not_its_doing(
    compare: Compare, known: bool, slots: int
) -> None:
    """An outage of five minutes, then the deployment that is to end it."""
    profile = _profile(3000) if known else None
    before = _errors(0.2, 10.0, 5) + _errors(0.001, 10.0, 25)
    for rate in (0.2, 0.09):
        judgement = compare(profile, before=before, after=_errors(rate, 10.0, slots))
        assert judgement.verdict is Verdict.OK
        evidence = _of(judgement, Metric.ERROR_RATE)
        assert evidence.attribution is Attribution.PRE_EXISTING
    if known:  # without history, a baseline in flames tells little of what is usual
        worse = compare(profile, before=before, after=_errors(0.5, 10.0, slots))
        assert worse.verdict is Verdict.ROLLBACK_RECOMMENDED


def test_one_bad_minute_before_does_not_excuse_errors_after(compare: Compare) -> None:
    before = [*_errors(0.5, 10.0, 1), *_errors(0.001, 10.0, 29)]
    judgement = compare(_profile(3000), before=before, after=_errors(0.1, 10.0, 15))
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED


@pytest.mark.parametrize(("usual", "changed"), [(0.2, 0.35), (0.55, 1.0)])
def test_where_many_requests_fail_anyway_errors_need_not_double(
    compare: Compare, usual: float, changed: float
) -> None:
    before, after = _errors(usual, 10.0, 30), _errors(changed, 10.0, 15)
    assert _of(compare(before=before, after=after), Metric.ERROR_RATE).failed
    after = _errors(usual + 0.09, 10.0, 15)
    assert not _of(compare(before=before, after=after), Metric.ERROR_RATE).failed


@pytest.mark.parametrize("minutes", [30, 180])
def test_an_outage_days_ago_does_not_excuse_errors_now(compare: Compare, minutes: int) -> None:
    """Some hours of a week are no scatter that failures have to stand out from, nor a habit."""
    rates = [0.001] * 10_080
    rates[4000 : 4000 + minutes] = [0.6] * minutes
    profile = _profile(10_080, error_rate=rates)
    for rate in (0.05, 0.5):
        judgement = compare(profile, after=_errors(rate, 10.0, 15))
        assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED


@pytest.mark.parametrize("minutes", [30, 480])
def test_an_outage_of_the_same_day_is_not_what_is_expected(compare: Compare, minutes: int) -> None:
    """All of it was in the last day, the only one whose failures are counted."""
    rates = [0.001] * 10_080
    rates[-minutes - 180 : -180] = [0.6] * minutes
    judgement = compare(_profile(10_080, error_rate=rates), after=_errors(0.009, 10.0, 15))
    evidence = _of(judgement, Metric.ERROR_RATE)
    assert evidence.expected == pytest.approx(0.001)
    assert (judgement.verdict, evidence.failed) == (Verdict.WARNING, True)


def test_errors_that_come_every_few_hours_by_themselves_are_a_habit(compare: Compare) -> None:
    rates = [0.001] * 10_080
    for start in range(100, 10_080, 240):
        rates[start : start + 16] = [0.1] * 16
    profile = _profile(10_080, error_rate=rates)
    assert compare(profile, after=_errors(0.09, 10.0, 15)).verdict is Verdict.OK
    assert compare(profile, after=_errors(0.3, 10.0, 15)).verdict is Verdict.ROLLBACK_RECOMMENDED
