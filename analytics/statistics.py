"""Probabilities and tests, element by element over arrays.

Only what the judge needs, so that it does not need scipy; tests compare with scipy to 1e-9.
Sources: Press et al., Numerical Recipes, 3rd ed. (6.1 gamma, 6.2 incomplete gamma, 6.4 incomplete
beta by Lentz's continued fraction); Lanczos coefficients by Godfrey (g = 607/128); W. J. Cody,
Rational Chebyshev approximation for the error function, 1969, by way of `math.erfc`.
"""

from __future__ import annotations

from collections import Counter
from math import comb, erfc, sqrt
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.blocks import Array

TINY: Final = 1e-300
PRECISION: Final = 1e-15
STEPS: Final = 3000
"""Most terms of a continued fraction: enough for parameters up to some millions."""

EXACT_PAIRS: Final = 20
"""Largest sample for which the Mann-Whitney distribution is counted out."""

LANCZOS: Final = (
    0.99999999999999709182,
    57.156235665862923517,
    -59.597960355475491248,
    14.136097974741747174,
    -0.49191381609762019978,
    0.33994649984811888699e-4,
    0.46523628927048575665e-4,
    -0.98374475304879564677e-4,
    0.15808870322491248884e-3,
    -0.21026444172410488319e-3,
    0.21743961811521264320e-3,
    -0.16431810653676389022e-3,
    0.84418223983852743293e-4,
    -0.26190838401581408670e-4,
    0.36899182659531622704e-5,
)

_erfc = np.frompyfunc(erfc, 1, 1)


def log_gamma(x: ArrayLike) -> Array:
    """Return ln of the gamma function of `x` > 0."""
    at = np.asarray(x, dtype=np.float64)
    series = np.full(at.shape, LANCZOS[0])
    for step, weight in enumerate(LANCZOS[1:], start=1):
        series = series + weight / (at + step)
    base = at + 5.24218750000000000
    value: Array = (at + 0.5) * np.log(base) - base + np.log(2.5066282746310005 * series / at)
    return value


def normal_tail(z: ArrayLike) -> Array:
    """Return the probability that a standard normal value is above `z`."""
    tail: Array = 0.5 * np.asarray(_erfc(np.asarray(z, np.float64) / sqrt(2)), np.float64)
    return tail


def beta_ratio(a: ArrayLike, b: ArrayLike, x: ArrayLike, rest: ArrayLike | None = None) -> Array:
    """Return the regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1.

    `rest` is 1 - x, for callers who know it better than subtraction does.
    """
    given = 1 - np.asarray(x, dtype=np.float64) if rest is None else rest
    first, second, at, left = (
        np.array(each, dtype=np.float64) for each in np.broadcast_arrays(a, b, x, given)
    )
    # The fraction converges fast on one side of the mean; the other side is its mirror image.
    mirrored = at > (first + 1) / (first + second + 2)
    p, q = np.where(mirrored, second, first), np.where(mirrored, first, second)
    y, z = np.where(mirrored, left, at), np.where(mirrored, at, left)
    inside = (y > 0) & (z > 0)
    y, z = np.where(inside, y, 0.5), np.where(inside, z, 0.5)
    front = np.exp(log_gamma(p + q) - log_gamma(p) - log_gamma(q) + p * np.log(y) + q * np.log(z))
    part = np.where(inside, front * _beta_fraction(p, q, y) / p, 0.0)
    ratio = np.clip(np.where(mirrored, 1 - part, part), 0.0, 1.0)
    return np.where(np.isnan(at), np.nan, ratio)


def _beta_fraction(a: Array, b: Array, x: Array) -> Array:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    shape = x.shape
    a, b, x = a.reshape(-1), b.reshape(-1), x.reshape(-1)
    result = np.empty_like(x)
    place = np.arange(x.size)
    c = np.ones_like(x)
    d = 1 / _apart(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, STEPS):
        if not place.size:
            break
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            value = value * d * c
        # What has converged is left alone, however many steps its neighbours need.
        going = np.abs(d * c - 1) > PRECISION
        if not going.all():
            result[place] = value
            place = place[going]
            value, a, b, x, c, d = (each[going] for each in (value, a, b, x, c, d))
    result[place] = value
    return result.reshape(shape)


def _apart(x: Array) -> Array:
    """Keep `x` away from zero."""
    return np.where(np.abs(x) < TINY, TINY, x)


def t_tail(t: ArrayLike, freedom: ArrayLike) -> Array:
    """Return the probability that Student's t with `freedom` degrees is above `t`."""
    value, degrees = np.broadcast_arrays(np.asarray(t, np.float64), np.asarray(freedom, np.float64))
    square = value * value
    total = degrees + square
    half = 0.5 * beta_ratio(degrees / 2, 0.5, degrees / total, square / total)
    tail: Array = np.where(value > 0, half, 1 - half)
    return tail


def binomial_tail(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Array:
    """Return the probability of `k` or more hits of `n` trials with chance `p`.

    `k` and `n` may be fractions (counts divided by their overdispersion).
    """
    hits, trials, chance = np.broadcast_arrays(
        np.asarray(k, np.float64), np.asarray(n, np.float64), np.asarray(p, np.float64)
    )
    possible = (hits > 0) & (hits <= trials)
    tail = beta_ratio(
        np.where(possible, hits, 1.0), np.where(possible, trials - hits + 1, 1.0), chance
    )
    result: Array = np.where(possible, tail, np.where(hits <= 0, 1.0, 0.0))
    return result


def poisson_tail(k: ArrayLike, mean: ArrayLike) -> Array:
    """Return the probability of `k` or more events where `mean` > 0 are expected."""
    events, rate = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(mean, np.float64))
    shape = np.where(events > 0, events, 1.0)
    low = rate < shape + 1
    front = np.exp(shape * np.log(rate) - rate - log_gamma(shape))
    below = front * _gamma_series(shape, np.where(low, rate, 0.0))
    above = front * _gamma_fraction(shape, np.where(low, shape + 1, rate))
    tail: Array = np.where(events > 0, np.clip(np.where(low, below, 1 - above), 0, 1), 1.0)
    return tail


def _gamma_series(a: Array, x: Array) -> Array:
    term = 1 / a
    value = term
    done = np.isnan(x)
    for step in range(1, STEPS):
        term = term * x / (a + step)
        value = np.where(done, value, value + term)
        done |= ~(np.abs(term) > np.abs(value) * PRECISION)
        if done.all():
            break
    return value


def _gamma_fraction(a: Array, x: Array) -> Array:
    b = x + 1 - a
    c = np.full_like(x, 1 / TINY)
    d = 1 / _apart(b)
    value = d
    done = np.isnan(x)
    for step in range(1, STEPS):
        term = -step * (step - a)
        b = b + 2
        d = 1 / _apart(term * d + b)
        c = _apart(b + term / c)
        value = np.where(done, value, value * d * c)
        done |= ~(np.abs(d * c - 1) > PRECISION)
        if done.all():
            break
    return value


def mann_whitney(before: Array, after: Array) -> tuple[Array, Array]:
    """Test whether `after` tends to be above `before` (Mann and Whitney, 1947).

    Exact, ties and all, where both samples together have at most `EXACT_PAIRS` values; above that
    the normal approximation with corrections for ties and continuity.

    Args:
        before: Samples, shape (d, n); NaN is missing.
        after: Samples, shape (d, m); NaN is missing.

    Returns:
        U, the pairs in which `after` is above (ties count half), and the probability of a U at
        least as large without a difference, both of shape (d,); NaN without a pair.
    """
    n, m = (~np.isnan(before)).sum(axis=-1), (~np.isnan(after)).sum(axis=-1)
    pairs = after[:, :, None] - before[:, None, :]
    u = (pairs > 0).sum(axis=(1, 2)) + 0.5 * (pairs == 0).sum(axis=(1, 2))
    both = np.sort(np.concatenate([before, after], axis=-1), axis=-1)
    total = n + m
    spread = n * m / 12 * (total + 1 - _ties(both) / np.maximum(total * (total - 1.0), 1))
    z = np.where(spread > 0, (u - n * m / 2 - 0.5) / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)
    p = np.where(spread > 0, normal_tail(z), 1.0)
    for row in np.flatnonzero((total <= EXACT_PAIRS) & (n * m > 0)):
        p[row] = _exact(both[row, : total[row]], int(m[row]), float(u[row]))
    nothing = n * m == 0
    return np.where(nothing, np.nan, u), np.where(nothing, np.nan, p)


def _ties(ordered: Array) -> Array:
    """Sum of t^3 - t over the groups of t equal values of each row."""
    total = np.zeros(ordered.shape[0])
    run = np.ones(ordered.shape[0])
    for column in range(1, ordered.shape[1]):
        same = ordered[:, column] == ordered[:, column - 1]
        # (t + 1)^3 - (t + 1) - (t^3 - t) = 3 t (t + 1)
        total = total + np.where(same, 3 * run * (run + 1), 0.0)
        run = np.where(same, run + 1, 1.0)
    return total


def _exact(ordered: Array, m: int, u: float) -> float:
    """The share of all ways to draw `m` of `ordered` whose U is at least `u`."""
    # Twice the mid-ranks are whole numbers; U = rank sum - m (m + 1) / 2.
    doubled = [int(rank) for rank in _doubled_ranks(ordered)]
    ways: list[Counter[int]] = [Counter({0: 1})] + [Counter() for _ in range(m)]
    for rank in doubled:
        for size in range(m, 0, -1):
            for total, count in ways[size - 1].items():
                ways[size][total + rank] += count
    least = round(2 * u + m * (m + 1))
    reached = sum(count for total, count in ways[m].items() if total >= least)
    return reached / comb(len(doubled), m)


def _doubled_ranks(ordered: Array) -> Array:
    left = np.searchsorted(ordered, ordered, side="left")
    right = np.searchsorted(ordered, ordered, side="right")
    ranks: Array = (left + right + 1).astype(np.float64)
    return ranks


def find_discoveries(p: Array, rate: float) -> NDArray[np.bool_]:
    """Return which hypotheses of each row fall at a false discovery rate (Benjamini, Hochberg).

    Args:
        p: Test values, shape (d, k); NaN counts as 1.
        rate: Allowed share of false ones among those that fall, 0..1.
    """
    known = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(known, axis=-1, kind="stable")
    ordered = np.take_along_axis(known, order, axis=-1)
    count = known.shape[-1]
    passing = ordered <= rate * np.arange(1, count + 1) / count
    last = count - np.argmax(passing[:, ::-1], axis=-1)
    kept = np.arange(count) < np.where(passing.any(axis=-1), last, 0)[:, None]
    found = np.zeros(p.shape, dtype=np.bool_)
    np.put_along_axis(found, order, kept, axis=-1)
    return found


def find_share_above(quantiles: Array, levels: tuple[float, ...], value: Array) -> Array:
    """Return the share of a distribution at or above `value`, shape (...).

    Args:
        quantiles: Of the distribution at `levels`, shape (..., k), ascending; the share is 0 where
            they are NaN.
        levels: Their levels, 0..1, ascending; below the first one the share is 1.
        value: Shape (...).
    """
    below = (quantiles < value[..., None]).sum(axis=-1)
    upper = np.minimum(below, len(levels) - 1)
    lower = np.maximum(upper - 1, 0)
    low = np.take_along_axis(quantiles, lower[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(quantiles, upper[..., None], axis=-1)[..., 0]
    step = np.where(high > low, (value - low) / np.where(high > low, high - low, 1.0), 0.0)
    known = np.asarray(levels)
    between = 1 - known[lower] - step * (known[upper] - known[lower])
    share = np.where(below == 0, 1.0, np.where(below == len(levels), 0.0, between))
    return np.where(np.isnan(quantiles[..., 0]) | np.isnan(value), 0.0, share)
