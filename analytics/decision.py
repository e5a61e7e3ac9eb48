"""Make a decision of comparisons in the plain way that simple methods share.

Gaps in the data first, then what failed; confidence says how complete the data was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import NONE, Comparison, Decision, Flags, Numbers
from analytics.reasons import CODES, CONCLUSIVE, Penalty, ReasonCode

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


def measure_coverage(block: Block) -> Array:
    """Return the share of planned post slots that carry a sample, shape (d,), 0..1."""
    samples = (~np.isnan(block.after)).any(axis=0).sum(axis=-1)
    coverage: Array = samples / block.after.shape[-1]
    return coverage


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
    coverage = measure_coverage(block)
    thin = comparison.post_n / block.after.shape[-1] < needs.coverage_ratio
    no_baseline = comparison.baseline_n == 0
    choices = {
        ReasonCode.NO_POST_SAMPLES: coverage == 0,
        ReasonCode.INSUFFICIENT_POST_SAMPLES: coverage < needs.coverage_ratio,
        severe: comparison.severe.any(axis=1),
        failed: comparison.failed.any(axis=1),
        ReasonCode.NO_BASELINE: needs.baseline & no_baseline.all(axis=1),
        ReasonCode.METRIC_MISSING: (needs.judged & (thin | (needs.baseline & no_baseline))).any(
            axis=1
        ),
    }
    numbers = [CODES.index(reason) for reason in choices]
    reason: Numbers = np.select([*choices.values()], numbers, CODES.index(harmless))
    conclusive = np.array([code in CONCLUSIVE for code in CODES])[reason]
    size = block.rows.size
    return Decision(
        reason=reason,
        confidence=np.where(conclusive, coverage, np.minimum(coverage, INCONCLUSIVE_CONFIDENCE)),
        quality_ratio=np.ones(size),
        penalties=np.zeros((size, len(Penalty)), dtype=np.bool_),
        decided_at=np.full(size, NONE, dtype=np.int64),
    )
