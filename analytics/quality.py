"""How sound the data of a deployment is: what is missing, stuck or out of step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import Flags, Numbers
from analytics.levels import ORDER, find_end, find_seconds, mean
from analytics.profile import BASELINE_SLOTS
from analytics.reasons import Penalty
from core.types import Metric

TRAFFIC: Final = ORDER.index(Metric.REQUESTS_PER_SEC)
SERVED: Final = [ORDER.index(Metric.LATENCY_P95), ORDER.index(Metric.ERROR_RATE)]
"""Metrics that only a slot with traffic can have."""

SOLID_BASELINE: Final = 15
"""Baseline samples from which a level and its scatter are well known."""

STUCK_SHARE: Final = 0.5
"""A source clock that advances by less than this share of ours repeats old numbers."""

STAMPS: Final = 3
SKEW_RATIO: Final = 0.9


@dataclass(frozen=True, slots=True)
class Quality:
    """Soundness of the data of many deployments.

    Attributes:
        samples: Post slots with a sample, shape (d,).
        requests: Requests in the post window, shape (d,).
        stuck: Whether the source repeats old numbers, shape (d,).
        blind: Whether a metric known before is not known after, shape (d, 5).
        unknown: Whether a metric has too few baseline values to compare with, and not for want of
            traffic, shape (d, 5).
        untried: Whether it has too few because there was no traffic, shape (d, 5).
        cut: Whether nothing is known of a metric at the end of the window, though it was known
            before: nobody can tell then whether what was seen until there lasts, shape (d, 5).
        penalties: Shape (d, penalties).
        ratio: What the penalties leave of 1, shape (d,).
    """

    samples: Numbers
    requests: Array
    stuck: Flags
    blind: Flags
    unknown: Flags
    untried: Flags
    cut: Flags
    penalties: Flags
    ratio: Array


def assess_quality(block: Block, min_values: int) -> Quality:
    """Return how sound the data of `block` is; `min_values` of a metric make it known."""
    known = ~np.isnan(block.after)
    taken = known.any(axis=0)
    samples = taken.sum(axis=-1)
    # Only the last ones are compared with, however many there are.
    before = block.before[..., -BASELINE_SLOTS:]
    before_n = (~np.isnan(before)).sum(axis=-1)
    told_before, told = _tell(before), _tell(block.after)
    thin = before_n < min_values
    idle = told_before.sum(axis=-1) >= min_values
    excused = told.sum(axis=-1)
    stuck, skewed = _clocks(block)
    slots = block.after.shape[-1]
    baseline = before_n.max(axis=0)
    values = excused.sum(axis=0) / np.maximum(5 * samples, 1)
    flags = {
        Penalty.MISSING_SLOTS: samples < slots,
        Penalty.MISSING_VALUES: (samples > 0) & (values < 1),
        Penalty.SOURCE_CLOCK_STUCK: stuck,
        Penalty.CLOCK_SKEW: skewed,
        Penalty.THIN_BASELINE: (baseline > 0) & (baseline < SOLID_BASELINE),
        Penalty.NO_BASELINE: baseline == 0,
    }
    ratio = (
        samples
        / slots
        * np.where(samples > 0, values, 1.0)
        * np.minimum(baseline / SOLID_BASELINE, 1.0)
        * np.where(skewed, SKEW_RATIO, 1.0)
    )
    seconds = find_seconds(known[TRAFFIC].sum(axis=-1), block.slot_seconds)
    return Quality(
        samples=samples,
        requests=np.nan_to_num(mean(block.after[TRAFFIC])) * seconds,
        stuck=stuck,
        blind=((before_n >= min_values) & (excused < min_values)).T,
        unknown=(thin & ~idle).T,
        untried=(thin & idle).T,
        cut=((before_n >= min_values) & ~told[..., find_end(slots)].any(axis=-1)).T,
        penalties=np.stack([flags[penalty] for penalty in Penalty], axis=-1),
        ratio=np.where(stuck, 0.0, ratio),
    )


def _tell(window: Array) -> Flags:
    """Which slots tell of a metric: by a value, or by having no traffic that could give one."""
    told: Flags = ~np.isnan(window)
    told[SERVED] |= window[TRAFFIC] == 0
    return told


def _clocks(block: Block) -> tuple[Flags, Flags]:
    """Whether the source's clock stands still, and whether it is off by more than a slot."""
    ours = np.arange(block.after.shape[-1]) * block.slot_seconds[:, None]
    ours = np.where(np.isnan(block.source_seconds), np.nan, ours)
    stamped = (~np.isnan(ours)).sum(axis=-1) >= STAMPS
    stuck = stamped & (_range(block.source_seconds) < STUCK_SHARE * _range(ours))
    off = np.abs(block.source_seconds - ours)
    least = np.where(np.isnan(off), np.inf, off).min(axis=-1)
    # The reading of a slot may be taken anywhere in it, hence two slots before it is skew.
    skewed = stamped & ~stuck & (least > 2 * block.slot_seconds)
    return stuck, skewed


def _range(values: Array) -> Array:
    """Greatest less least value over the last axis, missing ones left out."""
    high = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    low = np.where(np.isnan(values), np.inf, values).min(axis=-1)
    extent: Array = high - low
    return extent
