"""What a verdict can rest on: reason codes with their verdicts, and penalties for bad data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.types import Verdict


class ReasonCode(StrEnum):
    """Why a verdict is what it is; exactly one per verdict. See docs/method.md."""

    NO_POST_SAMPLES = "no_post_samples"
    INSUFFICIENT_POST_SAMPLES = "insufficient_post_samples"
    STALE_SOURCE = "stale_source"
    ERROR_RATE_OR_TRAFFIC_FAILED = "error_rate_or_traffic_failed"
    THRESHOLD_EXCEEDED = "threshold_exceeded"
    SEVERE_REGRESSION = "severe_regression"
    REGRESSION = "regression"
    NO_BASELINE = "no_baseline"
    METRIC_MISSING = "metric_missing"
    BAD_END = "bad_end"
    LOW_POWER = "low_power"
    WITHIN_LIMITS = "within_limits"
    NO_REGRESSION = "no_regression"


VERDICTS: Final[Mapping[ReasonCode, Verdict]] = MappingProxyType(
    dict.fromkeys(ReasonCode, Verdict.WARNING)
    | {
        ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED: Verdict.ROLLBACK_RECOMMENDED,
        ReasonCode.SEVERE_REGRESSION: Verdict.ROLLBACK_RECOMMENDED,
        ReasonCode.BAD_END: Verdict.OK,
        ReasonCode.LOW_POWER: Verdict.OK,
        ReasonCode.WITHIN_LIMITS: Verdict.OK,
        ReasonCode.NO_REGRESSION: Verdict.OK,
    }
)
"""What each reason says to do."""

CONCLUSIVE: Final = frozenset(
    {
        ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED,
        ReasonCode.THRESHOLD_EXCEEDED,
        ReasonCode.SEVERE_REGRESSION,
        ReasonCode.REGRESSION,
        ReasonCode.WITHIN_LIMITS,
        ReasonCode.NO_REGRESSION,
    }
)
"""The reasons that rest on evidence; under every other one the data could not carry a verdict."""

CODES: Final = tuple(ReasonCode)
"""Reason codes by number, as arrays hold them."""


class Penalty(StrEnum):
    """What can be wrong with the data of a deployment."""

    MISSING_SLOTS = "missing_slots"  # planned post slots without a sample
    MISSING_VALUES = "missing_values"  # samples without one of the numbers
    SOURCE_CLOCK_STUCK = "source_clock_stuck"  # the target repeats old numbers
    CLOCK_SKEW = "clock_skew"  # the target's clock is not ours
    THIN_BASELINE = "thin_baseline"  # too few samples from before
    NO_BASELINE = "no_baseline"  # none at all
