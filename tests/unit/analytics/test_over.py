"""Errors that are over before the window is: told, but nothing to roll back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from analytics import failures
from analytics.hints import diagnose
from core.judgement import Evidence, Judgement, Pattern
from core.types import METRICS, Metric, Severity, Verdict

Compare = Callable[..., Judgement]
Sample = dict[str, float]


def _errors(rate: float, traffic: float, n: int) -> list[Sample]:
    return [{"requests_per_sec": traffic, "error_rate": rate}] * n


def _of(judgement: Judgement) -> Evidence:
    return judgement.evidence[METRICS.index("error_rate")]


@pytest.mark.parametrize(("bad", "slots"), [(3, 5), (7, 9), (5, 10), (9, 15), (10, 15)])
@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_errors_that_are_over_warn(compare: Compare, bad: int, slots: int, rate: float) -> None:
    judgement = compare(after=_errors(rate, 10.0, bad) + _errors(0.001, 10.0, slots - bad))
    assert judgement.verdict is Verdict.WARNING
    assert (_of(judgement).severe, _of(judgement).pattern) == (False, Pattern.TRANSIENT)
    (hint,) = diagnose(judgement)
    assert (hint.rule, hint.severity) == ("error_burst", Severity.WARNING)
    assert hint.metrics == (Metric.ERROR_RATE,)


@pytest.mark.parametrize(("bad", "slots"), [(4, 5), (12, 15)])
def test_errors_that_go_on_to_the_end_recommend_a_rollback(
    compare: Compare, bad: int, slots: int
) -> None:
    judgement = compare(after=_errors(0.3, 10.0, bad) + _errors(0.001, 10.0, slots - bad))
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED
    assert [hint.rule for hint in diagnose(judgement)] == ["error_regression"]


@pytest.mark.parametrize(
    ("traffic", "verdict", "pattern"),
    [
        (1.10, Verdict.ROLLBACK_RECOMMENDED, Pattern.STEP),  # 132 requests: up to 2.01 %
        (1.11, Verdict.WARNING, Pattern.STEP),
        (5.60, Verdict.WARNING, Pattern.STEP),  # 672 requests: up to 0.401 %
        (5.62, Verdict.WARNING, Pattern.TRANSIENT),
    ],
)
def test_a_few_requests_that_succeed_do_not_show_that_it_is_over(
    compare: Compare, traffic: float, verdict: Verdict, pattern: Pattern
) -> None:
    """Two minutes without a failure leave a rate of 2.71 / (n + 2.71) possible."""
    after = _errors(0.3, traffic, 3) + _errors(0.0, traffic, 2)
    judgement = compare(before=_errors(0.0, traffic, 30), after=after)
    assert (judgement.verdict, _of(judgement).pattern) == (verdict, pattern)


@pytest.mark.parametrize(("n", "x"), [(0, 0), (60, 0), (600, 3), (1200, 600), (60, 60)])
@pytest.mark.parametrize("dispersion", [1.0, 4.0])
@pytest.mark.parametrize("slots", [5, 15])
def test_the_end_is_limited_as_wilson_does(n: int, x: int, dispersion: float, slots: int) -> None:
    """At the limit the failures are as few as chance makes them in one of twenty cases."""
    end = 2 if slots < 10 else 5
    place = np.arange(slots) >= slots - end
    nothing = np.zeros(1)
    ground = failures.Ground(
        requests=np.where(place, n / end, 1e9)[None],
        failures=np.where(place, x / end, 1e9)[None],
        before_n=nothing,
        recent=nothing,
        base_requests=nothing,
        base_failures=nothing,
        dispersion=nothing,
    )
    (limit,) = failures._limit_end(ground, np.array([dispersion]))
    if n == 0:
        assert limit == 1
        return
    assert limit <= 1 + 1e-12
    sigma = np.sqrt(max(limit * (1 - limit), 0.0) / (n / dispersion))
    assert limit - x / n == pytest.approx(stats.norm.ppf(0.95) * sigma, abs=1e-9)


def test_bursts_before_leave_it_open_whether_it_is_over(compare: Compare) -> None:
    """Where failures come in bursts, a pause of two minutes says less."""
    after = _errors(0.3, 3.0, 3) + _errors(0.0, 3.0, 2)
    even = compare(before=_errors(0.01, 3.0, 30), after=after)
    bursts = (_errors(0.0, 3.0, 9) + _errors(0.1, 3.0, 1)) * 3
    uneven = compare(before=bursts, after=after)
    assert even.verdict is Verdict.WARNING
    assert uneven.verdict is Verdict.ROLLBACK_RECOMMENDED
