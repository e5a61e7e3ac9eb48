"""Requests and failed ones: what a rate counts, and how much more than chance it scatters."""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.blocks import Array

CALM_SHARE: Final = 0.95
"""Share of the windows that are ordinary; the others are troubles, or look like them."""

HANDFUL: Final = 3.0
"""Failures in a window that are a coincidence, however seldom there are any."""


def count_failures(traffic: Array, rate: Array, slot_seconds: Array) -> tuple[Array, Array]:
    """Return requests and failed ones per slot; 0 where one of the numbers is missing."""
    known = ~np.isnan(traffic) & ~np.isnan(rate)
    requests = np.where(known, np.minimum(traffic, 1e12) * slot_seconds, 0.0)
    failures = np.where(known, requests * np.minimum(rate, 1.0), 0.0)
    return requests, failures


def find_dispersion(n: Array, x: Array) -> float:
    """Variance of the failures of ordinary windows, in multiples of chance.

    One outage would make it so large that no failure counted any more; windows as bad as that are
    told by the quantiles of a profile.

    Args:
        n: Requests of windows of one length, above 0, shape (w,).
        x: Failed ones among them, shape (w,).

    Returns:
        The mean of `(x - n r)^2 / (n r)` over the calm windows, `r` being their rate; 1 at least.
    """
    calm = x / n <= np.quantile(x / n, CALM_SHARE)
    n, x = n[calm], x[calm]
    expected = n * (x.sum() / n.sum())
    off = (x - expected) ** 2 / np.maximum(expected, 1e-9)
    return max(1.0, float(off.mean())) if x.sum() > 0 else 1.0


def sum_last(requests: Array, failures: Array, width: int, windows: int) -> tuple[float, float]:
    """Return requests and failures of the last windows, those of an outage cut to the ordinary.

    A window counts for no more than the rate that `CALM_SHARE` of all do not exceed, or a handful:
    an outage is no rate that anybody should expect.

    Args:
        requests: Per slot, shape (s,).
        failures: Failed ones among them, shape (s,).
        width: Slots of a window, at most s.
        windows: How many of them are summed; all are looked at.
    """
    whole = requests.size // width * width
    n, x = (each[-whole:].reshape(-1, width).sum(axis=1) for each in (requests, failures))
    rates = x / np.maximum(n, 1e-9)
    usual = np.quantile(rates[n > 0], CALM_SHARE) if n.any() else 0.0
    ordinary = np.minimum(x, np.maximum(n * usual, HANDFUL))
    return float(n[-windows:].sum()), float(ordinary[-windows:].sum())


def sum_windows(values: Array, width: int) -> Array:
    """Return the sum of every `width` neighbours of `values`; none where there are too few."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    sums: Array = np.maximum(total[width:] - total[:-width], 0.0)
    return sums
