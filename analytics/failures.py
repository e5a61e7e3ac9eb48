"""Test whether more requests fail, by counting them.

Few requests make few failures, and a rate hides how few: so counts are compared, not rates. See
docs/method.md for the formulas and for the reason of every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import Flags
from analytics.finding import Finding, exceed
from analytics.gauges import CRITICAL_SIGMAS, LEAST_VALUES, TOLERANCE, Minimum
from analytics.levels import ORDER, SHAPES, TAIL_SLOTS, Span
from analytics.profile import BASELINE_SLOTS, QUANTILES, Stack, count_failures
from analytics.statistics import beta_ratio
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

END_SLOTS: Final = 7
HALF_FAILURE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Ground:
    """What all spans of a block share.

    Attributes:
        requests: Per post slot, shape (d, s).
        failures: Failed ones among them, shape (d, s).
        before_n: Baseline slots with a rate, shape (d,).
        base_requests: Requests the usual rate was learned from, shape (d,).
        base_failures: Failed ones among them, shape (d,).
        dispersion: Variance of the baseline's minutes in multiples of chance, shape (d,).
    """

    requests: Array
    failures: Array
    before_n: Array
    base_requests: Array
    base_failures: Array
    dispersion: Array


def prepare(block: Block, profiles: Stack) -> Ground:
    """Return what the tests of all spans of `block` share."""
    seconds = block.slot_seconds[:, None]
    before = block.before[..., -BASELINE_SLOTS:]
    requests, failures = count_failures(before[TRAFFIC], before[ERRORS], seconds)
    base_requests, base_failures = requests.sum(axis=-1), failures.sum(axis=-1)
    rate = base_failures / np.maximum(base_requests, 1.0)
    usual = requests * rate[:, None]
    off = np.where(usual > 0, (failures - usual) ** 2 / np.where(usual > 0, usual, 1.0), 0.0)
    slots = (requests > 0).sum(axis=-1)
    day_requests, day_failures = profiles.take("requests", 0), profiles.take("failures", 0)
    weight = np.minimum(1.0, HISTORY_WEIGHT * base_requests / np.maximum(day_requests, 1.0))
    weight = np.where(np.isnan(day_requests), 0.0, weight)
    after = count_failures(block.after[TRAFFIC], block.after[ERRORS], seconds)
    return Ground(
        requests=after[0],
        failures=after[1],
        before_n=(~np.isnan(before[ERRORS])).sum(axis=-1),
        base_requests=base_requests + weight * np.nan_to_num(day_requests),
        base_failures=base_failures + weight * np.nan_to_num(day_failures),
        dispersion=np.maximum(off.sum(axis=-1) / np.maximum(slots, 1), 1.0),
    )


def test_failures(
    block: Block, ground: Ground, span: Span, minimum: Minimum, profiles: Stack
) -> Finding:
    """Return the finding of the error rate of `block` in `span`, one metric."""
    shape = SHAPES.index(span.name)
    told = profiles.take("dispersion", shape)
    dispersion = np.where(np.isnan(told), ground.dispersion, told)
    base = ground.base_failures / np.maximum(ground.base_requests, 1e-9)
    cautious = (ground.base_failures + HALF_FAILURE) / (ground.base_requests + 1)
    n, x = ground.requests[:, span.slots], ground.failures[:, span.slots]
    settled = ground.requests[:, span.settled], ground.failures[:, span.settled]
    rate = np.maximum(_rate(n, x), _rate(*settled))
    seen = profiles.take("failure_quantiles", shape)
    chance = _tail(ground, n.sum(axis=-1), x.sum(axis=-1), dispersion)
    p = np.maximum(chance, exceed(seen, QUANTILES, rate / TOLERANCE))
    known = (ground.before_n >= LEAST_VALUES) & ((n > 0).sum(axis=-1) >= LEAST_VALUES - 1)
    effect = np.where(known, rate - base, np.nan)
    least = np.maximum(np.maximum(minimum.share, LEAST_RATIO * cautious - base), 0.0)
    least = np.maximum(least, minimum.amount / np.maximum(n.sum(axis=-1), 1.0))
    scale = _scale(ground, n.sum(axis=-1), dispersion)
    bad = (x > HALF_FAILURE) & (x >= n * (base + minimum.share / 2)[:, None])
    passed = (effect >= least) & _lasts(ground, span, base, cautious, minimum, dispersion)
    return Finding(
        *(
            each[None]
            for each in (
                effect,
                scale,
                least,
                np.maximum(least, CRITICAL_SIGMAS * scale),
                CRITICAL_SIGMAS * scale,
                x.sum(axis=-1),
                np.where(known, p, np.nan),
                passed & (bad.sum(axis=-1) >= 2),
                np.zeros(rate.shape, dtype=np.bool_),
                bad.sum(axis=-1),
                (n > 0).sum(axis=-1),
                np.where(known, base, np.nan),
                np.where(known, rate, np.nan),
            )
        )
    )


def _rate(requests: Array, failures: Array) -> Array:
    served = requests.sum(axis=-1)
    rate: Array = np.where(served > 0, failures.sum(axis=-1) / np.maximum(served, 1e-9), 0.0)
    return rate


def _tail(ground: Ground, n: Array, x: Array, dispersion: Array) -> Array:
    """Chance of `x` or more failures in `n` requests at the usual rate.

    Given all failures, before and after, how many of them fall into the window is binomial
    (Przyborowski and Wilenski, 1940): exact with few requests on either side. Counts are divided
    by their overdispersion.
    """
    earlier = ground.base_failures / dispersion + 1
    later = np.where(x > 0, x, 1.0) / dispersion
    share = np.where(n > 0, n / np.maximum(n + ground.base_requests, 1e-9), 0.0)
    tail = beta_ratio(later, earlier, share)
    return np.where((x > 0) & (n > 0) & (ground.base_requests > 0), tail, 1.0)


def _scale(ground: Ground, n: Array, dispersion: Array) -> Array:
    """Standard deviation of the difference of the two rates."""
    usual = (ground.base_failures + HALF_FAILURE) / (ground.base_requests + 1)
    share = 1 / np.maximum(n, 1.0) + 1 / np.maximum(ground.base_requests, 1.0)
    scale: Array = np.sqrt(dispersion * usual * share)
    return scale


def _lasts(
    ground: Ground,
    span: Span,
    base: Array,
    cautious: Array,
    minimum: Minimum,
    dispersion: Array,
) -> Flags:
    """Whether it is more than one bad minute, more than a cold start, and not over."""
    n, x = ground.requests[:, span.slots], ground.failures[:, span.slots]
    # Without the worst slot's failures, and without the requests of an average one: which slot is
    # the worst must not decide how many requests are left.
    served = np.maximum((n > 0).sum(axis=-1), 1)
    rest_n, rest_x = n.sum(axis=-1) * (served - 1) / served, x.sum(axis=-1) - x.max(axis=-1)
    rest = np.where(rest_n > 0, rest_x / np.maximum(rest_n, 1e-9), 0.0)
    n_settled, x_settled = ground.requests[:, span.settled], ground.failures[:, span.settled]
    settled_p = _tail(ground, n_settled.sum(axis=-1), x_settled.sum(axis=-1), dispersion)
    half = minimum.share / 2
    lasting = (
        (rest - base >= half)
        & (rest >= LEAST_RATIO_WITHOUT_WORST * cautious)
        & (_tail(ground, rest_n, rest_x, dispersion) < LIKELY)
        & (settled_p < SURE)
    )
    if ground.requests.shape[-1] < 2 * TAIL_SLOTS:
        return lasting  # the settled slots are the end
    end = _rate(ground.requests[:, -END_SLOTS:], ground.failures[:, -END_SLOTS:])
    over: Flags = lasting & (end - base >= half)
    return over
