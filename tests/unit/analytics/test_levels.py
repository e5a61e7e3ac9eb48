from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analytics import levels
from analytics.levels import find_floors, find_shifts, find_spans, mean, midmean, take_gauges

nan = np.nan


@pytest.mark.parametrize(
    ("values", "middle"),
    [
        ([1.0], 1.0),
        ([1.0, 3.0], 2.0),
        ([1.0, 2.0, 9.0], 4.0),
        ([1.0, 2.0, 4.0, 99.0], 3.0),
        ([99.0, 5.0, 1.0, 3.0, -99.0], 3.0),
        ([nan, 5.0, 1.0, nan, 3.0, 99.0, -99.0], 3.0),
        ([0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 9.0, 9.0, 9.0], 3.1666666666666665),
        ([nan, nan], nan),
    ],
)
def test_the_midmean_is_the_mean_of_the_middle_half(values: list[float], middle: float) -> None:
    assert midmean(np.array([values]))[0] == pytest.approx(middle, nan_ok=True)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_midmean_is_that_of_scipy(values: list[float]) -> None:
    right = stats.trim_mean(values, 0.25)
    assert midmean(np.array([values]))[0] == pytest.approx(right, rel=1e-9, abs=1e-6)


def test_the_mean_leaves_out_what_is_missing() -> None:
    values = np.array([[1.0, nan, 3.0], [nan, 7.0, nan], [nan, nan, nan]])
    assert mean(values) == pytest.approx([2.0, 7.0, nan], nan_ok=True)


@pytest.mark.parametrize(
    ("post_slots", "spans"),
    [
        (1, [("short", (0, 1), (0, 1), 1.0)]),
        (3, [("short", (0, 3), (0, 3), 1.0)]),
        (4, [("short", (0, 4), (1, 4), 1.0)]),
        (5, [("short", (0, 5), (2, 5), 1.0)]),
        (9, [("short", (0, 9), (2, 9), 1.0)]),
        (10, [("full", (2, 10), (2, 10), 0.8), ("tail", (5, 10), (5, 10), 0.2)]),
        (15, [("full", (2, 15), (2, 15), 0.8), ("tail", (10, 15), (10, 15), 0.2)]),
    ],
)
def test_a_post_window_is_looked_at_in_spans(
    post_slots: int, spans: list[tuple[str, tuple[int, int], tuple[int, int], float]]
) -> None:
    assert [
        (
            span.name,
            (span.slots.start, span.slots.stop),
            (span.settled.start, span.settled.stop),
            span.weight,
        )
        for span in find_spans(post_slots)
    ] == spans


def _shifts(before: list[float], after: list[list[float]]) -> tuple[list[float], float]:
    """The shifts of one deployment of five slots in traffic, latency, CPU and memory."""
    values = np.array([[after[0]], [after[1]], [[0.0] * 5], [after[2]], [after[3]]])
    floors = find_floors(np.array([60.0]))
    base = np.log(np.array(before))[:, None]
    (span,) = find_spans(5)
    worse, load = find_shifts(base, take_gauges(values), floors, span)
    return worse[:, 0].tolist(), float(load[0])


STILL = [[10.0] * 5, [50.0] * 5, [0.3] * 5, [0.4] * 5]
LEVELS = [10.0, 50.0, 0.3, 0.4]


def test_shifts_are_logarithms_positive_where_it_got_worse() -> None:
    after = [[5.0] * 5, [100.0] * 5, [0.45] * 5, [0.2] * 5]
    assert _shifts(LEVELS, after)[0] == pytest.approx(np.log([2, 2, 1.5, 0.5]))
    assert _shifts(LEVELS, STILL)[0] == pytest.approx([0.0] * 4, abs=1e-12)


def test_a_short_window_is_as_bad_as_the_better_of_its_two_levels() -> None:
    cold = [STILL[0], [500.0, 500.0, 50.0, 50.0, 50.0], *STILL[2:]]
    blip = [STILL[0], [50.0, 50.0, 50.0, 500.0, 50.0], *STILL[2:]]
    late = [STILL[0], [50.0, 50.0, 100.0, 100.0, 100.0], *STILL[2:]]
    assert _shifts(LEVELS, cold)[0][1] == pytest.approx(0, abs=1e-12)
    assert _shifts(LEVELS, blip)[0][1] == pytest.approx(0, abs=1e-12)
    assert _shifts(LEVELS, late)[0][1] == pytest.approx(np.log(2) * 2 / 3)


@pytest.mark.parametrize(
    ("growth", "cpu", "load"),
    [
        (2.0, 0.3, 0.85 * np.log(2)),
        (0.5, 0.3, 0.0),
        (100.0, 0.1, 0.85 * np.log(4)),
        (3.0, 0.8, -np.log(0.8)),
        (3.0, 1.2, 0.0),
        (nan, 0.3, 0.0),  # unknown traffic excuses nothing
    ],
)
def test_traffic_explains_work(growth: float, cpu: float, load: float) -> None:
    after = [[10.0 * growth] * 5, STILL[1], [cpu] * 5, STILL[3]]
    worse, explained = _shifts([10.0, 50.0, cpu, 0.4], after)
    assert explained == pytest.approx(load, abs=1e-12)
    assert worse[levels.CPU] == pytest.approx(-load, abs=1e-12)


def test_levels_have_a_floor() -> None:
    after = [[0.0] * 5, [0.0] * 5, [0.0] * 5, [0.0] * 5]
    worse, _ = _shifts([0.25, 0.02, 0.0002, 0.0002], after)
    floors = [0.5 / 60, 0.01, 1e-4, 1e-4]
    right = np.log(np.array([0.25, 0.02, 0.0002, 0.0002]) / floors) * [1, -1, -1, -1]
    assert worse == pytest.approx(right)


def test_nothing_measures_more_than_the_limit() -> None:
    assert take_gauges(np.full((5, 1, 1), 1e300))[[0, 2, 3]].tolist() == [[[1e12]]] * 3


def test_readings_that_overlap_count_once() -> None:
    """Each tells of the last minute: five in a row, ten seconds apart, of 100 seconds."""
    slots, apart = np.array([0, 1, 5, 5]), np.array([10.0, 10.0, 10.0, 300.0])
    assert levels.find_seconds(slots, apart).tolist() == [0, 60, 100, 1500]
