"""The level of a window, and the shift from one window to another.

Gauges are the metrics that have a level: traffic, latency, CPU, memory. (Errors are counted, see
`analytics.failures`.) All shifts are differences of logarithms, positive where it got worse, so
that a shift of ln 1.5 is half as much latency again or a third of the traffic gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Rows
from core.types import Metric

ORDER: Final = tuple(Metric)
GAUGES: Final = (
    Metric.REQUESTS_PER_SEC,
    Metric.LATENCY_P95,
    Metric.CPU_USAGE,
    Metric.MEMORY_USAGE,
)
PLACES: Final = tuple(ORDER.index(metric) for metric in GAUGES)
TRAFFIC, LATENCY, CPU, MEMORY = range(4)

TRIM: Final = 0.25
"""Share cut off at both ends of a window: what is left is its midmean, which one bad minute of
five cannot move and which wastes less than the median."""

SETTLE_SLOTS: Final = 2
"""Slots after finish in which a cold start is nobody's fault."""

LONG_SLOTS: Final = 10
"""From here on a post window is long enough to be looked at as a whole and at its end."""

TAIL_SLOTS: Final = 5

END_SLOTS: Final = 2
"""End of a short window; that of a long one is its tail."""

LOAD_ELASTICITY: Final = 0.85
"""CPU grows with the traffic to this power: nearly in proportion, less an idle share."""

LOAD_LIMIT: Final = float(np.log(4))
"""Growth of traffic beyond fourfold (a logarithm) excuses no more CPU."""

HUGE: Final = 1e12
"""Nothing measures more than this; it keeps sums and ratios finite."""

FLOORS: Final = (0.5, 1e-2, 1e-4, 1e-4)
"""Least level of a gauge: half a request in a reading, 0.01 ms, 0.01 % of CPU and memory."""

READING_SECONDS: Final = 60.0
"""A reading tells of the last minute (the SDK's window), however short the slots are."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the post window that is judged as one.

    Attributes:
        name: `short`, `full` or `tail`.
        slots: Its slots.
        settled: Those of its slots in which no cold start is left.
        weight: Share of the false alarms a metric may raise that this span may spend.
    """

    name: str
    slots: slice
    settled: slice
    weight: float


TAIL: Final = "tail"
SHAPES: Final = ("short", "full", TAIL)
"""Names of the spans, in the order of a profile."""


def find_spans(post_slots: int) -> tuple[Span, ...]:
    """Return the spans of a post window of `post_slots` slots."""
    if post_slots < LONG_SLOTS:
        settled = slice(max(min(SETTLE_SLOTS, post_slots - 3), 0), post_slots)
        return (Span("short", slice(0, post_slots), settled, 1.0),)
    full = slice(SETTLE_SLOTS, post_slots)
    tail = slice(post_slots - TAIL_SLOTS, post_slots)
    # The tail is for what begins late; what was there all along shows better in the whole.
    return Span("full", full, full, 0.8), Span(TAIL, tail, tail, 0.2)


def find_end(post_slots: int) -> slice:
    """Return the end of a post window of `post_slots` slots: what is over by then was passing."""
    return slice(-TAIL_SLOTS if post_slots >= LONG_SLOTS else -END_SLOTS, None)


def take_gauges(values: Array) -> Array:
    """Return the gauges of `values`, shape (4, d, n) from (5, d, n); latency as a logarithm."""
    gauges = np.minimum(values[list(PLACES)], HUGE)
    gauges[LATENCY] = np.log(np.maximum(gauges[LATENCY], FLOORS[LATENCY]))
    return gauges


def find_floors(slot_seconds: Array) -> Array:
    """Return the least levels of the gauges, shape (4, d)."""
    floors = np.empty((4, slot_seconds.size))
    for place, floor in enumerate(FLOORS):
        floors[place] = floor
    floors[TRAFFIC] = FLOORS[TRAFFIC] / np.maximum(slot_seconds, READING_SECONDS)
    return floors


def find_seconds(slots: Rows, slot_seconds: Array) -> Array:
    """Return of how many seconds so many slots in a row tell; overlapping ones count once."""
    overlap = np.maximum(READING_SECONDS - slot_seconds, 0.0)
    seconds: Array = slots * slot_seconds + np.where(slots > 0, overlap, 0.0)
    return seconds


def take_logs(gauges: Array, floors: Array) -> Array:
    """Return gauges (4, d) or (4, d, n) as logarithms; latency is one already."""
    low = floors if gauges.ndim == floors.ndim else floors[..., None]
    logs = np.log(np.maximum(gauges, low))
    logs[LATENCY] = gauges[LATENCY]
    return logs


def midmean(values: Array) -> Array:
    """Return the mean of the middle half over the last axis; NaN without a value."""
    ordered = np.sort(values, axis=-1)  # missing values come last
    n = (~np.isnan(values)).sum(axis=-1)
    cut = np.floor(TRIM * n).astype(np.int64)
    place = np.arange(values.shape[-1])
    middle = (place >= cut[..., None]) & (place < (n - cut)[..., None])
    total = np.where(middle, ordered, 0.0).sum(axis=-1)
    return np.where(n > 0, total / np.maximum(n - 2 * cut, 1), np.nan)


def mean(values: Array) -> Array:
    """Return the mean over the last axis; NaN without a value."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def shift(before: Array, after: Array) -> Array:
    """Return how much worse the log levels `after` are than `before`, gauges first."""
    worse = after - before
    worse[TRAFFIC] = -worse[TRAFFIC]
    return worse


def find_shifts(base: Array, after: Array, floors: Array, span: Span) -> tuple[Array, Array]:
    """Return the shift of every gauge in `span`, and how much CPU the traffic explains there.

    The level of a short span is the milder one of all its slots and the settled ones: the midmean
    of five shrugs off one bad minute wherever it is, the settled slots know no cold start.

    Args:
        base: Log levels of the baseline, shape (4, d).
        after: Gauges of the post window, shape (4, d, s).
        floors: Least levels, shape (4, d).
        span: Which slots.

    Returns:
        Shifts, shape (4, d), that of CPU beyond what the traffic explains; and by how much the
        traffic explains more CPU, as a logarithm from 0 up, shape (d,).
    """
    worse = shift(base, take_logs(midmean(after[..., span.slots]), floors))
    if span.settled != span.slots:
        settled = shift(base, take_logs(mean(after[..., span.settled]), floors))
        worse = np.minimum(worse, settled)
    growth = np.clip(np.where(np.isnan(worse[TRAFFIC]), 0.0, -worse[TRAFFIC]), 0.0, LOAD_LIMIT)
    # No more than all of it is ever expected.
    load = np.clip(LOAD_ELASTICITY * growth, 0.0, np.maximum(-base[CPU], 0.0))
    worse[CPU] -= load
    return worse, load
