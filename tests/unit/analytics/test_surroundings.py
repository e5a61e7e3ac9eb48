from __future__ import annotations

from collections.abc import Sequence

import pytest

from analytics.surroundings import NOTHING_KNOWN, Drift, Surroundings, find_drifts
from core.types import CollectCode, Metric

TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric


def _drifts(metric: Metric, levels: Sequence[float]) -> tuple[Drift, ...]:
    return find_drifts([{metric: level} for level in levels])


@pytest.mark.parametrize(
    ("metric", "levels"),
    [
        (LATENCY, [80, 90, 95, 101, 110, 120]),
        (LATENCY, [80, 90, 101, 95, 110, 120]),
        (TRAFFIC, [10, 9, 8, 7, 6, 5]),
        (ERRORS, [0.0, 0.001, 0.002, 0.003, 0.004, 0.005]),
        (CPU, [0.3, 0.3, 0.35, 0.38, 0.41, 0.45, 0.45]),
        (MEMORY, [0.5, 0.52, 0.55, 0.58, 0.6, 0.65]),
        # Levels that stay speak neither for nor against a drift.
        (CPU, [0.3, 0.3, 0.3, 0.3, 0.38, 0.46, 0.5]),
        (LATENCY, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_steady_growth_in_the_harmful_direction_is_a_drift(
    metric: Metric, levels: list[float]
) -> None:
    assert _drifts(metric, levels) == (Drift(metric, len(levels), levels[0], levels[-1]),)


@pytest.mark.parametrize(
    ("metric", "levels"),
    [
        (LATENCY, [80, 90, 95, 101, 110]),  # too few
        (LATENCY, [80, 90, 95, 101, 110, 119]),  # too little
        (LATENCY, [80, 110, 95, 130, 70, 120]),  # up and down
        (LATENCY, [120, 110, 101, 95, 90, 80]),  # better
        (LATENCY, [50, 50, 50, 50, 50, 200]),  # one step: its own deployment answers for it
        (LATENCY, [0, 0, 0, 0, 0, 0]),
        (LATENCY, [*range(13), 0]),  # back where it was
        (TRAFFIC, [5, 6, 7, 8, 9, 10]),
        (ERRORS, [0.0, 0.001, 0.002, 0.003, 0.004, 0.0049]),
        (MEMORY, [0.5, 0.52, 0.55, 0.58, 0.6, 0.64]),
    ],
)
def test_anything_else_is_none(metric: Metric, levels: list[float]) -> None:
    assert _drifts(metric, levels) == ()


def test_unknown_levels_are_left_out() -> None:
    grown = [{LATENCY: 80.0 + 10 * step} for step in range(6)]
    assert find_drifts([{}, *grown[:3], {CPU: 0.3}, *grown[3:]]) == (
        Drift(LATENCY, 6, 80.0, 130.0),
    )
    assert find_drifts([]) == ()


def test_several_metrics_may_drift_at_once() -> None:
    levels = [{LATENCY: 80.0 + 10 * step, CPU: 0.3 + 0.05 * step} for step in range(6)]
    assert [drift.metric for drift in find_drifts(levels)] == [LATENCY, CPU]


@pytest.mark.parametrize(
    ("surroundings", "ours"),
    [
        (NOTHING_KNOWN, False),
        (Surroundings(missed={CollectCode.INTERNAL: 1}), True),
        (Surroundings(missed={CollectCode.DEADLINE: 1, CollectCode.DNS: 1}), True),
        (Surroundings(missed={CollectCode.DEADLINE: 1, CollectCode.DNS: 2}), False),
        (Surroundings(missed={CollectCode.RATE_LIMITED: 5}), False),
        (Surroundings(missed={CollectCode.DNS: 0}, elsewhere_silent_ratio=1.0), False),
        (Surroundings(missed={CollectCode.DNS: 5}, elsewhere_silent_ratio=0.5), True),
        (Surroundings(missed={CollectCode.DNS: 5}, elsewhere_silent_ratio=0.4), False),
    ],
)
def test_whose_fault_missed_slots_are(surroundings: Surroundings, *, ours: bool) -> None:
    assert surroundings.our_fault == ours
