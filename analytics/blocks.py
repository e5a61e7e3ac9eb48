"""Lay the windows of many deployments out as arrays.

The only thing a window's place in an array depends on is its own deployment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.types import METRICS, Metric

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

SHORTEST_BASELINE: Final = 32
"""Least width of a block's baseline: wide enough for 30 one-minute slots."""

NEVER: Final = int(np.iinfo(np.int64).min)
"""A moment, in microseconds, that stands for none: what arrays of moments use."""

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


class Slots(NamedTuple):
    """Cleaned samples of one window each, one per slot, sorted by deployment and slot.

    Attributes:
        row: Which deployment, shape (n,).
        place: Which slot: its sequence index, or for a baseline any number that grows with time.
        extra: Age in seconds for a baseline, the source's clock for a post window; shape (n,).
        values: The five metrics, shape (5, n).
    """

    row: Rows
    place: Rows
    extra: Array
    values: Array


class Readings(NamedTuple):
    """Samples of many deployments as columns, in any order; moments in microseconds since 1970.

    Attributes:
        row: Which deployment, shape (n,).
        phase: Position in `analytics.windows.PHASES`, shape (n,).
        slot_us: Planned moment, shape (n,).
        sequence_index: Planned position in the post window, -1 for none, shape (n,).
        source_us: What the target's clock said, `NEVER` for nothing, shape (n,).
        values: The five metrics, NaN for none, shape (5, n).
    """

    row: Rows
    phase: Rows
    slot_us: Rows
    sequence_index: Rows
    source_us: Rows
    values: Array

    def pick(self, chosen: NDArray[np.bool_]) -> Readings:
        """Return some of them."""
        if chosen.all():
            return self
        return Readings._make(each[..., chosen] for each in self)


def count_microseconds(moments: pl.Series) -> Rows:
    """Return moments, without empty ones, as microseconds since 1970."""
    # For a lone deployment an expression would cost more than all the arithmetic.
    return moments.to_numpy().astype(np.int64)


def clean(values: Array) -> Array:
    """Return the five metrics, shape (5, n), with NaN for what is impossible."""
    # Zero by name: -0.0 and 0.0 must not differ by which of two equal rows came first.
    possible = np.where((values > 0) & (values < np.inf), values, np.nan)
    possible[values == 0] = 0.0
    # Without requests there is neither a latency nor an error rate; the SDK reports 0 for both.
    idle = possible[METRICS.index(Metric.REQUESTS_PER_SEC)] == 0
    for metric in (Metric.LATENCY_P95, Metric.ERROR_RATE):
        possible[METRICS.index(metric), idle] = np.nan
    return possible


def merge(row: Rows, place: Rows, extra: NDArray[np.generic], values: Array) -> Slots:
    """Sort samples into slots; of several readings of one the worst of each metric counts."""
    number = np.asarray(extra, dtype=np.float64)
    if not _is_sorted(row, place):
        order = np.lexsort((place, row))
        row, place, number, values = row[order], place[order], number[order], values[:, order]
    first = np.ones(row.size, dtype=np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (place[1:] != place[:-1])
    if first.all():
        return Slots(row, place, number, values)
    # Least and greatest come out the same in any order, and a worse reading never hides.
    starts = np.flatnonzero(first)
    worst = np.fmax.reduceat(values, starts, axis=1)
    traffic = METRICS.index(Metric.REQUESTS_PER_SEC)
    worst[traffic] = np.fmin.reduceat(values[traffic], starts)
    return Slots(row[first], place[first], np.fmax.reduceat(number, starts), worst)


def _is_sorted(row: Rows, place: Rows) -> bool:
    rises = (row[1:] > row[:-1]) | ((row[1:] == row[:-1]) & (place[1:] >= place[:-1]))
    return bool(rises.all())


def lay_out(deployments: pl.DataFrame, before: Slots, after: Slots) -> Iterator[Block]:
    """Sort the deployments by the shape of their windows and lay their values out."""
    width = _width(deployments["baseline_n"].to_numpy())
    slots = deployments["post_slots"].cast(pl.Int64).to_numpy()
    shapes = np.stack([width, slots], axis=1)
    # Places of a baseline from the end: the last sample of a deployment has place -1.
    ends = np.cumsum(np.bincount(before.row))[before.row]
    aligned = before._replace(place=np.arange(before.row.size) - ends)
    # At least one block, if only an empty one: then nobody has to ask whether there is any.
    for b, s in np.unique(shapes, axis=0) if shapes.size else [(SHORTEST_BASELINE, 1)]:
        alike = np.flatnonzero((width == b) & (slots == s))
        for start in range(0, max(alike.size, 1), BLOCK_HEIGHT):
            rows = alike[start : start + BLOCK_HEIGHT]
            yield _block(deployments, rows, aligned, after, (int(b), int(s)))


def _width(n: Rows) -> Rows:
    """The next power of two, at least `SHORTEST_BASELINE`."""
    bits = np.ceil(np.log2(np.maximum(n, SHORTEST_BASELINE))).astype(np.int64)
    return np.left_shift(1, bits)


def _place(slots: Slots, rows: Rows, width: int) -> tuple[Array, Array]:
    """Return the metrics of `rows`, shape (5, rows, width), and the extra column, (rows, width)."""
    start, end = np.searchsorted(slots.row, rows), np.searchsorted(slots.row, rows, side="right")
    n = end - start
    target = np.repeat(np.arange(rows.size), n)
    take = np.arange(n.sum()) + np.repeat(start - (np.cumsum(n) - n), n)
    # One index into a flat layer: three would cost twice as much. A place may be from the end.
    flat = target * width + slots.place[take] % width
    laid = np.full((len(METRICS) + 1, rows.size * width), np.nan)
    for layer, column in zip(laid, (*slots.values, slots.extra), strict=True):
        layer[flat] = column[take]
    layers = laid.reshape(len(METRICS) + 1, rows.size, width)
    return layers[:-1], layers[-1]


def _block(
    deployments: pl.DataFrame,
    rows: Rows,
    early: Slots,
    late: Slots,
    shape: tuple[int, int],
) -> Block:
    before, age_seconds = _place(early, rows, shape[0])
    after, source_seconds = _place(late, rows, shape[1])
    finished = count_microseconds(deployments["finished_at"]) / 1e6
    return Block(
        rows=rows,
        before=before,
        age_seconds=age_seconds,
        after=after,
        source_seconds=source_seconds,
        slot_seconds=deployments["slot_seconds"].to_numpy()[rows],
        finished_seconds=finished[rows],
        continuous=(deployments["baseline_source"] == "baseline").to_numpy()[rows],
    )
