"""Turn comparisons into a verdict: first whether the data can carry one, then what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import polars as pl

from analytics.aggregate import share
from analytics.compare import compare
from analytics.policy import Policy
from analytics.windows import Windows
from core.types import Attribution, Evidence, Judgement, Metric, Verdict


class ReasonCode(StrEnum):
    """Why a verdict is what it is; tried in this order, the first that applies is the reason."""

    NO_POST_SAMPLES = "no_post_samples"
    INSUFFICIENT_POST_SAMPLES = "insufficient_post_samples"
    ERROR_RATE_OR_TRAFFIC_FAILED = "error_rate_or_traffic_failed"
    THRESHOLD_EXCEEDED = "threshold_exceeded"
    NO_BASELINE = "no_baseline"
    METRIC_MISSING = "metric_missing"
    WITHIN_LIMITS = "within_limits"


VERDICTS: Final[Mapping[ReasonCode, Verdict]] = {
    ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED: Verdict.ROLLBACK_RECOMMENDED,
    ReasonCode.THRESHOLD_EXCEEDED: Verdict.WARNING,
    ReasonCode.WITHIN_LIMITS: Verdict.OK,
}
"""The conclusive reasons; every other one is an inconclusive warning."""

INCONCLUSIVE_CONFIDENCE: Final = 0.5
"""Most confidence an inconclusive verdict may have."""

Comparisons = Mapping[Metric, pl.DataFrame]


def judge(windows: Windows, policy: Policy, as_of: datetime) -> list[Judgement]:
    """Judge every deployment of `windows`.

    Args:
        windows: What `analytics.windows.split` returned.
        policy: The rule.
        as_of: The moment of the judgement; written down, used for nothing else.

    Returns:
        One judgement per deployment, in the order of `windows.deployments`.
    """
    comparisons = {metric: compare(windows, metric, policy) for metric in Metric}
    decisions = decide(windows, comparisons, policy).iter_rows()
    evidence = zip(*(_evidence(metric, comparisons[metric]) for metric in Metric), strict=True)
    return [
        _judgement(*decision, evidence=five, policy=policy.name, as_of=as_of)
        for decision, five in zip(decisions, evidence, strict=True)
    ]


def decide(windows: Windows, comparisons: Comparisons, policy: Policy) -> pl.DataFrame:
    """Decide on every deployment without making objects of it.

    Returns:
        One row per deployment: deployment_id, reason_code, confidence and coverage_ratio (0..1).
    """
    failed = pl.DataFrame({metric.value: comparisons[metric]["failed"] for metric in Metric})
    reason = _reason(policy)
    return (
        windows.deployments.with_columns(
            severe=failed.select(pl.any_horizontal(*sorted(policy.severe))).to_series(),
            failed=failed.select(pl.any_horizontal(pl.all())).to_series(),
            missing=_missing(windows, comparisons, policy),
        )
        .with_columns(reason_code=reason)
        .select("deployment_id", "reason_code", _confidence(policy), "coverage_ratio")
    )


def _reason(policy: Policy) -> pl.Expr:
    return (
        pl.when(pl.col("post_n") == 0)
        .then(pl.lit(ReasonCode.NO_POST_SAMPLES.value))
        .when(pl.col("coverage_ratio") < policy.min_coverage_ratio)
        .then(pl.lit(ReasonCode.INSUFFICIENT_POST_SAMPLES.value))
        .when("severe")
        .then(pl.lit(ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED.value))
        .when("failed")
        .then(pl.lit(ReasonCode.THRESHOLD_EXCEEDED.value))
        .when(pl.col("baseline_n") == 0)
        .then(pl.lit(ReasonCode.NO_BASELINE.value))
        .when("missing")
        .then(pl.lit(ReasonCode.METRIC_MISSING.value))
        .otherwise(pl.lit(ReasonCode.WITHIN_LIMITS.value))
    )


def _missing(windows: Windows, comparisons: Comparisons, policy: Policy) -> pl.Series:
    """Whether too little is known of some metric to call the deployment harmless."""
    planned = windows.deployments["post_slots"]
    # Traffic without a baseline cannot be judged. Where it has one, slots without traffic are
    # either a fall that traffic itself answers for, or the habit of an idle service: they excuse
    # the latency and the error rate they cannot have.
    missing = comparisons[Metric.REQUESTS_PER_SEC]["baseline_n"] == 0
    for metric in Metric:
        known = comparisons[metric]["post_n"]
        if metric in (Metric.LATENCY_P95, Metric.ERROR_RATE):
            known = known + windows.deployments["idle_n"]
        missing |= share(known, planned) < policy.min_coverage_ratio
    return missing


def _confidence(policy: Policy) -> pl.Expr:
    solid = (pl.col("baseline_source") == "baseline") & (
        pl.col("baseline_n") >= policy.solid_baseline_n
    )
    weight = pl.when(solid).then(1.0).when(pl.col("baseline_n") > 0).then(0.8).otherwise(0.5)
    complete = (pl.col("coverage_ratio") * weight).round(3)
    return (
        pl.when(pl.col("reason_code").is_in([reason.value for reason in VERDICTS]))
        .then(complete)
        .otherwise(pl.min_horizontal(complete, INCONCLUSIVE_CONFIDENCE))
        .alias("confidence")
    )


def _evidence(metric: Metric, comparison: pl.DataFrame) -> Iterator[Evidence]:
    for fields in comparison.iter_rows(named=True):
        whose = fields["attribution"]
        yield Evidence(**fields | {"metric": metric, "attribution": whose and Attribution(whose)})


def _judgement(
    deployment_id: str,
    reason_code: str,
    confidence: float,
    coverage_ratio: float,
    *,
    evidence: tuple[Evidence, ...],
    policy: str,
    as_of: datetime,
) -> Judgement:
    reason = ReasonCode(reason_code)
    return Judgement(
        deployment_id=UUID(deployment_id),
        policy=policy,
        verdict=VERDICTS.get(reason, Verdict.WARNING),
        conclusive=reason in VERDICTS,
        reason_code=reason.value,
        confidence=confidence,
        coverage_ratio=coverage_ratio,
        evidence=evidence,
        as_of=as_of,
    )
