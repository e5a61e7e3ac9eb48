"""The default judge of Spinnaker's Kayenta (NetflixACAJudge), on our windows.

A metric is High or Low when the confidence interval of its Hodges-Lehmann shift (Mann-Whitney)
lies beyond a share of the shift itself, and the ratio of the means is large enough; the score is
the weight of the metrics that passed. What differs from the original: docs/policies.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from types import MappingProxyType
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import (
    ATTRIBUTIONS,
    DIRECTIONS,
    NONE,
    Comparison,
    Decision,
    Flags,
    Numbers,
    mark,
)
from analytics.profile import Stack
from analytics.reasons import ReasonCode
from analytics.simple import Needs, describe, find_usable, measure
from analytics.simple import decide as decide_plainly
from analytics.statistics import mann_whitney
from core.errors import InvalidInputError
from core.judgement import Direction
from core.types import Attribution, Metric

TESTS: Final = ("mann_whitney",)
ORDER: Final = tuple(Metric)
TRAFFIC: Final = mark({Metric.REQUESTS_PER_SEC})
ERRORS: Final = mark({Metric.ERROR_RATE})

PAIRS: Final = 2_000_000
"""Most differences of pairs that are held at once (16 MB)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of a Kayenta-compatible policy; the defaults are Kayenta's.

    Attributes:
        confidence_level: Of the Mann-Whitney interval, between 0 and 1.
        tolerance_ratio: Share of the estimated shift beyond which the whole interval must lie.
        allowed_increase: Ratio of the means (after to before) from which a rise counts; 1: any.
        allowed_decrease: Ratio of the means up to which a fall of traffic counts; 1: any.
        critical: Metrics whose failure brings the score to 0.
        weights: Weight of each metric in the score; a metric without one is only reported.
        pass_score: Score from which the deployment is harmless, 0..100.
        marginal_score: Score under which a rollback is recommended, 0..100.
        min_coverage_ratio: Share of planned post slots that must carry a value, 0..1.
    """

    confidence_level: float = 0.98
    tolerance_ratio: float = 0.25
    allowed_increase: float = 1.0
    allowed_decrease: float = 1.0
    critical: frozenset[Metric] = frozenset()
    weights: Mapping[Metric, float] = field(
        default_factory=lambda: MappingProxyType(dict.fromkeys(Metric, 20.0))
    )
    pass_score: float = 95.0
    marginal_score: float = 75.0
    min_coverage_ratio: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.confidence_level < 1:
            raise InvalidInputError("confidence_level: must be above 0 and below 1")
        if not 0 <= self.tolerance_ratio <= 1:
            raise InvalidInputError("tolerance_ratio: must be in 0..1")
        if not self.allowed_increase >= 1:
            raise InvalidInputError("allowed_increase: must be at least 1")
        if not 0 <= self.allowed_decrease <= 1:
            raise InvalidInputError("allowed_decrease: must be in 0..1")
        if not self.weights or not all(weight > 0 for weight in self.weights.values()):
            raise InvalidInputError("weights: at least one, and each above 0")
        for metric in sorted(self.critical - self.weights.keys()):
            raise InvalidInputError(f"critical: {metric} has no weight, it can never fail")
        if not 0 <= self.marginal_score <= self.pass_score <= 100:
            raise InvalidInputError("marginal_score: must be at most pass_score, both in 0..100")
        if not 0 < self.min_coverage_ratio <= 1:
            raise InvalidInputError("min_coverage_ratio: must be above 0 and at most 1")


def list_judged(rules: Rules) -> frozenset[Metric]:
    """Return the metrics that can fail."""
    return frozenset(rules.weights)


def compare(block: Block, rules: Rules, profiles: Stack) -> Comparison:
    """Compare every metric of every deployment of `block`; `profiles` are of no use here."""
    del profiles
    means = measure(block)
    shift, low, high, u, p = _test(block, rules.confidence_level)
    worse, better = _classify(shift, low, high, means.observed / means.expected, rules)
    usable = find_usable(block, rules.min_coverage_ratio)[:, None]
    judged = worse & mark(list_judged(rules)) & usable
    score = _score(judged, (means.baseline_n > 0) & (means.post_n > 0), rules)[:, None]
    failed = judged & (score < rules.pass_score)
    effect, *ends = (_scale(each, means.expected) for each in (shift, low, high))
    return describe(
        means,
        failed,
        failed & (score < rules.marginal_score),
        tolerance_ratio=np.full(failed.shape, rules.tolerance_ratio),
        attribution=np.where(failed, ATTRIBUTIONS.index(Attribution.INTRODUCED), NONE),
        direction=_direction(worse, better),
        effect=effect,
        effect_low=np.minimum(*ends),
        effect_high=np.maximum(*ends),
        test=np.where(np.isnan(shift), NONE, 0),
        statistic=u,
        p_value=p,
    )


def decide(block: Block, comparison: Comparison, rules: Rules) -> Decision:
    """Make one decision of each deployment's comparisons."""
    return decide_plainly(
        block,
        comparison,
        Needs(rules.min_coverage_ratio, list_judged(rules), baseline=True),
        severe=ReasonCode.SEVERE_REGRESSION,
        failed=ReasonCode.REGRESSION,
        harmless=ReasonCode.NO_REGRESSION,
    )


def _test(block: Block, confidence_level: float) -> tuple[Array, ...]:
    """Hodges-Lehmann shift, the ends of its confidence interval, Mann-Whitney's U and its p.

    Each has shape (d, 5), NaN without values. The ends are those of R's `wilcox.test(conf.int =
    TRUE, exact = FALSE)`, which Kayenta uses: the differences of pairs where the normal
    approximation with continuity correction crosses the quantile. Ties across the samples do not
    count, those within them do. U counts the pairs that got worse, p is one-sided.
    """
    z = NormalDist().inv_cdf((1 + confidence_level) / 2)
    found = np.full((5, *block.after.shape[:2]), np.nan)
    height = max(1, PAIRS // (block.before.shape[-1] * block.after.shape[-1]))
    for place, start in np.ndindex(len(ORDER), -(-block.rows.size // height)):
        rows = slice(start * height, (start + 1) * height)
        before, after = block.before[place, rows], block.after[place, rows]
        worse = (after, before) if ORDER[place] is Metric.REQUESTS_PER_SEC else (before, after)
        found[:3, place, rows] = _shift_of(before, after, z)
        found[3:, place, rows] = mann_whitney(*worse)
    return tuple(np.ascontiguousarray(found.transpose(0, 2, 1)))


def _shift_of(before: Array, after: Array, z: float) -> Array:
    """Shift, lower and upper end of one metric, shape (3, d)."""
    pairs = np.sort((after[:, :, None] - before[:, None, :]).reshape(len(after), -1), axis=-1)
    m, n = (~np.isnan(after)).sum(axis=-1), (~np.isnan(before)).sum(axis=-1)
    size, both = m * n, m + n
    spread = both + 1 - (_ties(before) + _ties(after)) / np.maximum(both * (both - 1), 1)
    reach = z * np.sqrt(size / 12 * spread)
    low = np.clip(np.ceil(size / 2 - reach - 0.5), 1, np.maximum(size, 1)).astype(np.int64)
    places = np.stack([(size - 1) // 2, size // 2, low - 1, size - low])
    taken = np.take_along_axis(pairs, np.clip(places.T, 0, pairs.shape[-1] - 1), axis=-1).T
    # Half of each: the sum of two huge values would overflow.
    return np.stack([taken[0] / 2 + taken[1] / 2, taken[2], taken[3]])


def _ties(values: Array) -> Array:
    """The sum of t^3 - t over groups of t equal values, shape (d,)."""
    ordered = np.sort(values, axis=-1)
    place = np.arange(ordered.shape[-1])
    new = np.ones(ordered.shape, dtype=np.bool_)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    behind = place - np.maximum.accumulate(np.where(new, place, 0), axis=-1)
    ties: Array = (3.0 * behind * (behind + 1)).sum(axis=-1)
    return ties


def _classify(
    shift: Array, low: Array, high: Array, ratio: Array, rules: Rules
) -> tuple[Flags, Flags]:
    """Where a metric surely got worse by enough to count, and where it surely got better."""
    bound = rules.tolerance_ratio * np.abs(shift)
    risen, fallen = low > bound, high < -bound
    large = np.where(TRAFFIC, ratio <= rules.allowed_decrease, ratio >= rules.allowed_increase)
    return np.where(TRAFFIC, fallen, risen) & large, np.where(TRAFFIC, risen, fallen)


def _score(worse: Flags, known: Flags, rules: Rules) -> Array:
    """The weight of what passed, of what there is data for, shape (d,), 0..100."""
    weights = np.array([rules.weights.get(metric, 0.0) for metric in ORDER])
    score = 100 * (weights * (known & ~worse)).sum(axis=1) / (weights * known).sum(axis=1)
    return np.where((worse & mark(rules.critical)).any(axis=1), 0.0, score)


def _scale(shift: Array, expected: Array) -> Array:
    """A shift as an effect: positive where it is worse, a share but for the error rate."""
    effect = np.where(TRAFFIC, -shift, shift) / np.where(ERRORS, 1.0, expected)
    return np.where(np.isfinite(effect), effect, np.nan)


def _direction(worse: Flags, better: Flags) -> Numbers:
    numbers = [DIRECTIONS.index(Direction.WORSE), DIRECTIONS.index(Direction.BETTER)]
    direction: Numbers = np.select([worse, better], numbers, NONE)
    return direction
