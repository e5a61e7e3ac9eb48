"""What the judge says, as plain frozen values: a judgement and the evidence it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from core.types import Attribution, Metric, Verdict


class Direction(StrEnum):
    """Which way a metric moved with a deployment, in the eyes of its users."""

    WORSE = "worse"
    BETTER = "better"


class Pattern(StrEnum):
    """How a deviation runs through the post window."""

    STEP = "step"  # there from the start and it stays
    RAMP = "ramp"  # it grows while it is watched
    TRANSIENT = "transient"  # it was there and is over
    FLAPPING = "flapping"  # it comes and goes


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one metric contributed to a verdict.

    Effects of a metric (effect, its interval, minimum_effect, smallest_detectable_effect,
    distance_to_flip) share one scale, positive where it got worse: for the error rate the
    difference in 0..1, for the others the change as a share of what was expected (0.5: half as
    much latency again, or half the traffic gone).

    Attributes:
        baseline_source: `baseline`, `pre`, `previous`, `history` or `none`.
        baseline_n: Baseline samples used.
        post_n: Post samples used.
        expected: Level without the deployment, in the metric's unit; None without a baseline.
        observed: Level of the post window, in the metric's unit; None without samples.
        threshold: The level a slot (under `relative`: the window) must not cross, in the metric's
            unit; None if not applicable.
        exceedance_ratio: Share of the post slots with a value that are beyond the threshold, 0..1;
            None without either.
        tolerance_ratio: Share that the method tolerates, 0..1: of slots beyond the threshold; under
            `relative` of slots worse by half of `minimum_effect`; under `kayenta` of the shift.
        failed: Whether the metric contributes to an alarm.
        attribution: Whose the deviation is; None if there is none.
        severe: Whether the failure takes part in recommending a rollback.
        direction: Which way the metric moved, if it surely moved.
        pattern: How the deviation runs through the post window, if there is one.
        effect: Size of the change; None if it cannot be told.
        effect_low: Lower end of its 95 % interval.
        effect_high: Upper end of its 95 % interval.
        minimum_effect: Smallest effect that matters under the policy.
        smallest_detectable_effect: Effect that would have been found nine times of ten.
        test: Name of the test (see docs/method.md); None if nothing was tested.
        statistic: Value of the test.
        p_value: Probability of such a value without a change, 0..1.
        contribution: Share of this metric in the alarm, 0..1.
        distance_to_flip: How much the effect may grow until the metric fails; negative: how much
            it would have to fall until it does not.
        trend_per_hour: Slope in the post window, in the metric's unit per hour, if it surely grows
            in the harmful direction.
    """

    metric: Metric
    baseline_source: str
    baseline_n: int
    post_n: int
    expected: float | None
    observed: float | None
    threshold: float | None
    exceedance_ratio: float | None
    tolerance_ratio: float
    failed: bool
    attribution: Attribution | None
    severe: bool = False
    direction: Direction | None = None
    pattern: Pattern | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    minimum_effect: float | None = None
    smallest_detectable_effect: float | None = None
    test: str | None = None
    statistic: float | None = None
    p_value: float | None = None
    contribution: float = 0.0
    distance_to_flip: float | None = None
    trend_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything the judge says of one deployment.

    Attributes:
        conclusive: False when the data could not have carried a verdict.
        reason_code: Machine-readable reason, see docs/method.md.
        confidence: 0..1, meaning defined by the policy.
        coverage_ratio: Share of planned post slots that carry a sample, 0..1.
        as_of: The moment the judge was told it is.
        quality_ratio: How sound the data was, 0..1; what the penalties leave of 1.
        penalties: What was wrong with the data, in a fixed order; see docs/method.md.
        confounders: Other deployments of the same project and environment in these windows.
        decided_at: `sequence_index` of the slot after which no later slot could change the
            verdict; None if the last one could, or the policy cannot tell.
        profile_until: End of the history behind the service's profile; None without one.
    """

    deployment_id: UUID
    policy: str
    verdict: Verdict
    conclusive: bool
    reason_code: str
    confidence: float
    coverage_ratio: float
    evidence: tuple[Evidence, ...]
    as_of: datetime
    quality_ratio: float = 1.0
    penalties: tuple[str, ...] = ()
    confounders: tuple[UUID, ...] = ()
    decided_at: int | None = None
    profile_until: datetime | None = None
