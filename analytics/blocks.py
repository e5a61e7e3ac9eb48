"""Lay the windows of many deployments out as arrays.

The only thing a window's place in an array depends on is its own deployment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.types import METRICS, Metric

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

SHORTEST_BASELINE: Final = 32
"""Least width of a block's baseline: wide enough for 30 one-minute slots."""

BLOCK_HEIGHT: Final = 2048
"""Most deployments in a block: few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Windows of deployments that have the same shape.

    The shape of a window depends on its own deployment alone, hence so does the order in which
    its values are added up, hence so does the last bit of what is said of it.

    Attributes:
        rows: Positions of the deployments in `Windows.deployments`, shape (d,).
        before: Baseline window, oldest first, ending in the last column, shape (5, d, b), in the
            metrics' units and order; NaN is missing.
        age_seconds: From a baseline sample to the trigger, shape (d, b); NaN where there is none.
        after: Post window by `sequence_index`, shape (5, d, s); NaN is missing.
        source_seconds: What the target's clock said, from finish, shape (d, s); NaN if nothing.
        slot_seconds: Length of a slot, shape (d,).
        finished_seconds: Moment of finish since 1970, shape (d,).
        continuous: Whether the baseline is of continuous samples, shape (d,).
    """

    rows: Rows
    before: Array
    age_seconds: Array
    after: Array
    source_seconds: Array
    slot_seconds: Array
    finished_seconds: Array
    continuous: NDArray[np.bool_]


def clean_values(samples: pl.DataFrame) -> pl.DataFrame:
    """Make impossible values of the five metrics null and drop rows that have nothing left."""
    value = pl.col(*METRICS)
    # Zero by name: -0.0 and 0.0 must not differ by which of two equal rows came first.
    possible = pl.when(value == 0).then(0.0).when((value > 0) & value.is_finite()).then(value)
    # Without requests there is neither a latency nor an error rate; the SDK reports 0 for both.
    served = pl.when(pl.col(Metric.REQUESTS_PER_SEC).ne_missing(0.0)).then(
        pl.col(Metric.LATENCY_P95, Metric.ERROR_RATE)
    )
    return (
        samples.with_columns(possible.name.keep())
        .with_columns(served.name.keep())
        .filter(pl.any_horizontal(value.is_not_null()))
    )


def lay_out(
    deployments: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame
) -> Iterator[Block]:
    """Sort the deployments by the shape of their windows and lay their values out."""
    width = _width(deployments["baseline_n"].to_numpy())
    slots = deployments["post_slots"].cast(pl.Int64).to_numpy()
    shapes = np.stack([width, slots], axis=1)
    early, late = _Columns.of(before, "age_seconds"), _Columns.of(after, "source_seconds")
    # At least one block, if only an empty one: then nobody has to ask whether there is any.
    for b, s in np.unique(shapes, axis=0) if shapes.size else [(SHORTEST_BASELINE, 1)]:
        alike = np.flatnonzero((width == b) & (slots == s))
        for start in range(0, max(alike.size, 1), BLOCK_HEIGHT):
            rows = alike[start : start + BLOCK_HEIGHT]
            yield _block(deployments, rows, early, late, (int(b), int(s)))


def _width(n: Rows) -> Rows:
    """The next power of two, at least `SHORTEST_BASELINE`."""
    bits = np.ceil(np.log2(np.maximum(n, SHORTEST_BASELINE))).astype(np.int64)
    return np.left_shift(1, bits)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a sorted frame as arrays: row, place, one extra column, the five metrics."""

    row: Rows
    place: Rows
    extra: Array
    values: tuple[Array, ...]

    @classmethod
    def of(cls, frame: pl.DataFrame, extra: str) -> _Columns:
        row = frame["row"].cast(pl.Int64).to_numpy()
        if "sequence_index" in frame.columns and extra == "source_seconds":
            place = frame["sequence_index"].cast(pl.Int64).to_numpy()
        else:
            # Places from the end: the last sample of a deployment has place -1.
            ends = np.searchsorted(row, row, side="right")
            place = np.arange(row.size) - ends
        values = (extra, *METRICS)
        arrays = [frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in values]
        return cls(row, place, arrays[0], tuple(arrays[1:]))

    def place_in(self, rows: Rows, width: int) -> tuple[Array, Array]:
        """Return the metrics, shape (5, rows, width), and the extra column, (rows, width)."""
        spans = np.searchsorted(self.row, rows), np.searchsorted(self.row, rows, side="right")
        n = spans[1] - spans[0]
        target = np.repeat(np.arange(rows.size), n)
        take = np.arange(n.sum()) + np.repeat(spans[0] - (np.cumsum(n) - n), n)
        laid = np.full((len(self.values) + 1, rows.size, width), np.nan)
        for layer, column in enumerate((*self.values, self.extra)):
            laid[layer, target, self.place[take]] = column[take]
        return laid[:-1], laid[-1]


def _block(
    deployments: pl.DataFrame,
    rows: Rows,
    early: _Columns,
    late: _Columns,
    shape: tuple[int, int],
) -> Block:
    before, age_seconds = early.place_in(rows, shape[0])
    after, source_seconds = late.place_in(rows, shape[1])
    finished = deployments["finished_at"].dt.timestamp("us") / 1e6
    return Block(
        rows=rows,
        before=before,
        age_seconds=age_seconds,
        after=after,
        source_seconds=source_seconds,
        slot_seconds=deployments["slot_seconds"].to_numpy()[rows],
        finished_seconds=finished.to_numpy()[rows],
        continuous=(deployments["baseline_source"] == "baseline").to_numpy()[rows],
    )
