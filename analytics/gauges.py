"""Test whether traffic, latency, CPU and memory got worse by more than the service moves itself.

See docs/method.md for the formulas and for the reason of every number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import NONE, Flags
from analytics.finding import Finding
from analytics.levels import (
    CPU,
    GAUGES,
    LATENCY,
    LONG_SLOTS,
    SHAPES,
    TAIL,
    TRAFFIC,
    Span,
    find_end,
    find_floors,
    find_seconds,
    find_shifts,
    mean,
    midmean,
    shift,
    take_gauges,
    take_logs,
)
from analytics.patterns import FLAPPING
from analytics.profile import BASELINE_SLOTS, DAY, HABIT_BINS, QUANTILES, Stack
from analytics.scatter import PRIOR_WINDOWS, find_scale, find_sure, find_variance
from analytics.statistics import beta_ratio, find_share_above, t_tail
from core.types import Metric

TOLERANCE: Final = 1.1
"""What history did within a tenth of it counts as the same."""

HABIT_P: Final = 0.05
"""p of a shift that the service shows at this time of day one time in twenty by itself."""

FAR_SIGMAS: Final = 3.0
"""A minute is far off from three standard deviations of minutes on: the limits of Shewhart's
control charts."""

REST_SHARE: Final = 0.2
"""What is good for at most so much of a span at a time has not recovered."""

RECUR_P: Final = 0.05
"""p of so many minutes that are far off, given how many there were before."""

LEAST_VALUES: Final = 3
"""Values a window must have of a metric to say anything of it."""

RECENT_SLOTS: Final = 5
"""End of the baseline: what had changed by then was not changed by the deployment."""

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
        before: Gauges of the baseline, shape (4, d, b).
        after: Gauges of the post window, shape (4, d, s).
        logs: The same as logarithms.
        base: Log level of the baseline, shape (4, d); NaN where it is too thin.
        recent: Log level of its end.
        end: Log level of the end of the post window.
        floors: Least levels, shape (4, d).
        variance: Of one minute, on the scale of logarithms, shape (4, d).
        before_n: Baseline values, shape (4, d).
    """

    before: Array
    after: Array
    logs: Array
    base: Array
    recent: Array
    end: Array
    floors: Array
    variance: Array
    before_n: Array


def prepare(block: Block) -> Ground:
    """Return what the tests of all spans of `block` share."""
    before = take_gauges(block.before[..., -BASELINE_SLOTS:])
    after = take_gauges(block.after)
    floors = find_floors(block.slot_seconds)
    before_n = (~np.isnan(before)).sum(axis=-1)
    middle = midmean(before)
    base = take_logs(middle, floors)
    base[before_n < LEAST_VALUES] = np.nan
    recent = before[..., -RECENT_SLOTS:]
    recent_n = (~np.isnan(recent)).sum(axis=-1)
    recent_level = take_logs(midmean(recent), floors)
    return Ground(
        before=before,
        after=after,
        logs=take_logs(after, floors),
        base=base,
        recent=np.where(recent_n < LEAST_VALUES, base, recent_level),
        end=_find_end_level(after, floors),
        floors=floors,
        variance=find_variance(before, middle, base),
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
    shape = SHAPES.index(span.name)
    scale, freedom = find_scale(ground.variance, ground.before_n, slot_n, shape, profiles)
    expected = np.exp(ground.base + load)
    least = _least(expected, find_seconds(slot_n, block.slot_seconds), minima)
    critical = np.maximum(least, CRITICAL_SIGMAS * scale)
    each = shift((ground.base + load)[..., None], slots)
    most = (each >= least[..., None] / 2).sum(axis=-1) > persistence[0] * slot_n
    returns = _return(ground, span, each, least, slot_n)
    old = (effect >= least) & (effect - _drift(ground, freedom) < RECENT_SHARE * critical)
    p = np.maximum(t_tail(effect / scale, freedom), _precedents(block, span, effect, profiles))
    lasting = (most | returns) & (_end(ground, load) >= persistence[1] * critical)
    return Finding(
        effect=effect,
        steady=effect,
        scale=scale,
        least=least,
        critical=critical,
        sure=find_sure(freedom) * scale,
        statistic=effect / scale,
        p=np.where(np.isnan(effect), np.nan, p),
        passed=(effect >= least) & lasting & ~old,
        old=old,
        expected=expected,
        observed=expected * np.exp(SIGN * effect),
        pattern=np.where(returns & ~most, FLAPPING, NONE),
    )


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


def _drift(ground: Ground, freedom: Array) -> Array:
    """How far the level had gone by the trigger, and without history would go on to go."""
    drift: Array = np.where(freedom > PRIOR_WINDOWS, 1.0, DRIFT)
    return drift * shift(ground.base, ground.recent)


def _return(ground: Ground, span: Span, each: Array, least: Array, slot_n: Array) -> Flags:
    """Whether a gauge goes far off again and again, as it did not before: one bad instance of two.

    It is good for a short time only, and the minutes far off are more than those of the baseline
    account for. Given all of them, before and after, how many fall into the span is binomial if
    they are as frequent (as `analytics.failures` counts failures).

    Args:
        ground: What all spans share.
        span: Which slots; never of the tail, where it would rest on two of them.
        each: How much worse every slot of the span is, shape (4, d, n).
        least: Smallest shifts that matter, shape (4, d).
        slot_n: Known slots of the span, shape (4, d).
    """
    if span.name == TAIL:
        return np.zeros(least.shape, dtype=np.bool_)
    line = np.maximum(least, FAR_SIGMAS * np.sqrt(ground.variance))
    far = each >= line[..., None]
    slots = far.shape[-1]
    rest = max(int(REST_SHARE * slots), 1)
    good = np.logical_and.reduce([~far[..., i : slots - rest + i] for i in range(rest + 1)])
    returns: Flags = ~good.any(axis=-1)
    # Few come this far, so the rest is done for them alone.
    which = np.nonzero(returns)
    before = ground.before[which]
    logs = np.log(np.maximum(before, ground.floors[which][:, None]))
    logs = np.where(which[0][:, None] == LATENCY, before, logs)  # is a logarithm already
    away = SIGN[which[0]] * (logs - ground.base[which][:, None])
    earlier = (away >= line[which][:, None]).sum(axis=-1)
    later = far[which].sum(axis=-1)
    share = slot_n[which] / np.maximum(slot_n[which] + ground.before_n[which], 1)
    returns[which] = beta_ratio(np.maximum(later, 1), earlier + 1, share) <= RECUR_P
    return returns


def _precedents(block: Block, span: Span, effect: Array, profiles: Stack) -> Array:
    """Share of history that moved as much, all of it or at this time of day."""
    shape = SHAPES.index(span.name)
    similar = effect / TOLERANCE
    quantiles = np.moveaxis(profiles.take("quantiles", shape), 0, 1)
    share = find_share_above(quantiles, QUANTILES, similar)
    hour = np.floor(block.finished_seconds % DAY / DAY * HABIT_BINS).astype(np.int64)
    usual = profiles.part("habit")[profiles.place, shape, :, hour].T
    return np.where(similar <= usual, np.maximum(share, HABIT_P), share)


def _find_end_level(after: Array, floors: Array) -> Array:
    """The log level of the end of the post window."""
    slots = after.shape[-1]
    end = after[..., find_end(slots)]
    return take_logs(mean(end) if slots < LONG_SLOTS else midmean(end), floors)


def _end(ground: Ground, load: Array) -> Array:
    """How much worse the end of the window is than the baseline."""
    worse: Array = shift(ground.base + load, ground.end)
    return np.where(np.isnan(worse), -np.inf, worse)
