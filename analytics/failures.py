"""Test whether more requests fail, by counting them.

Few requests make few failures, and a rate hides how few: so counts are compared, not rates. See
docs/method.md for the formulas and for the reason of every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import NONE, Flags
from analytics.counts import count_failures
from analytics.finding import Finding
from analytics.gauges import (
    CRITICAL_SIGMAS,
    LEAST_VALUES,
    RECENT_SLOTS,
    TOLERANCE,
    Minimum,
)
from analytics.levels import LONG_SLOTS, ORDER, SHAPES, Span, find_end, find_seconds
from analytics.patterns import TRANSIENT
from analytics.profile import BASELINE_SLOTS, QUANTILES, Stack
from analytics.scatter import Q99_SIGMAS
from analytics.statistics import beta_ratio, find_share_above
from core.types import Metric

TRAFFIC: Final = ORDER.index(Metric.REQUESTS_PER_SEC)
ERRORS: Final = ORDER.index(Metric.ERROR_RATE)

HISTORY_WEIGHT: Final = 4.0
"""The last day's requests count for at most four times the baseline's: what is recent matters
more, what is more is surer."""

LEAST_RATIO: Final = 2.0
"""An error rate has risen if it has doubled; it varies too much by itself for less."""

LEAST_RATIO_WITHOUT_WORST: Final = 1.8
SURE: Final = 0.05
LIKELY: Final = 0.1
"""p of the settled slots alone, and of all slots but the worst: what a blip leaves is chance."""

MOST_RISE: Final = 0.1
"""Where many requests fail anyway, one more of ten is a rise: half of them cannot double."""

RECENT_BAD_SLOTS: Final = 3
"""Of the last minutes of the baseline that must be bad for an older trouble."""

OVER_SLOTS: Final = 7
"""Slots without failures that end a trouble in a long window; in a short one none are enough."""

LIMIT_SIGMAS: Final = 1.6448536269514722
"""Of a limit that is above the true rate in 95 of 100 cases."""

HALF_FAILURE: Final = 0.5
LEAST_BAD_SLOTS: Final = 2

ALL, REST, SETTLED = range(3)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all spans of a block share.

    Attributes:
        requests: Per post slot, shape (d, s).
        failures: Failed ones among them, shape (d, s).
        before_n: Baseline slots with a rate, shape (d,).
        recent: Requests and failures of the end of the baseline, shape (2, d, `RECENT_SLOTS`).
        base_requests: Requests the usual rate was learned from, shape (d,).
        base_failures: Failed ones among them, shape (d,).
        dispersion: Variance of the baseline's minutes in multiples of chance, shape (d,).
    """

    requests: Array
    failures: Array
    before_n: Array
    recent: Array
    base_requests: Array
    base_failures: Array
    dispersion: Array


def prepare(block: Block, profiles: Stack) -> Ground:
    """Return what the tests of all spans of `block` share."""
    before = block.before[..., -BASELINE_SLOTS:]
    requests, failures = count(before, block.slot_seconds)
    base_requests, base_failures = requests.sum(axis=-1), failures.sum(axis=-1)
    rate = base_failures / np.maximum(base_requests, 1.0)
    usual = requests * rate[:, None]
    off = np.where(usual > 0, (failures - usual) ** 2 / np.where(usual > 0, usual, 1.0), 0.0)
    slots = (requests > 0).sum(axis=-1)
    day_requests, day_failures = profiles.take("requests", 0), profiles.take("failures", 0)
    weight = np.minimum(1.0, HISTORY_WEIGHT * base_requests / np.maximum(day_requests, 1.0))
    weight = np.where(np.isnan(day_requests), 0.0, weight)
    after = count(block.after, block.slot_seconds)
    return Ground(
        requests=after[0],
        failures=after[1],
        before_n=(~np.isnan(before[ERRORS])).sum(axis=-1),
        recent=np.stack([requests, failures])[..., -RECENT_SLOTS:],
        base_requests=base_requests + weight * np.nan_to_num(day_requests),
        base_failures=base_failures + weight * np.nan_to_num(day_failures),
        dispersion=np.maximum(off.sum(axis=-1) / np.maximum(slots, 1), 1.0),
    )


def count(window: Array, slot_seconds: Array) -> tuple[Array, Array]:
    """Return requests and failed ones per slot; they share the seconds behind the window."""
    traffic, rate = window[TRAFFIC], window[ERRORS]
    slots = (~np.isnan(traffic) & ~np.isnan(rate)).sum(axis=-1)
    each = find_seconds(slots, slot_seconds) / np.maximum(slots, 1)
    return count_failures(traffic, rate, each[:, None])


def examine(ground: Ground, span: Span, minimum: Minimum, profiles: Stack) -> Finding:
    """Return the finding of the error rate of a block in `span`, one metric."""
    shape = SHAPES.index(span.name)
    told = profiles.take("dispersion", shape)
    dispersion = np.where(np.isnan(told), ground.dispersion, told)
    base = ground.base_failures / np.maximum(ground.base_requests, 1e-9)
    cautious = (ground.base_failures + HALF_FAILURE) / (ground.base_requests + 1)
    n, x = ground.requests[:, span.slots], ground.failures[:, span.slots]
    served = (n > 0).sum(axis=-1)
    groups = _group(ground, span)
    chance = _tail(ground, groups, dispersion)
    rate = np.maximum(_rate(*groups[:, ALL]), _rate(*groups[:, SETTLED]))
    seen = profiles.take("failure_quantiles", shape)
    p = np.maximum(chance[ALL], find_share_above(seen, QUANTILES, (rate - base) / TOLERANCE))
    known = (ground.before_n >= LEAST_VALUES) & (served >= LEAST_VALUES - 1)
    effect = np.where(known, rate - base, np.nan)
    least = np.maximum(minimum.share, _rise(cautious, LEAST_RATIO) - base)
    least = np.maximum(least, minimum.amount / np.maximum(groups[0, ALL], 1.0))
    scale = _scale(ground, groups[0, ALL], dispersion)
    half = minimum.share / 2
    bad_n = ((x > HALF_FAILURE) & (x >= n * (base + half)[:, None])).sum(axis=-1)
    rest = _rate(*groups[:, REST])
    left = _limit_end(ground, dispersion) - base
    lasting = (rest - base >= half) & (rest >= _rise(cautious, LEAST_RATIO_WITHOUT_WORST))
    old = rate < _earlier(ground, base, minimum.share)
    unlikely = (chance[REST] < LIKELY) & (chance[SETTLED] < SURE) & (bad_n >= LEAST_BAD_SLOTS)
    return Finding(
        effect=effect[None],
        steady=np.where(known, np.minimum(rest - base, left), np.nan)[None],
        scale=scale[None],
        least=least[None],
        critical=np.maximum(least, CRITICAL_SIGMAS * scale)[None],
        sure=(Q99_SIGMAS * scale)[None],
        statistic=groups[1, ALL][None],
        p=np.where(known, p, np.nan)[None],
        passed=((effect >= least) & lasting & unlikely & ~old & ~_over(ground, base, half))[None],
        old=(old & (effect >= least))[None],
        expected=np.where(known, base, np.nan)[None],
        observed=np.where(known, rate, np.nan)[None],
        pattern=np.where(left < minimum.share, TRANSIENT, NONE)[None],
    )


def _rise(rate: Array, ratio: float) -> Array:
    """The rate from which on `rate` has risen."""
    risen: Array = np.minimum(ratio * rate, rate + MOST_RISE)
    return risen


def _earlier(ground: Ground, base: Array, share: float) -> Array:
    """The rate from which on it is worse than a trouble the baseline ended in; 0 without any.

    The worst minute is left out there as it is afterwards: one blip is no trouble.
    """
    n, x = ground.recent
    bad = (x > HALF_FAILURE) & (x >= n * (base + share / 2)[:, None])
    served = np.maximum((n > 0).sum(axis=-1), 1)
    rest = _rate(n.sum(axis=-1) * (served - 1) / served, x.sum(axis=-1) - x.max(axis=-1))
    worse = np.maximum(_rise(rest, LEAST_RATIO), rest + share)
    return np.where(bad.sum(axis=-1) >= RECENT_BAD_SLOTS, worse, 0.0)


def _group(ground: Ground, span: Span) -> Array:
    """Requests and failures of all slots, of all but the worst and of the settled ones.

    Returns:
        Shape (2, 3, d).
    """
    n, x = ground.requests[:, span.slots], ground.failures[:, span.slots]
    # Without the worst slot's failures, and without the requests of an average one: which slot is
    # the worst must not decide how many requests are left.
    served = np.maximum((n > 0).sum(axis=-1), 1)
    total = n.sum(axis=-1), x.sum(axis=-1)
    rest = total[0] * (served - 1) / served, total[1] - x.max(axis=-1)
    settled = (
        ground.requests[:, span.settled].sum(axis=-1),
        ground.failures[:, span.settled].sum(axis=-1),
    )
    return np.stack([total, rest, settled], axis=1)


def _rate(requests: Array, failures: Array) -> Array:
    return np.where(requests > 0, failures / np.maximum(requests, 1e-9), 0.0)


def _tail(ground: Ground, groups: Array, dispersion: Array) -> Array:
    """Chance of so many failures in so many requests at the usual rate, shape (3, d).

    Given all failures, before and after, how many of them fall into the window is binomial
    (Przyborowski and Wilenski, 1940): exact with few requests on either side. Counts are divided
    by their overdispersion.
    """
    n, x = groups
    earlier = np.broadcast_to(ground.base_failures / dispersion + 1, n.shape)
    later = np.where(x > 0, x, 1.0) / dispersion
    share = n / np.maximum(n + ground.base_requests, 1e-9)
    tail = beta_ratio(later, earlier, share)
    return np.where((x > 0) & (n > 0) & (ground.base_requests > 0), tail, 1.0)


def _scale(ground: Ground, n: Array, dispersion: Array) -> Array:
    """Standard deviation of the difference of the two rates."""
    usual = (ground.base_failures + HALF_FAILURE) / (ground.base_requests + 1)
    share = 1 / np.maximum(n, 1.0) + 1 / np.maximum(ground.base_requests, 1.0)
    scale: Array = np.sqrt(dispersion * usual * share)
    return scale


def _over(ground: Ground, base: Array, half: float) -> Flags:
    """Whether the end of a long window is as good as before; of a short one nobody can tell."""
    if ground.requests.shape[-1] < LONG_SLOTS:
        return np.zeros(base.shape, dtype=np.bool_)
    end = _rate(
        ground.requests[:, -OVER_SLOTS:].sum(axis=-1),
        ground.failures[:, -OVER_SLOTS:].sum(axis=-1),
    )
    over: Flags = end - base < half
    return over


def _limit_end(ground: Ground, dispersion: Array) -> Array:
    """The rate that the end of the window surely does not exceed (Wilson, 1927); 1 of nothing.

    A limit and no estimate: few requests without a failure do not show that it is over. It rises
    with the failures at the end and with nothing else.
    """
    end = find_end(ground.requests.shape[-1])
    n = ground.requests[:, end].sum(axis=-1) / dispersion
    x = ground.failures[:, end].sum(axis=-1) / dispersion
    square = LIMIT_SIGMAS**2
    root = np.sqrt(np.maximum(x - x * x / np.maximum(n, 1e-9), 0.0) + square / 4)
    limit: Array = (x + square / 2 + LIMIT_SIGMAS * root) / (n + square)
    return limit
