"""How a deviation runs: steps, ramps, passing and flapping ones, at their borders."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import polars as pl
import pytest
from scipy import stats

from analytics.patterns import find_slope, find_trend
from analytics.policy import SEQPULSE_V1
from core.judgement import Evidence, Judgement, Pattern
from core.types import Metric

Compare = Callable[..., Judgement]

GOOD, SLOW = {"latency_p95": 50.0}, {"latency_p95": 200.0}
MISSING = {"latency_p95": None}


def _latency(judgement: Judgement) -> Evidence:
    return judgement.evidence[1]


def _slower(shift: float) -> dict[str, float]:
    return {"latency_p95": 50.0 * exp(shift)}


@pytest.mark.parametrize("n", [3, 5, 15, 30])
@pytest.mark.parametrize("ties", [False, True])
def test_a_trend_is_tested_as_scipy_does(n: int, ties: bool) -> None:
    """Kendall's test with a correction for continuity, which scipy leaves out; Theil's slope."""
    random = np.random.default_rng(n)
    for _ in range(20):
        values = random.normal(0, 2, n) + np.arange(n)
        if ties:
            values = np.round(values / 3)
        place = np.sort(random.choice(40, n, replace=False))
        window = np.full(40, np.nan)
        window[place] = values
        slope = stats.theilslopes(values, place).slope
        assert find_slope(window) == pytest.approx(slope, abs=1e-12)
        score = np.sign(np.subtract.outer(values, values))[np.tril_indices(n, -1)].sum()
        if score <= 0:
            assert find_trend(window) == 1.0
            continue
        plain = stats.kendalltau(place, values, method="asymptotic", alternative="greater").pvalue
        spread = score / stats.norm.isf(plain)
        right = stats.norm.sf((score - 1) / spread)
        assert find_trend(window) == pytest.approx(right, abs=1e-9)


def test_what_is_missing_constant_or_falling_has_no_trend() -> None:
    for values in ([], [np.nan] * 5, [3.0], [7.0] * 15, [3.0, 2.0, 1.0]):
        assert find_trend(np.array(values)) == 1.0


def test_a_short_trend_is_known_by_hand() -> None:
    """Five rising values: S = 10, its variance 50/3."""
    values = np.array([1.0, np.nan, 3.0, 4.0, 5.0, 6.0])
    assert find_trend(values) == pytest.approx(stats.norm.sf(9 / sqrt(50 / 3)))
    assert find_slope(values) == 1.0
    assert find_trend(np.array([1.0, np.nan, 2.0])) == 0.5
    assert find_slope(np.array([1.0, np.nan, 2.0])) == 0.5


@pytest.mark.parametrize(
    ("after", "pattern"),
    [
        ([SLOW] * 4 + [GOOD] + [SLOW] * 4 + [GOOD] + [SLOW] * 5, Pattern.FLAPPING),
        ([GOOD] + [SLOW] * 6 + [GOOD] + [SLOW] * 7, Pattern.STEP),  # three turns
        ([SLOW] * 3 + [MISSING] + [SLOW] * 4 + [MISSING] + [SLOW] * 6, Pattern.STEP),
        # Half of what matters is the line between good and bad: 7.2 %.
        ([SLOW] * 4 + [_slower(0.06)] + [SLOW] * 4 + [_slower(0.06)] + [SLOW] * 5, "flapping"),
        ([SLOW] * 4 + [_slower(0.08)] + [SLOW] * 4 + [_slower(0.08)] + [SLOW] * 5, Pattern.STEP),
    ],
)
def test_four_turns_are_flapping(
    compare: Compare, after: list[dict[str, float | None]], pattern: Pattern
) -> None:
    latency = _latency(compare(after=after))
    assert latency.failed
    assert latency.pattern == pattern
    assert latency.trend_per_hour is None


@pytest.mark.parametrize(
    ("start", "end", "passing"),
    [
        (0.145, 0.0, True),  # 15 % is what matters, ln 1.15 = 0.1398
        (0.135, 0.0, False),
        (0.5, 0.065, True),  # half of it may be left
        (0.5, 0.075, False),
    ],
)
def test_what_is_over_by_half_was_passing(
    compare: Compare, start: float, end: float, passing: bool
) -> None:
    after = [_slower(start)] * 2 + [GOOD] * 8 + [_slower(end)] * 5
    latency = _latency(compare(after=after))
    assert not latency.failed
    assert (latency.pattern is Pattern.TRANSIENT) is passing


@pytest.mark.parametrize(("slots", "passing"), [(9, False), (10, True)])
def test_of_a_long_window_the_end_is_its_last_five(
    compare: Compare, slots: int, passing: bool
) -> None:
    """Two slots of five are cut off or outvoted, two of two are not."""
    after = [SLOW] * 2 + [GOOD] * (slots - 4) + [_slower(0.13)] * 2
    latency = _latency(compare(after=after))
    assert (latency.pattern is Pattern.TRANSIENT) is passing


def test_one_bad_slot_at_the_end_does_not_bring_it_back(compare: Compare) -> None:
    judgement = compare(after=[SLOW] * 2 + [GOOD] * 12 + [SLOW])
    assert _latency(judgement).pattern is Pattern.TRANSIENT


@pytest.mark.parametrize(("traffic", "passing"), [(4.0, True), (25.0, False)])
def test_traffic_that_is_missing_for_a_while_passes(
    compare: Compare, traffic: float, passing: bool
) -> None:
    judgement = compare(after=[{"requests_per_sec": traffic}] * 2 + [{}] * 13)
    assert (judgement.evidence[0].pattern is Pattern.TRANSIENT) is passing


@pytest.mark.parametrize(("rate", "passing"), [(0.0055, True), (0.0045, False)])
def test_errors_pass_as_a_difference(compare: Compare, rate: float, passing: bool) -> None:
    """0.4 points more than the usual 0.1 % matter."""
    judgement = compare(after=[{"error_rate": rate}] * 2 + [{}] * 13)
    assert (judgement.evidence[2].pattern is Pattern.TRANSIENT) is passing


def test_a_slope_is_per_hour_whatever_a_slot_is(
    frames: Callable[..., tuple[pl.DataFrame, pl.DataFrame]],
    compare_all: Callable[..., list[Judgement]],
) -> None:
    leak = [{"memory_usage": 0.4 + 0.02 * slot} for slot in range(15)]
    deployments, samples = frames(before=[{}] * 30, after=leak, post_slots=15)
    faster = deployments.with_columns(slot_seconds=pl.lit(30.0))
    (judgement,) = compare_all([(faster, samples)], SEQPULSE_V1)
    (memory,) = (each for each in judgement.evidence if each.metric is Metric.MEMORY_USAGE)
    assert memory.pattern is Pattern.RAMP
    assert memory.trend_per_hour == pytest.approx(2.4)
