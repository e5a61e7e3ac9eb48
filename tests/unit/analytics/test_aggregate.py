from __future__ import annotations

from fractions import Fraction
from itertools import chain

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.aggregate import Values, average, count, share, take
from core.types import Metric

LEVELS = st.floats(min_value=0, allow_nan=False, allow_infinity=False)


def _values(*groups: list[float]) -> Values:
    row = [number for number, group in enumerate(groups) for _ in group]
    value = list(chain.from_iterable(groups))
    return Values(np.array(row, dtype=np.int64), np.array(value, dtype=np.float64))


def test_takes_the_values_of_one_metric() -> None:
    window = pl.DataFrame({"row": [0, 0, 2], "cpu_usage": [0.1, None, 0.3]})
    row, value = take(window, Metric.CPU_USAGE)
    assert (row.tolist(), value.tolist()) == ([0, 2], [0.1, 0.3])


def test_counts_every_deployment_even_the_empty_ones() -> None:
    assert count(_values([1.0, 2.0], [], [3.0]).row, 4).tolist() == [2, 0, 1, 0]
    assert count(_values().row, 0).tolist() == []


def test_averages_each_deployment() -> None:
    mean = average(_values([1.0, 2.0, 6.0], [], [5.0]), 3)
    assert mean[[0, 2]].tolist() == [3.0, 5.0]
    assert np.isnan(mean[1])


@given(LEVELS, st.integers(1, 50))
def test_the_mean_of_a_constant_is_that_constant(level: float, n: int) -> None:
    assert average(_values([level] * n), 1).tolist() == [level]


@given(st.lists(LEVELS, min_size=1, max_size=30))
def test_the_mean_is_finite_and_right(group: list[float]) -> None:
    (mean,) = average(_values(group), 1).tolist()
    right = float(sum(map(Fraction, group)) / len(group))  # exact: nothing can overflow
    assert mean == pytest.approx(right, rel=1e-9, abs=1e-15 * max(group) + 1e-300)


@given(st.lists(st.lists(LEVELS, max_size=9), min_size=1, max_size=5))
def test_a_mean_does_not_depend_on_the_batch(groups: list[list[float]]) -> None:
    together = average(_values(*groups), len(groups))
    alone = [average(_values(group), 1)[0] for group in groups]
    assert together.tobytes() == np.array(alone).tobytes()


def test_a_mean_of_a_long_history_does_not_depend_on_the_batch() -> None:
    """Long enough that a parallel sum would be cut into pieces (a week has 10,080 minutes)."""
    history = np.random.default_rng(7).lognormal(5, 1, (50, 10_080))
    together = average(Values(np.repeat(np.arange(50), 10_080), history.ravel()), 50)
    alone = [average(Values(np.zeros(10_080, np.int64), one), 1)[0] for one in history]
    assert together.tobytes() == np.array(alone).tobytes()


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_share_is_correctly_rounded_in_a_batch_of_any_size(size: int) -> None:
    for part, whole in ((3, 5), (9, 15), (3, 15), (6, 20), (7, 10), (1, 3)):
        column = share(pl.Series([part] * size), pl.Series([whole] * size, dtype=pl.Int16))
        assert column.to_list() == [part / whole] * size


def test_a_share_of_nothing_is_unknown() -> None:
    assert share(pl.Series([0, 1]), pl.Series([0, 2])).to_list() == [None, 0.5]
