"""Count and average the values of many deployments at once.

Sums and divisions run in numpy, because Polars lets the size of the batch into their last bits: a
parallel group-by adds in pieces, and dividing by a column of one row multiplies by its reciprocal
(3 of 5 is then a little more than 0.6).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.types import Metric

Counts: TypeAlias = NDArray[np.int64]
Levels: TypeAlias = NDArray[np.float64]


class Values(NamedTuple):
    """The values of one metric in one window, missing ones left out.

    Attributes:
        row: Which deployment each value belongs to, shape (values,).
        value: In the metric's unit, shape (values,).
    """

    row: Counts
    value: Levels


def take(window: pl.DataFrame, metric: Metric) -> Values:
    """Return the values of `metric` in `window`, a frame of `Windows`, in its order."""
    held = window.select("row", metric.value).drop_nulls(metric.value)
    return Values(held["row"].cast(pl.Int64).to_numpy(), held[metric.value].to_numpy())


def count(row: Counts, size: int) -> Counts:
    """Return how often each of `size` deployments occurs in `row`, shape (size,)."""
    return np.bincount(row, minlength=size)


def average(values: Values, size: int) -> Levels:
    """Return the mean of each of `size` deployments, shape (size,); NaN without a value."""
    row, value = values
    n = count(row, size)
    # Averaging distances from the first value keeps a constant exactly what it is, and dividing
    # before summing keeps huge values finite.
    first = np.full(size, np.nan)
    first[row[::-1]] = value[::-1]
    distance = (value - first[row]) / n[row]
    return first + np.bincount(row, weights=distance, minlength=size)


def share(part: pl.Series, whole: pl.Series) -> pl.Series:
    """Return `part` of `whole` element by element, correctly rounded; null where whole is 0."""
    n = whole.to_numpy().astype(np.float64)
    ratio = np.divide(part.to_numpy(), n, out=np.full(n.shape, np.nan), where=n > 0)
    return pl.Series(ratio, nan_to_null=True)
