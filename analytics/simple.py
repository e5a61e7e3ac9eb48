"""What the simple methods share: evidence of counts and means, and a plain decision.

Gaps in the data first, then what failed; confidence says how complete the data was.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytics.blocks import Array, Block
from analytics.compare import NONE, Comparison, Decision, Flags, Numbers, mark
from analytics.quality import assess_quality
from analytics.reasons import CODES, CONCLUSIVE, ReasonCode
from core.types import Metric

INCONCLUSIVE_CONFIDENCE: Final = 0.5
"""Most confidence an inconclusive verdict may have."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method needs to call a deployment harmless.

    Attributes:
        coverage_ratio: Least share of planned post slots with a value, of each judged metric and
            of the samples as a whole, 0..1.
        judged: Which metrics are judged.
        baseline: Whether it takes a baseline.
    """

    coverage_ratio: float
    judged: AbstractSet[Metric]
    baseline: bool


class Means(NamedTuple):
    """The metrics before and after, as a `Comparison` has them; every array has shape (d, 5).

    Attributes:
        baseline_n: Baseline values.
        post_n: Post values.
        expected: Mean of the baseline, in the metric's unit; NaN without a value.
        observed: Mean of the post window.
    """

    baseline_n: Numbers
    post_n: Numbers
    expected: Array
    observed: Array


def measure(block: Block) -> Means:
    """Count and average the values of every metric of every deployment of `block`."""
    before, after = block.before, block.after
    return Means(_count(before), _count(after), _average(before), _average(after))


def _count(values: Array) -> Numbers:
    return np.ascontiguousarray((~np.isnan(values)).sum(axis=-1).T)


def _average(values: Array) -> Array:
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    first = np.take_along_axis(values, known.argmax(axis=-1)[..., None], axis=-1)
    # Averaging distances from the first value keeps a constant exactly what it is, and dividing
    # before summing keeps huge values finite.
    distance = (values - first) / np.maximum(n, 1)[..., None]
    mean: Array = first[..., 0] + np.where(known, distance, 0.0).sum(axis=-1)
    return np.ascontiguousarray(mean.T)


def describe(means: Means, failed: Flags, severe: Flags, **said: NDArray[np.generic]) -> Comparison:
    """Return evidence of counts and means; every failure has the same share in the alarm.

    Args:
        means: What `measure` returned.
        failed: Shape (d, 5).
        severe: Shape (d, 5).
        said: What else there is to say, by the name of the column.
    """
    unsaid: dict[str, Any] = {
        field.name: np.full(failed.shape, NONE if field.type == "Numbers" else np.nan)
        for field in fields(Comparison)
    }
    shares = failed / np.maximum(failed.sum(axis=1, keepdims=True), 1)
    verdict = {"failed": failed, "severe": severe, "contribution": shares}
    return Comparison(**unsaid | means._asdict() | verdict | said)


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
        ReasonCode.METRIC_MISSING: (mark(needs.judged) & missing).any(axis=1),
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
