"""How far a level moves by itself: the scatter of minutes, weighed against the service's history.

See docs/method.md for the formulas and for the reason of every number.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.blocks import Array
from analytics.levels import LATENCY, mean
from analytics.profile import QUANTILES, Stack

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

ORDINARY: Final = 0.8
ODD: Final = 4.0
"""A minute counts as no further off than four times what four of five minutes do not exceed: five
standard deviations of normal values, which these hardly ever reach."""


def find_variance(before: Array, middle: Array, base: Array) -> Array:
    """Return the variance of one minute, on the scale of logarithms, shape (4, d).

    Args:
        before: Gauges of the baseline, shape (4, d, b).
        middle: Their midmeans, shape (4, d).
        base: Log level of the baseline, shape (4, d).
    """
    tame = _tame(before, middle[..., None])
    level = np.exp(base)
    level[LATENCY] = 1.0  # is a logarithm, so its scatter is relative already
    variance: Array = mean((tame - mean(tame)[..., None]) ** 2) / level**2
    return variance


def _tame(before: Array, middle: Array) -> Array:
    """Minutes with those that are far off moved nearer to the middle.

    The level does not follow one odd minute, so how well it is known must not either: a reading
    of nonsense would make the test blind to an outage.
    """
    away = np.abs(before - middle)
    n = (~np.isnan(away)).sum(axis=-1)
    ordinary = np.floor(ORDINARY * np.maximum(n - 1, 0)).astype(np.int64)[..., None]
    limit = ODD * np.take_along_axis(np.sort(away, axis=-1), ordinary, axis=-1)
    tame: Array = np.clip(before, middle - limit, middle + limit)
    return tame


def find_scale(
    variance: Array, before_n: Array, slot_n: Array, shape: int, profiles: Stack
) -> tuple[Array, Array]:
    """Return the standard deviation of a shift by chance, and its degrees of freedom.

    A guess from the scatter of the baseline's minutes, weighed against what history shows as a
    scaled inverse chi-squared prior (Gelman et al., Bayesian Data Analysis, 2.6).

    Args:
        variance: Of one minute, shape (4, d).
        before_n: Values in the baseline, shape (4, d).
        slot_n: Values in the span, shape (4, d).
        shape: Of the span, a position in `analytics.levels.SHAPES`.
        profiles: Of the deployments.
    """
    n = np.maximum(before_n, 1), np.maximum(slot_n, 1)
    guess = INFLATION * variance * (1 / n[0] + 1 / n[1]) + WANDER**2
    quantiles = profiles.take("quantiles", shape)
    wide = (quantiles[..., QUANTILES.index(0.99)] - quantiles[..., 0]) / Q99_SIGMAS
    seen = np.maximum(wide, MAD_SIGMA * profiles.take("spread", shape)).T
    windows = np.where(np.isnan(seen), 0.0, profiles.take("slots", 0) / WINDOW_SLOTS)
    told = np.where(np.isnan(seen), 0.0, seen) ** 2
    variance = (windows * told + PRIOR_WINDOWS * guess) / (windows + PRIOR_WINDOWS)
    return np.maximum(np.sqrt(variance), LEAST_SCALE), windows + PRIOR_WINDOWS


def find_sure(freedom: Array) -> Array:
    """Return the 99 % quantile of Student's t, to three digits from 4 degrees of freedom up.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = Q99_SIGMAS
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4
