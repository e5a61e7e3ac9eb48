from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import NormalDist, median
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import judge, kayenta, policy, windows
from analytics.blocks import Array
from core.errors import InvalidInputError
from core.judgement import Direction, Judgement
from core.types import Attribution, Metric, Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

AS_OF = datetime(2026, 3, 1, 13, tzinfo=UTC)
KAYENTA = policy.find("kayenta-compatible")
TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric
WAVE = (0.97, 1.0, 1.03, 0.99, 1.02, 0.98, 1.01)


def _window(n: int, **factors: float) -> list[dict[str, float]]:
    """Slots with some noise around a healthy level, times a factor per metric."""
    usual = {
        "requests_per_sec": 10.0,
        "latency_p95": 50.0,
        "error_rate": 0.001,
        "cpu_usage": 0.3,
        "memory_usage": 0.4,
    }
    return [
        {name: level * factors.get(name, 1.0) * WAVE[i % 7] for name, level in usual.items()}
        for i in range(n)
    ]


def _judge(frames: Frames, rules: Mapping[str, Any] | None = None, **case: Any) -> Judgement:  # noqa: ANN401
    chosen = replace(KAYENTA, rules=replace(KAYENTA.rules, **(rules or {})))
    case = {"before": _window(30), "post_slots": 15} | case
    (judgement,) = judge.judge(windows.split(*frames(**case)), chosen, AS_OF)
    return judgement


def _failed(judgement: Judgement) -> list[Metric]:
    return [each.metric for each in judgement.evidence if each.failed]


def test_nothing_changed_passes(frames: Frames) -> None:
    judgement = _judge(frames, after=_window(15))
    assert (judgement.verdict, judgement.reason_code) == (Verdict.OK, "no_regression")
    assert judgement.conclusive
    assert judgement.confidence == 1.0
    assert _failed(judgement) == []


@pytest.mark.parametrize(
    ("metric", "factor"),
    [(TRAFFIC, 0.6), (LATENCY, 1.4), (ERRORS, 30.0), (CPU, 1.5), (MEMORY, 1.2)],
)
def test_one_metric_of_five_is_marginal(frames: Frames, metric: Metric, factor: float) -> None:
    judgement = _judge(frames, after=_window(15, **{metric.value: factor}))
    assert judgement.verdict is Verdict.WARNING
    assert judgement.reason_code == "regression"
    assert _failed(judgement) == [metric]
    evidence = judgement.evidence[[*Metric].index(metric)]
    assert evidence.direction is Direction.WORSE
    assert evidence.attribution is Attribution.INTRODUCED
    assert evidence.test == "mann_whitney"
    assert evidence.effect_low is not None
    assert evidence.effect is not None
    assert evidence.effect_high is not None
    assert 0 < evidence.effect_low <= evidence.effect <= evidence.effect_high
    assert evidence.p_value is not None
    assert evidence.p_value < 1e-4
    assert evidence.statistic is not None
    assert evidence.statistic > 0.95 * 15 * 30
    size = abs(factor - 1) * (0.001 if metric is ERRORS else 1)
    assert evidence.effect == pytest.approx(size, rel=0.05)


def test_two_metrics_of_five_are_a_fail(frames: Frames) -> None:
    judgement = _judge(frames, after=_window(15, latency_p95=1.5, error_rate=20.0))
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED
    assert judgement.reason_code == "severe_regression"
    assert _failed(judgement) == [LATENCY, ERRORS]
    assert [each.contribution for each in judgement.evidence] == [0, 0.5, 0.5, 0, 0]


@pytest.mark.parametrize("better", [{"latency_p95": 0.5}, {"requests_per_sec": 2.0}])
def test_an_improvement_never_fails(frames: Frames, better: dict[str, float]) -> None:
    judgement = _judge(frames, after=_window(15, **better))
    assert judgement.verdict is Verdict.OK
    assert [each.direction for each in judgement.evidence if each.direction] == [Direction.BETTER]


def test_a_small_weight_may_fail_and_pass_all_the_same(frames: Frames) -> None:
    weights = dict.fromkeys(Metric, 24.0) | {CPU: 4.0}
    judgement = _judge(frames, {"weights": weights}, after=_window(15, cpu_usage=2.0))
    assert judgement.verdict is Verdict.OK
    assert _failed(judgement) == []


def test_a_metric_without_weight_is_only_reported(frames: Frames) -> None:
    weights = dict.fromkeys([TRAFFIC, LATENCY, ERRORS], 30.0)
    slots = [slot | {"memory_usage": None} for slot in _window(15, cpu_usage=2.0)]
    judgement = _judge(frames, {"weights": weights}, after=slots)
    assert judgement.verdict is Verdict.OK
    assert judgement.evidence[3].direction is Direction.WORSE


def test_a_critical_metric_fails_alone(frames: Frames) -> None:
    critical = {"critical": frozenset({ERRORS})}
    judgement = _judge(frames, critical, after=_window(15, error_rate=20.0))
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED
    assert _judge(frames, critical, after=_window(15, cpu_usage=2.0)).verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("rules", "factors", "verdict"),
    [
        ({"allowed_increase": 1.5}, {"latency_p95": 1.45}, Verdict.OK),
        ({"allowed_increase": 1.5}, {"latency_p95": 1.55}, Verdict.WARNING),
        ({"allowed_decrease": 0.5}, {"requests_per_sec": 0.55}, Verdict.OK),
        ({"allowed_decrease": 0.5}, {"requests_per_sec": 0.45}, Verdict.WARNING),
    ],
)
def test_small_effects_can_be_allowed(
    frames: Frames, rules: dict[str, Any], factors: dict[str, float], verdict: Verdict
) -> None:
    assert _judge(frames, rules, after=_window(15, **factors)).verdict is verdict


@pytest.mark.parametrize(
    ("rules", "slot"),
    [
        ({"allowed_increase": 2.0}, {"latency_p95": 100.0}),
        ({"allowed_decrease": 0.5}, {"requests_per_sec": 5.0}),
    ],
)
def test_an_effect_of_just_the_allowed_size_counts(
    frames: Frames, rules: dict[str, Any], slot: dict[str, float]
) -> None:
    assert _judge(frames, rules, before=[{}] * 30, after=[slot] * 15).verdict is Verdict.WARNING


def test_a_metric_without_data_has_no_part_in_the_score(frames: Frames) -> None:
    blind = [
        slot | {"cpu_usage": None, "memory_usage": None} for slot in _window(15, latency_p95=2.0)
    ]
    judgement = _judge(frames, after=blind)
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED  # one of three, not one of five


def test_errors_out_of_nothing_are_seen(frames: Frames) -> None:
    before = [slot | {"error_rate": 0.0} for slot in _window(30)]
    judgement = _judge(frames, before=before, after=_window(15, error_rate=30.0))
    assert _failed(judgement) == [ERRORS]


def test_latency_out_of_nothing_has_no_size(frames: Frames) -> None:
    before = [slot | {"latency_p95": 0.0} for slot in _window(30)]
    judgement = _judge(frames, before=before, after=_window(15))
    assert _failed(judgement) == [LATENCY]
    assert judgement.evidence[1].effect is None


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"after": []}, "no_post_samples"),
        ({"after": _window(8, latency_p95=9.0)}, "insufficient_post_samples"),
        ({"before": [], "after": _window(15)}, "no_baseline"),
        ({"after": [slot | {"cpu_usage": None} for slot in _window(15)]}, "metric_missing"),
        (
            {
                "before": [slot | {"cpu_usage": None} for slot in _window(30)],
                "after": _window(15),
            },
            "metric_missing",
        ),
    ],
)
def test_what_cannot_be_known_is_said(frames: Frames, case: dict[str, Any], reason: str) -> None:
    judgement = _judge(frames, **case)
    assert (judgement.verdict, judgement.conclusive) == (Verdict.WARNING, False)
    assert judgement.reason_code == reason
    assert judgement.confidence <= 0.5
    assert _failed(judgement) == []


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"confidence_level": 0.0}, "confidence_level"),
        ({"confidence_level": 1.0}, "confidence_level"),
        ({"tolerance_ratio": 1.1}, "tolerance_ratio"),
        ({"allowed_increase": 0.9}, "allowed_increase"),
        ({"allowed_decrease": 1.1}, "allowed_decrease"),
        ({"weights": {}}, "weights"),
        ({"weights": {CPU: 0.0}}, "weights"),
        ({"weights": {CPU: 1.0}, "critical": frozenset({ERRORS})}, "critical: error_rate"),
        ({"marginal_score": 96.0}, "marginal_score"),
        ({"pass_score": 101.0}, "marginal_score"),
        ({"min_coverage_ratio": 0.0}, "min_coverage_ratio"),
        ({"min_coverage_ratio": 1.1}, "min_coverage_ratio"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        replace(KAYENTA.rules, **numbers)


def _root(after: Sequence[float], before: Sequence[float], quantile: float) -> tuple[float, float]:
    """Where R's corrected rank statistic of the shifted samples crosses `quantile`.

    The definition in R's wilcox.test, counted pair by pair; found by halving, as an interval.
    """
    m, n = len(after), len(before)

    def exceeds(shift: float) -> bool:
        moved = [value - shift for value in after]
        above = sum((x > y) + (x == y) / 2 for x in moved for y in before)
        dz = above - m * n / 2
        groups = [[*moved, *before].count(value) for value in {*moved, *before}]
        tied = sum(t**3 - t for t in groups)
        sigma = (m * n / 12 * (m + n + 1 - tied / ((m + n) * (m + n - 1)))) ** 0.5
        return bool((dz - np.sign(dz) * 0.5) / sigma > quantile)

    low, high = min(after) - max(before), max(after) - min(before)
    if not exceeds(low + 1e-12):
        return low, low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if exceeds(middle) else (low, middle)
    return low, high


VALUES = st.one_of(
    st.lists(st.floats(1, 100).map(lambda x: round(x, 3)), min_size=3, max_size=12),
    st.lists(st.integers(1, 5).map(float), min_size=3, max_size=12),
).filter(lambda values: len(set(values)) > 1)


@settings(deadline=None, max_examples=150)
@given(VALUES, VALUES, st.sampled_from([0.9, 0.95, 0.98]))
def test_the_interval_is_that_of_the_rank_statistic(
    after: list[float], before: list[float], level: float
) -> None:
    # Ties within a sample, but none across them: there every shift has a statistic of its own.
    after = [value + 0.00025 for value in after]
    z = NormalDist().inv_cdf((1 + level) / 2)
    shift, low, high = _shift_of(after, before, z)
    assert shift == pytest.approx(median(x - y for x in after for y in before))
    assert low == pytest.approx(_root(after, before, z)[0], abs=1e-6)
    mirrored = _root([-x for x in after], [-y for y in before], z)
    assert high == pytest.approx(-mirrored[0], abs=1e-6)


def _shift_of(after: Sequence[float], before: Sequence[float], z: float) -> list[float]:
    # A neighbour with other gaps must make no difference.
    rows: list[Array] = [
        np.array([[*values, np.nan, np.nan], [np.nan, *values, np.nan]])
        for values in (before, after)
    ]
    found = kayenta._shift_of(rows[0], rows[1], z)
    assert found[:, 0].tolist() == found[:, 1].tolist()
    return [float(each) for each in found[:, 0]]


def test_identical_values_have_no_shift() -> None:
    assert _shift_of([5.0] * 6, [5.0] * 4, 2.3) == [0.0, 0.0, 0.0]


def test_ties_within_a_sample_narrow_the_interval() -> None:
    values = np.array([[1.0, 1.0, 1.0, 2.0, 2.0, np.nan], [1.0, 2.0, 3.0, np.nan, np.nan, np.nan]])
    assert kayenta._ties(values).tolist() == [24.0 + 6.0, 0.0]


def test_many_pairs_are_compared_in_parts(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        frames(
            number=n, before=_window(30), after=_window(15, latency_p95=1 + n / 50), post_slots=15
        )
        for n in range(1, 8)
    ]
    deployments, samples = (pl.concat(part) for part in zip(*parts, strict=True))
    split = windows.split(deployments, samples)
    whole = judge.judge(split, KAYENTA, AS_OF)
    monkeypatch.setattr(kayenta, "PAIRS", 1000)
    assert judge.judge(split, KAYENTA, AS_OF) == whole
