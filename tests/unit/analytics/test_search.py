"""Searching the numbers of a policy on labelled history."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from analytics import policy, search, windows
from core.errors import InvalidInputError
from core.types import Metric

Frames = tuple[pl.DataFrame, pl.DataFrame]

DROPS = {"traffic_drop_ratio": [0.2, 0.45, 0.9]}


@pytest.fixture
def cut(frames: Callable[..., Frames]) -> Callable[..., windows.Windows]:
    """Windows of deployments that are left with so much of a traffic of ten."""

    def run(*traffic: float) -> windows.Windows:
        cases = [
            frames(before=[{}] * 9, after=[{"requests_per_sec": rps}] * 5, number=number)
            for number, rps in enumerate(traffic)
        ]
        return windows.split(*(pl.concat(part) for part in zip(*cases, strict=True)))

    return run


def test_the_best_candidate_keeps_the_target_and_finds_most(
    cut: Callable[..., windows.Windows],
) -> None:
    """Two harmless deployments, one of them with a third of its traffic gone; two without half."""
    candidates = search.vary(policy.REFERENCE_V2, DROPS)
    found = search.count_alarms(candidates, cut(10.0, 6.7, 5.0, 5.0), [False, False, True, True])
    ranked = search.rank([found], most_false_alarms=0.4)
    assert ranked.schema == search.RANKING
    assert ranked.rows() == [
        (1, 2, 0, 2, 2, 0.0, 1.0, True),
        (2, 2, 0, 2, 0, 0.0, 0.0, True),
        (0, 2, 1, 2, 2, 0.5, 1.0, False),
    ]
    lenient = search.rank([found], most_false_alarms=0.5)
    assert lenient["place"].to_list() == [1, 0, 2]


def test_lots_add_up(cut: Callable[..., windows.Windows]) -> None:
    candidates = search.vary(policy.REFERENCE_V2, DROPS)
    lots = [
        search.count_alarms(candidates, cut(10.0, 5.0), [False, True]),
        search.count_alarms(candidates, cut(6.7, 5.0), [False, True]),
    ]
    together = search.count_alarms(candidates, cut(10.0, 5.0, 6.7, 5.0), [False, True, False, True])
    assert search.rank(lots, 0.4).equals(search.rank([together], 0.4))


def test_every_combination_is_tried() -> None:
    grid = {
        "traffic_drop_ratio": [0.1, 0.2],
        "thresholds": {"latency_p95": [100, 200.0]},
        "severe": [["error_rate"], []],
    }
    candidates = search.vary(policy.REFERENCE_V2, grid)
    tried = [
        (
            each.policy.rules.traffic_drop_ratio,
            each.policy.rules.thresholds[Metric.LATENCY_P95],
            each.policy.rules.severe,
        )
        for each in candidates
    ]
    assert tried == [
        (a, b, c) for a in (0.1, 0.2) for b in (100, 200) for c in ({Metric.ERROR_RATE}, set())
    ]
    assert candidates[2].numbers == {
        "traffic_drop_ratio": 0.1,
        "thresholds.latency_p95": 200.0,
        "severe": ["error_rate"],
    }
    shipped = policy.REFERENCE_V2.rules
    assert {each.policy.rules.thresholds[Metric.CPU_USAGE] for each in candidates} == {0.8}
    assert {each.policy.rules.tolerances == shipped.tolerances for each in candidates} == {True}


def test_without_a_grid_there_is_the_policy_itself() -> None:
    [alone] = search.vary(policy.SEQPULSE_V1, {})
    assert (alone.numbers, alone.policy) == ({}, policy.SEQPULSE_V1)


def test_without_harm_there_is_no_recall(cut: Callable[..., windows.Windows]) -> None:
    candidates = search.vary(policy.REFERENCE_V2, {})
    found = search.count_alarms(candidates, cut(10.0, 6.7, 5.0, 5.0), [False] * 4)
    assert search.rank([found], 1.0).rows() == [(0, 4, 3, 0, 0, 0.75, None, True)]


@pytest.mark.parametrize("harmful", [[], [True]])
def test_without_anything_harmless_there_is_no_ranking(
    cut: Callable[..., windows.Windows], harmful: list[bool]
) -> None:
    candidates = search.vary(policy.REFERENCE_V2, {})
    lots = [search.count_alarms(candidates, cut(10.0), harmful)] if harmful else []
    with pytest.raises(InvalidInputError, match="harmless"):
        search.rank(lots, 0.1)


def test_what_is_inconclusive_is_no_alarm(frames: Callable[..., Frames]) -> None:
    deployments, samples = frames(before=[{}] * 9, after=[])
    silent = windows.split(deployments, samples)
    found = search.count_alarms(search.vary(policy.REFERENCE_V2, {}), silent, [False])
    assert found.rows() == [(0, 1, 0, 0, 0)]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"no_such": [1.0]}, "rules.no_such: unknown"),
        ({"thresholds": {"queue": [1.0]}}, "rules.thresholds: queue is no metric"),
        ({"thresholds": {"requests_per_sec": [1.0]}}, "rules.thresholds: must name every"),
        ({"traffic_drop_ratio": ["much"]}, "rules.traffic_drop_ratio: must be a finite number"),
        ({"traffic_drop_ratio": [0.1, 1.1]}, "rules.traffic_drop_ratio: must be at most 1"),
        ({"traffic_drop_ratio": 0.1}, "traffic_drop_ratio: must be a list of values to try"),
        ({"thresholds": {"latency_p95": []}}, "thresholds.latency_p95: must be a list of values"),
        ({"traffic_drop_ratio": [0.1] * 101, "secured_ratio": [0.9] * 100}, "10,100 combinations"),
        ({"severe": ["error_rate"]}, "rules.severe: must be a list"),
    ],
)
def test_what_cannot_be_tried_is_refused(grid: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        search.vary(policy.REFERENCE_V2, grid)
