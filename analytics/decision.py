"""Make a decision of comparisons in the plain way that simple methods share.

Gaps in the data first, then what failed; confidence says how complete the data was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import NONE, Comparison, Decision, Flags, Numbers
from analytics.quality import assess_quality
from analytics.reasons import CODES, CONCLUSIVE, ReasonCode

INCONCLUSIVE_CONFIDENCE: Final = 0.5
"""Most confidence an inconclusive verdict may have."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method needs to call a deployment harmless.

    Attributes:
        coverage_ratio: Least share of planned post slots with a value, of each judged metric and
            of the samples as a whole, 0..1.
        judged: Which metrics are judged, shape (5,).
        baseline: Whether it takes a baseline.
    """

    coverage_ratio: float
    judged: Flags
    baseline: bool


def count(values: Array) -> Numbers:
    """Return how many values there are, shape (d, 5) from (5, d, n)."""
    return np.ascontiguousarray((~np.isnan(values)).sum(axis=-1).T)


def find_usable(block: Block, coverage_ratio: float) -> Flags:
    """Return whether the data can carry a failure: covered and fresh, shape (d,)."""
    quality = assess_quality(block, min_values=1)
    covered = quality.samples / block.after.shape[-1] >= coverage_ratio
    usable: Flags = covered & ~quality.stuck
    return usable


def decide(
    block: Block,
    comparison: Comparison,
    needs: Needs,
    *,
    severe: ReasonCode,
    failed: ReasonCode,
    harmless: ReasonCode,
) -> Decision:
    """Make one decision of each deployment's comparisons; the reasons are those to give."""
    quality = assess_quality(block, min_values=1)
    coverage = quality.samples / block.after.shape[-1]
    missing = comparison.post_n / block.after.shape[-1] < needs.coverage_ratio
    if needs.baseline:
        missing |= comparison.baseline_n == 0
    choices = {
        ReasonCode.NO_POST_SAMPLES: coverage == 0,
        ReasonCode.INSUFFICIENT_POST_SAMPLES: coverage < needs.coverage_ratio,
        ReasonCode.STALE_SOURCE: quality.stuck,
        severe: comparison.severe.any(axis=1),
        failed: comparison.failed.any(axis=1),
        ReasonCode.NO_BASELINE: needs.baseline & (comparison.baseline_n == 0).all(axis=1),
        ReasonCode.METRIC_MISSING: (needs.judged & missing).any(axis=1),
    }
    numbers = [CODES.index(reason) for reason in choices]
    reason: Numbers = np.select([*choices.values()], numbers, CODES.index(harmless))
    conclusive = np.array([code in CONCLUSIVE for code in CODES])[reason]
    return Decision(
        reason=reason,
        confidence=np.where(conclusive, coverage, np.minimum(coverage, INCONCLUSIVE_CONFIDENCE)),
        quality_ratio=quality.ratio,
        penalties=quality.penalties,
        decided_at=np.full(block.rows.size, NONE, dtype=np.int64),
    )
