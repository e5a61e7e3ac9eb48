"""What a service's own history says of how much it moves by itself.

A profile is a value: made once from the continuous samples of a service, stored, and handed to
every judgement of its deployments. Live and replayed verdicts use the same profile.

It holds the null distribution: the shifts (see `analytics.levels`) between windows in the history
that stand to each other as baseline and post window do, as quantiles; and the failures counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

from analytics.blocks import Array, Rows, clean, merge
from analytics.counts import count_failures, find_dispersion, sum_last, sum_windows
from analytics.levels import (
    GAUGES,
    SHAPES,
    find_floors,
    find_shifts,
    find_spans,
    midmean,
    take_gauges,
    take_logs,
)
from core.errors import InvalidInputError
from core.types import METRICS, Metric

VERSION: Final = 2.0
"""Raised whenever a number of a profile means or is made otherwise than before: a profile of
another version counts as none. 2: outages weigh less in all that is said of failures."""

BASELINE_SLOTS: Final = 30
GAP_SLOTS: Final = 3
"""Slots between the windows: how long a roll-out takes."""

SHORT_SLOTS, LONG_SLOTS = 5, 15
"""Post windows of which the null distribution is kept; others use that of their kind."""

HISTORY_SECONDS: Final = 7 * 86_400
LEAST_WINDOWS: Final = 60
"""Fewer pairs of windows than an hour of them say nothing."""

MOST_WINDOWS: Final = 2_000
"""Pairs looked at; longer histories are looked at less closely, not less far."""

QUANTILES: Final = (
    0.5, 0.75, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999, 1.0,
)  # fmt: skip
"""Levels at which the null distribution is kept; close together where verdicts fall."""

HABIT_DAYS: Final = 3
"""Days of history from which a service can have a habit at a time of day."""

HABIT_BINS: Final = 48
HABIT_QUANTILE: Final = 0.95

DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """The profile of one service.

    Attributes:
        until: End of the history it was made of.
        slot_seconds: Grid of that history.
        values: The numbers, shape (n,), as `LAYOUT` says.
    """

    until: datetime
    slot_seconds: float
    values: Array


LAYOUT: Final[Mapping[str, tuple[int, ...]]] = {
    "slots": (1,),  # slots with a sample
    "quantiles": (len(SHAPES), len(GAUGES), len(QUANTILES)),  # of the shifts
    "spread": (len(SHAPES), len(GAUGES)),  # their median distance from their median
    "habit": (len(SHAPES), len(GAUGES), HABIT_BINS),  # their upper end by time of day
    "requests": (1,),  # of the last day
    "failures": (1,),  # of the last day, those of an outage cut to what is ordinary
    "failure_quantiles": (len(SHAPES), len(QUANTILES)),  # of the rise of a window's error rate
    "dispersion": (len(SHAPES),),  # variance of failures in a window, in multiples of chance
}
"""Name and shape of what is in a profile, in order; NaN where the history is too short."""

ENDS: Final = np.cumsum([np.prod(shape) for shape in LAYOUT.values()]).tolist()
PLACES: Final = {
    name: slice(end - int(np.prod(shape)), end)
    for (name, shape), end in zip(LAYOUT.items(), ENDS, strict=True)
}
SIZE: Final[int] = ENDS[-1]


@dataclass(frozen=True, slots=True)
class Stack:
    """Profiles of a block's deployments.

    Attributes:
        values: The distinct profiles, shape (p, n); the last one says nothing.
        place: Which of them each deployment has, shape (d,).
    """

    values: Array
    place: Rows

    def part(self, name: str) -> Array:
        """Return a part of the distinct profiles by its name in `LAYOUT`, shape (p, ...)."""
        return self.values[:, PLACES[name]].reshape(-1, *LAYOUT[name])

    def take(self, name: str, number: int) -> Array:
        """Return entry `number` of a part for every deployment, shape (d, ...)."""
        return np.ascontiguousarray(self.part(name)[:, number])[self.place]


def build_profile(
    history: pl.DataFrame, until: datetime, slot_seconds: float = 60.0
) -> ServiceProfile | None:
    """Return the profile of a service, or None if there is too little history.

    Args:
        history: slot_at and the five metrics of continuous samples, in any order; rows outside
            the seven days before `until` are ignored.
        until: End of the history.
        slot_seconds: Seconds between its samples.

    Raises:
        InvalidInputError: A column is missing.
    """
    for name in ("slot_at", *METRICS):
        if name not in history.columns:
            raise InvalidInputError(f"history: column {name} is missing")
    with np.errstate(all="ignore"):
        grid = _grid(history, until, slot_seconds)
        if grid is None:
            return None
        values = _null_shifts(grid, until, slot_seconds) | _null_failures(grid, slot_seconds)
    known = (~np.isnan(grid)).any(axis=0).sum()
    parts = values | {"slots": np.array([float(known)])}
    flat = np.concatenate([parts[name].reshape(-1) for name in LAYOUT])
    return ServiceProfile(until, slot_seconds, flat)


def _grid(history: pl.DataFrame, until: datetime, slot_seconds: float) -> Array | None:
    """The metrics slot by slot, the last slot before `until` last, shape (5, slots)."""
    age = (pl.lit(until) - pl.col("slot_at")).dt.total_microseconds() / 1e6
    rows = history.select("slot_at", *METRICS).with_columns(age=age)
    rows = rows.filter(pl.col("age") > 0, pl.col("age") <= HISTORY_SECONDS)
    back = np.ceil(rows["age"].to_numpy() / slot_seconds).astype(np.int64)
    if back.size == 0 or back.max() < BASELINE_SLOTS + GAP_SLOTS + SHORT_SLOTS:
        return None
    values = clean(np.stack([rows[name].fill_null(np.nan).to_numpy() for name in METRICS]))
    slots = merge(np.zeros_like(back), -back, back, values)
    grid = np.full((len(METRICS), int(back.max())), np.nan)
    grid[:, slots.place] = slots.values
    return grid


def _null_shifts(grid: Array, until: datetime, slot_seconds: float) -> dict[str, Array]:
    quantiles = np.full(LAYOUT["quantiles"], np.nan)
    spread = np.full(LAYOUT["spread"], np.nan)
    habit = np.full(LAYOUT["habit"], np.nan)
    for post_slots in (SHORT_SLOTS, LONG_SLOTS):
        width = BASELINE_SLOTS + GAP_SLOTS + post_slots
        ends, windows = _slide(grid, width)
        if ends.size < 1:
            continue
        gauges = take_gauges(windows)
        floors = find_floors(np.full(ends.size, slot_seconds))
        base = take_logs(midmean(gauges[..., :BASELINE_SLOTS]), floors)
        after = np.ascontiguousarray(gauges[..., -post_slots:])
        finish = until.timestamp() + slot_seconds * (ends - grid.shape[1] - post_slots)
        for span in find_spans(post_slots):
            shape = SHAPES.index(span.name)
            shifts, _ = find_shifts(base, after, floors, span)
            for gauge, moved in enumerate(shifts):
                known = ~np.isnan(moved)
                if known.sum() * _stride(grid, width) < LEAST_WINDOWS:
                    continue
                quantiles[shape, gauge] = np.quantile(moved[known], QUANTILES)
                middle = quantiles[shape, gauge, 0]
                spread[shape, gauge] = np.median(np.abs(moved[known] - middle))
                habit[shape, gauge] = _habit(moved[known], finish[known])
    return {"quantiles": quantiles, "spread": spread, "habit": habit}


def _stride(grid: Array, width: int) -> int:
    return max(1, -(-(int(grid.shape[1]) - width + 1) // MOST_WINDOWS))


def _slide(grid: Array, width: int) -> tuple[Rows, Array]:
    """All windows of `width` slots but for the stride: their ends and their values."""
    if grid.shape[1] < width:
        return np.empty(0, dtype=np.int64), np.empty((len(METRICS), 0, width))
    every = sliding_window_view(grid, width, axis=1)
    chosen = np.arange(every.shape[1] - 1, -1, -_stride(grid, width))[::-1]
    return chosen + width, np.ascontiguousarray(every[:, chosen])


def _habit(moved: Array, finish: Array) -> Array:
    """What the service does by itself at every half hour of the day, give or take half an hour."""
    habit = np.full(HABIT_BINS, np.nan)
    if np.ptp(finish) < (HABIT_DAYS - 1) * DAY:
        return habit
    bins = np.floor(finish % DAY / DAY * HABIT_BINS).astype(np.int64)
    order = np.argsort(bins, kind="stable")
    parts = np.split(moved[order], np.searchsorted(bins[order], np.arange(1, HABIT_BINS)))
    for number in range(HABIT_BINS):
        near = np.concatenate([parts[(number + step) % HABIT_BINS] for step in (-1, 0, 1)])
        if near.size:
            habit[number] = np.sort(near)[int(HABIT_QUANTILE * (near.size - 1))]
    return habit


def _null_failures(grid: Array, slot_seconds: float) -> dict[str, Array]:
    requests, failures = count_failures(
        grid[METRICS.index(Metric.REQUESTS_PER_SEC)],
        grid[METRICS.index(Metric.ERROR_RATE)],
        np.array(slot_seconds),
    )
    quantiles = np.full(LAYOUT["failure_quantiles"], np.nan)
    dispersion = np.full(LAYOUT["dispersion"], np.nan)
    for post_slots in (SHORT_SLOTS, LONG_SLOTS):
        for span in find_spans(post_slots):
            width = len(range(post_slots)[span.slots])
            n = sum_windows(requests, width)
            x = sum_windows(failures, width)
            if (n > 0).sum() < LEAST_WINDOWS:
                continue
            shape = SHAPES.index(span.name)
            quantiles[shape] = _rises(requests, failures, width)
            dispersion[shape] = find_dispersion(n[n > 0], x[n > 0])
    day = max(int(DAY / slot_seconds) // LONG_SLOTS, 1)
    last_requests, last_failures = sum_last(requests, failures, LONG_SLOTS, day)
    return {
        "requests": np.array([last_requests]),
        "failures": np.array([last_failures]),
        "failure_quantiles": quantiles,
        "dispersion": dispersion,
    }


def _rises(requests: Array, failures: Array, width: int) -> Array:
    """Quantiles of how much more of a window's requests failed than of those before it.

    Not of the rates themselves: a long outage began once, however many windows it filled.
    """
    lead = BASELINE_SLOTS + GAP_SLOTS
    n, x = sum_windows(requests, width)[lead:], sum_windows(failures, width)[lead:]
    base_n = sum_windows(requests, BASELINE_SLOTS)[: n.size]
    base_x = sum_windows(failures, BASELINE_SLOTS)[: n.size]
    known = (n > 0) & (base_n > 0)
    if known.sum() < LEAST_WINDOWS:
        return np.full(len(QUANTILES), np.nan)
    rises: Array = x[known] / n[known] - base_x[known] / base_n[known]
    return np.quantile(np.maximum(rises, 0.0), QUANTILES)


def pack(profile: ServiceProfile) -> bytes:
    """Return `profile` as bytes for a table."""
    head = [VERSION, profile.until.timestamp(), profile.slot_seconds]
    return np.concatenate([head, profile.values]).astype("<f8").tobytes()


def unpack(packed: bytes) -> ServiceProfile:
    """Return the profile that was packed, bit for bit.

    Raises:
        InvalidInputError: Another version packed it, or nobody did.
    """
    if len(packed) != 8 * (SIZE + 3):
        raise InvalidInputError("profile: made by another version")
    numbers = np.frombuffer(packed, dtype="<f8").astype(np.float64)
    if numbers[0] != VERSION:
        raise InvalidInputError("profile: made by another version")
    until = datetime.fromtimestamp(0, UTC) + timedelta(seconds=float(numbers[1]))
    return ServiceProfile(until, float(numbers[2]), numbers[3:])


def stack(profiles: Mapping[str, ServiceProfile], deployment_ids: Sequence[str]) -> Stack:
    """Return the profiles of `deployment_ids`, each distinct one once."""
    found = [profiles.get(each) for each in deployment_ids]
    distinct = {id(profile): profile for profile in found if profile is not None}
    number = {key: place for place, key in enumerate(distinct)}
    nothing = np.full(SIZE, np.nan)
    return Stack(
        values=np.stack([*(profile.values for profile in distinct.values()), nothing]),
        place=np.array(
            [len(number) if profile is None else number[id(profile)] for profile in found],
            dtype=np.int64,
        ),
    )
