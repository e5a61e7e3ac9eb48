"""When a verdict of `reference-v2` was final: from which slot on no later one could change it."""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import NONE, Flags, Numbers
from core.types import METRICS, Metric

TRAFFIC: Final = METRICS.index(Metric.REQUESTS_PER_SEC)
SERVED: Final = [METRICS.index(Metric.LATENCY_P95), METRICS.index(Metric.ERROR_RATE)]
"""Metrics that only a slot with traffic can have."""


def find_decision(
    block: Block, beyond: Flags, tolerance: Array, severe: Flags, min_coverage_ratio: float
) -> Numbers:
    """Return the first slot after which the reason is the same whatever is still to come.

    A slot to come may be missing or have any value of any metric. So the least share of slots
    beyond a threshold is that with all of them within, the greatest that with all of them beyond.

    Args:
        block: The windows.
        beyond: Which slots are beyond their threshold, shape (5, d, s); none where the metric is
            not judged.
        tolerance: Share of them that may be, shape (5, d); NaN where the metric is not judged.
        severe: Whose failure is severe, shape (5,).
        min_coverage_ratio: Share of planned slots that must carry a value.

    Returns:
        Sequence indices, shape (d,); `NONE` where even the last slot could have changed it.
    """
    slots = block.after.shape[-1]
    left = np.arange(slots)[::-1]
    known = ~np.isnan(block.after)
    taken = known.any(axis=0).cumsum(axis=-1)
    bad, n = beyond.cumsum(axis=-1), known.cumsum(axis=-1)
    at_least = bad / np.maximum(n + left, 1)
    at_most = (bad + left) / np.maximum(n + left, 1)
    fails, may_fail = at_least > tolerance[..., None], at_most > tolerance[..., None]
    alarm = fails[severe].any(axis=0) | (fails.any(axis=0) & ~may_fail[severe].any(axis=0))
    quiet = ~may_fail.any(axis=0) & _settles(block, n, left / slots, min_coverage_ratio)
    covered = taken / slots >= min_coverage_ratio
    hopeless = (taken > 0) & ((taken + left) / slots < min_coverage_ratio)
    final = hopeless | (covered & (alarm | quiet))
    first = final.argmax(axis=-1)
    early = final.any(axis=-1) & (first < slots - 1)
    return np.where(early, first, NONE)


def _settles(block: Block, n: Numbers, left_ratio: Array, min_coverage_ratio: float) -> Flags:
    """Whether it is certain that something is missing, or that nothing is; shape (d, s)."""
    excused = n.copy()
    excused[SERVED] += (block.after[TRAFFIC] == 0).cumsum(axis=-1)
    ratio = excused / block.after.shape[-1]
    nothing_before = np.isnan(block.before[TRAFFIC]).all(axis=-1)[:, None]
    missing = (ratio + left_ratio < min_coverage_ratio).any(axis=0) | nothing_before
    complete = (ratio >= min_coverage_ratio).all(axis=0)
    settled: Flags = missing | complete
    return settled
