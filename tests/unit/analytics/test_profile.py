from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from analytics import windows
from analytics.profile import (
    LAYOUT,
    QUANTILES,
    SIZE,
    ServiceProfile,
    build_profile,
    pack,
    stack,
    unpack,
)
from analytics.statistics import find_share_above
from core.errors import InvalidInputError
from core.judgement import Judgement
from core.types import METRICS, Metric

Compare = Callable[..., Judgement]

UNTIL = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
LEVELS = (10.0, 50.0, 0.001, 0.3, 0.4)


def _history(n: int, **series: Iterable[float]) -> pl.DataFrame:
    """The last `n` minutes before UNTIL, constant but for the `series` given."""
    moments = [UNTIL - timedelta(minutes=n - i) for i in range(n)]
    columns = {
        name: pl.Series(list(series.get(name, [level] * n)), dtype=pl.Float64)
        for name, level in zip(METRICS, LEVELS, strict=True)
    }
    return pl.DataFrame({"slot_at": pl.Series(moments, dtype=windows.MOMENT), **columns})


def _build(history: pl.DataFrame) -> ServiceProfile:
    profile = build_profile(history, UNTIL)
    assert profile is not None
    return profile


def _part(profile: ServiceProfile, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(stack({"one": profile}, ["one"]).part(name)[0], dtype=np.float64)


def _wandering(n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Latency that doubles and halves every few hours."""
    return np.where(np.arange(n) // 100 % 2, 100.0, 50.0)


def test_a_service_that_wanders_is_given_room(compare: Compare) -> None:
    doubled = [{"latency_p95": 100.0}] * 15
    calm, wild = _build(_history(600)), _build(_history(600, latency_p95=_wandering(600)))
    for profile, alarm in ((calm, True), (wild, False)):
        judgement = compare(profile, after=doubled)
        (slow,) = (each for each in judgement.evidence if each.metric is Metric.LATENCY_P95)
        assert slow.failed is alarm
        assert judgement.profile_until == UNTIL


def test_a_calm_history_makes_small_changes_visible(compare: Compare) -> None:
    slower = [{"latency_p95": 59.0}] * 15
    (unknown,) = (e for e in compare(after=slower).evidence if e.metric is Metric.LATENCY_P95)
    judgement = compare(_build(_history(3000)), after=slower)
    (known,) = (each for each in judgement.evidence if each.metric is Metric.LATENCY_P95)
    assert (unknown.failed, known.failed) == (False, True)


def test_what_happens_every_day_at_this_hour_is_no_alarm(compare: Compare) -> None:
    """Traffic halves at noon for an hour; the deployment is at noon."""
    days = 6
    n = days * 1440
    minute = (np.arange(n) - n + 11 * 60 + 30) % 1440  # the history ends at 11:30
    traffic = np.where((minute >= 720) & (minute < 780), 5.0, 10.0)
    fallen = [{"requests_per_sec": 5.0}] * 15
    for series, alarm in ((traffic, False), (np.full(n, 10.0), True)):
        judgement = compare(_build(_history(n, requests_per_sec=series)), after=fallen)
        (evidence,) = (e for e in judgement.evidence if e.metric is Metric.REQUESTS_PER_SEC)
        assert evidence.failed is alarm


def test_an_hour_that_was_never_seen_has_no_habit() -> None:
    """Nothing is collected between one and five in the morning."""
    n = 4 * 1440
    hour = (np.arange(n) - n + 11 * 60 + 30) % 1440 // 60
    history = _history(n).filter(pl.Series((hour < 1) | (hour >= 5)))
    habit = _part(_build(history), "habit")[0, 0]
    assert np.isnan(habit[3:9]).all()
    assert np.isfinite(habit[12:]).all()


def test_failures_that_come_in_bursts_need_more_of_them(compare: Compare) -> None:
    rng = np.random.default_rng(3)
    bursts = np.repeat(np.where(rng.random(100) < 0.1, 0.03, 0.0), 20)
    calm = _build(_history(2000))
    wild = _build(_history(2000, error_rate=bursts))
    after = [{"error_rate": 0.02}] * 15
    assert "error_rate" in {e.metric for e in compare(calm, after=after).evidence if e.failed}
    assert "error_rate" not in {e.metric for e in compare(wild, after=after).evidence if e.failed}


def test_only_the_week_before_counts() -> None:
    week = _history(7 * 1440)
    more = pl.concat(
        [
            week,
            week.with_columns(pl.col("slot_at") - timedelta(days=8), latency_p95=9000.0),
            week.with_columns(pl.col("slot_at") + timedelta(days=7), latency_p95=9000.0),
        ]
    )
    assert pack(_build(more)) == pack(_build(week))


def test_neither_order_nor_repetition_matter() -> None:
    history = _history(500, latency_p95=_wandering(500))
    shuffled = pl.concat([history, history]).sample(fraction=1, shuffle=True, seed=1)
    assert pack(_build(shuffled)) == pack(_build(history))


@pytest.mark.parametrize("n", [0, 1, 37])
def test_too_little_history_makes_no_profile(n: int) -> None:
    assert build_profile(_history(n), UNTIL) is None


@pytest.mark.parametrize(
    ("n", "short", "full"), [(38, False, False), (97, True, False), (107, True, True)]
)
def test_a_short_history_says_what_it_can(n: int, short: bool, full: bool) -> None:
    quantiles = _part(_build(_history(n)), "quantiles")
    assert np.isfinite(quantiles[0]).all() == short
    assert np.isfinite(quantiles[1]).all() == full


def test_gaps_and_idle_minutes_do_no_harm() -> None:
    history = _history(300, requests_per_sec=[0.0, 10.0] * 150).with_columns(
        cpu_usage=pl.lit(None, pl.Float64), memory_usage=pl.lit(float("nan"))
    )
    profile = _build(history.filter(pl.int_range(300) % 7 != 0))
    assert np.isnan(_part(profile, "quantiles")[:, 2:]).all()
    assert np.isfinite(_part(profile, "quantiles")[0, :2]).all()
    assert _part(profile, "slots") == 257


def test_a_history_without_failures_disperses_by_chance_alone() -> None:
    profile = _build(_history(300, error_rate=[0.0] * 300))
    assert _part(profile, "dispersion").tolist() == [1.0, 1.0, 1.0]
    assert _part(profile, "requests") == 300 * 600
    assert _part(profile, "failures") == 0


@pytest.mark.parametrize(("failed", "counted"), [(1, 1), (3, 3), (4, 3), (600, 3)])
def test_a_handful_of_failures_counts_however_seldom_there_are_any(
    failed: int, counted: int
) -> None:
    rates = [0.0] * 1500
    rates[700] = failed / 600
    assert _part(_build(_history(1500, error_rate=rates)), "failures") == pytest.approx(counted)


def test_only_the_last_day_is_counted_but_the_week_says_what_is_ordinary() -> None:
    """A bad hour in seven days is no rate to expect; before the last day nothing is counted."""
    rates = [0.002] * 5000
    rates[4000:4060], rates[1000:1060] = [0.9] * 60, [0.9] * 60
    profile = _build(_history(5000, error_rate=rates))
    assert _part(profile, "requests") == 1440 * 600
    assert _part(profile, "failures") == pytest.approx(0.002 * 1440 * 600)


def test_refuses_a_history_without_a_column() -> None:
    with pytest.raises(InvalidInputError, match=r"^history: column cpu_usage is missing$"):
        build_profile(_history(9).drop("cpu_usage"), UNTIL)


def test_packs_and_unpacks_to_the_last_bit() -> None:
    profile = _build(_history(500, latency_p95=_wandering(500)))
    again = unpack(pack(profile))
    assert (again.until, again.slot_seconds) == (UNTIL, 60.0)
    assert again.values.tobytes() == profile.values.tobytes()
    assert pack(again) == pack(profile)


@pytest.mark.parametrize("packed", [b"", b"\0" * 8 * (SIZE + 3), b"\0" * 8 * SIZE])
def test_refuses_what_another_version_packed(packed: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^profile: made by another version$"):
        unpack(packed)


def test_stacks_every_profile_once() -> None:
    one, two = _build(_history(100)), _build(_history(200))
    stacked = stack({"a": one, "b": two, "c": one}, ["c", "nobody", "b", "a"])
    assert stacked.values.shape == (3, SIZE)
    assert stacked.take("slots", 0)[[0, 2, 3]].tolist() == [100.0, 200.0, 100.0]
    assert np.isnan(stacked.take("slots", 0)[1])
    assert stacked.part("habit").shape == (3, *LAYOUT["habit"])


def test_the_share_of_history_that_moved_as_much() -> None:
    quantiles = np.array([[0.0, *np.linspace(1, 2, len(QUANTILES) - 1)]] * 5)
    values = np.array([-1.0, 0.0, 0.5, 3.0, np.nan])
    right = pytest.approx([1.0, 1.0, 0.375, 0.0, 0.0])
    assert find_share_above(quantiles, QUANTILES, values) == right
    assert find_share_above(3 * quantiles, QUANTILES, 3 * values) == right
    assert find_share_above(quantiles * np.nan, QUANTILES, values).tolist() == [0.0] * 5
    steps = np.array([[0.0] * (len(QUANTILES) - 1) + [1.0]])
    assert find_share_above(steps, QUANTILES, np.array([1e-9])) == pytest.approx(
        [1 - QUANTILES[-2]]
    )
