"""Test whether traffic, latency, CPU and memory got worse by more than the service moves itself.

See docs/method.md for the formulas and for the reason of every number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.finding import Finding
from analytics.levels import (
    CPU,
    GAUGES,
    LATENCY,
    LONG_SLOTS,
    SHAPES,
    TAIL_SLOTS,
    TRAFFIC,
    Span,
    find_floors,
    find_seconds,
    find_shifts,
    mean,
    midmean,
    shift,
    take_gauges,
    take_logs,
)
from analytics.profile import BASELINE_SLOTS, DAY, HABIT_BINS, QUANTILES, Stack
from analytics.statistics import find_share_above, t_tail
from core.types import Metric

WANDER: Final = np.array([[0.05], [0.05], [0.03], [0.01]])
"""How far levels drift in half an hour beyond what the scatter of minutes explains, as a
logarithm, by gauge: demand and what queues behind it most, work done less, a stock hardly."""

INFLATION: Final = 1.15
"""Variance of a midmean of normal values in multiples of a mean's."""

PRIOR_WINDOWS: Final = 4.0
"""What the guess of a scale is worth, in windows of history; also its degrees of freedom."""

WINDOW_SLOTS: Final = 25.0
"""Slots of history that tell as much as one independent window."""

LEAST_SCALE: Final = 0.01
"""No level is known better than to one percent."""

Q99_SIGMAS: Final = 2.3263478740408408
MAD_SIGMA: Final = 1.4826
"""Standard deviations in the 99 % quantile and in the median distance of normal values."""

TOLERANCE: Final = 1.1
"""What history did within a tenth of it counts as the same."""

HABIT_P: Final = 0.05
"""p of a shift that the service shows at this time of day one time in twenty by itself."""

ORDINARY: Final = 0.8
ODD: Final = 4.0
"""A minute counts as no further off than four times what four of five minutes do not exceed: five
standard deviations of normal values, which these hardly ever reach."""

LEAST_VALUES: Final = 3
"""Values a window must have of a metric to say anything of it."""

RECENT_SLOTS: Final = 5
"""End of the baseline: what had changed by then was not changed by the deployment."""

END_SLOTS: Final = 2
"""End of a short window: what is over by then was passing."""

SIGN: Final = np.array([[-1.0], [1.0], [1.0], [1.0]])
"""Which way a gauge goes when it gets worse."""

CRITICAL_SIGMAS: Final = 2.0
RECENT_SHARE: Final = 0.5
DRIFT: Final = 2.0
"""Without history a drift under way is drawn out straight: the post window is about as far from
the end of the baseline as that is from its middle."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """The smallest change of a metric that matters: both must be reached.

    Attributes:
        share: Of the expected level, 0..1; of the error rate in units of one (0.004: 0.4 points).
        amount: In the metric's unit; lost or failed requests in the span for traffic and errors.
    """

    share: float
    amount: float


@dataclass(frozen=True, slots=True)
class Ground:
    """What all spans of a block share; gauges come first.

    Attributes:
        after: Gauges of the post window, shape (4, d, s).
        logs: The same as logarithms.
        base: Log level of the baseline, shape (4, d); NaN where it is too thin.
        recent: Log level of its end.
        floors: Least levels, shape (4, d).
        variance: Of one minute, on the scale of logarithms, shape (4, d).
        before_n: Baseline values, shape (4, d).
    """

    after: Array
    logs: Array
    base: Array
    recent: Array
    floors: Array
    variance: Array
    before_n: Array


def prepare(block: Block) -> Ground:
    """Return what the tests of all spans of `block` share."""
    before = take_gauges(block.before[..., -BASELINE_SLOTS:])
    after = take_gauges(block.after)
    floors = find_floors(block.slot_seconds)
    before_n = (~np.isnan(before)).sum(axis=-1)
    base = take_logs(midmean(before), floors)
    base[before_n < LEAST_VALUES] = np.nan
    recent = before[..., -RECENT_SLOTS:]
    recent_n = (~np.isnan(recent)).sum(axis=-1)
    recent_level = take_logs(midmean(recent), floors)
    tame = _tame(before)
    away = mean((tame - mean(tame)[..., None]) ** 2)
    level = np.exp(base)
    level[LATENCY] = 1.0  # is a logarithm, so its scatter is relative already
    return Ground(
        after=after,
        logs=take_logs(after, floors),
        base=base,
        recent=np.where(recent_n < LEAST_VALUES, base, recent_level),
        floors=floors,
        variance=away / level**2,
        before_n=before_n,
    )


def examine(
    block: Block,
    ground: Ground,
    span: Span,
    minima: Mapping[Metric, Minimum],
    persistence: tuple[float, float],
    profiles: Stack,
) -> Finding:
    """Return the findings of the gauges of `block` in `span`.

    Args:
        block: The windows.
        ground: What `prepare` made of them.
        span: Part of the post window.
        minima: The smallest change that matters, by gauge.
        persistence: Share of the span's slots that must be bad at least, and share of the
            critical effect that must be left at the end of the window.
        profiles: Of the deployments.
    """
    effect, explained = find_shifts(ground.base, ground.after, ground.floors, span)
    load = np.zeros_like(effect)
    load[CPU] = explained
    slots = ground.logs[..., span.slots]
    slot_n = (~np.isnan(slots)).sum(axis=-1)
    effect[slot_n < LEAST_VALUES] = np.nan
    scale, freedom = _scale(ground, span, slot_n, profiles)
    expected = np.exp(ground.base + load)
    least = _least(expected, find_seconds(slot_n, block.slot_seconds), minima)
    critical = np.maximum(least, CRITICAL_SIGMAS * scale)
    each = shift((ground.base + load)[..., None], slots)
    bad_n = (each >= least[..., None] / 2).sum(axis=-1)
    drift = np.where(freedom > PRIOR_WINDOWS, 1.0, DRIFT) * shift(ground.base, ground.recent)
    old = effect - drift < RECENT_SHARE * critical
    statistic = effect / scale
    p = np.maximum(t_tail(statistic, freedom), _precedents(block, span, effect, profiles))
    lasting = (bad_n > persistence[0] * slot_n) & (_end(ground, load) >= persistence[1] * critical)
    return Finding(
        effect=effect,
        steady=effect,
        scale=scale,
        least=least,
        critical=critical,
        sure=_quantile(freedom) * scale,
        statistic=statistic,
        p=np.where(np.isnan(effect), np.nan, p),
        passed=(effect >= least) & lasting & ~old,
        old=old & (effect >= least),
        expected=expected,
        observed=expected * np.exp(SIGN * effect),
    )


def _scale(ground: Ground, span: Span, slot_n: Array, profiles: Stack) -> tuple[Array, Array]:
    """Standard deviation of a shift by chance, and the degrees of freedom it is known with.

    A guess from the scatter of the baseline's minutes, weighed against what history shows as a
    scaled inverse chi-squared prior (Gelman et al., Bayesian Data Analysis, 2.6).
    """
    n = np.maximum(ground.before_n, 1), np.maximum(slot_n, 1)
    guess = INFLATION * ground.variance * (1 / n[0] + 1 / n[1]) + WANDER**2
    shape = SHAPES.index(span.name)
    quantiles = profiles.take("quantiles", shape)
    wide = (quantiles[..., QUANTILES.index(0.99)] - quantiles[..., 0]) / Q99_SIGMAS
    seen = np.maximum(wide, MAD_SIGMA * profiles.take("spread", shape)).T
    windows = np.where(np.isnan(seen), 0.0, profiles.take("slots", 0) / WINDOW_SLOTS)
    told = np.where(np.isnan(seen), 0.0, seen) ** 2
    variance = (windows * told + PRIOR_WINDOWS * guess) / (windows + PRIOR_WINDOWS)
    return np.maximum(np.sqrt(variance), LEAST_SCALE), windows + PRIOR_WINDOWS


def _quantile(freedom: Array) -> Array:
    """The 99 % quantile of Student's t, to three digits from 4 degrees of freedom up.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = Q99_SIGMAS
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4


def _tame(before: Array) -> Array:
    """Minutes with those that are far off moved nearer to the middle.

    The level does not follow one odd minute, so how well it is known must not either: a reading
    of nonsense would make the test blind to an outage.
    """
    middle = midmean(before)[..., None]
    away = np.abs(before - middle)
    n = (~np.isnan(away)).sum(axis=-1)
    ordinary = np.floor(ORDINARY * np.maximum(n - 1, 0)).astype(np.int64)[..., None]
    limit = ODD * np.take_along_axis(np.sort(away, axis=-1), ordinary, axis=-1)
    tame: Array = np.clip(before, middle - limit, middle + limit)
    return tame


def _least(expected: Array, seconds: Array, minima: Mapping[Metric, Minimum]) -> Array:
    """The smallest shift that matters."""
    least = np.empty_like(expected)
    for gauge, metric in enumerate(GAUGES):
        share, amount = minima[metric].share, minima[metric].amount
        if gauge == TRAFFIC:
            lost = np.minimum(amount / (expected[gauge] * seconds[gauge]), 1.0)
            least[gauge] = -np.log1p(-np.maximum(lost, share))
        else:
            least[gauge] = np.log1p(np.maximum(amount / expected[gauge], share))
    return least


def _precedents(block: Block, span: Span, effect: Array, profiles: Stack) -> Array:
    """Share of history that moved as much, all of it or at this time of day."""
    shape = SHAPES.index(span.name)
    similar = effect / TOLERANCE
    quantiles = np.moveaxis(profiles.take("quantiles", shape), 0, 1)
    share = find_share_above(quantiles, QUANTILES, similar)
    hour = np.floor(block.finished_seconds % DAY / DAY * HABIT_BINS).astype(np.int64)
    usual = profiles.part("habit")[profiles.place, shape, :, hour].T
    return np.where(similar <= usual, np.maximum(share, HABIT_P), share)


def _end(ground: Ground, load: Array) -> Array:
    """How much worse the end of the window is than the baseline."""
    slots = ground.after.shape[-1]
    if slots < LONG_SLOTS:
        level = mean(ground.after[..., -END_SLOTS:])
    else:
        level = midmean(ground.after[..., -TAIL_SLOTS:])
    worse: Array = shift(ground.base + load, take_logs(level, ground.floors))
    return np.where(np.isnan(worse), -np.inf, worse)
