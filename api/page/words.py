"""What a verdict says, in whole sentences: what was found, how sure that is, what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from analytics.phrases import describe
from analytics.reasons import Penalty, ReasonCode
from api.page.content import Report
from core.judgement import Judgement
from core.types import DeploymentResult, DeploymentState, Phase, Verdict


@dataclass(frozen=True, slots=True)
class Summary:
    """The verdict in words.

    Attributes:
        tone: `good`, `caution`, `bad`, `unknown` or `waiting`.
        changes: What failed, a phrase for each metric, the largest part first.
    """

    tone: str
    headline: str
    found: str
    sure: str
    advice: str
    changes: tuple[str, ...] = ()


STATES: Final[Mapping[DeploymentState, str]] = {
    DeploymentState.PENDING: "The deployment was triggered and has not finished yet.",
    DeploymentState.RUNNING: "The deployment is being rolled out and has not finished yet.",
    DeploymentState.FINISHED: "The deployment is rolled out and being watched.",
    DeploymentState.ANALYZED: "The deployment is being judged.",
}

REASONS: Final[Mapping[str, str]] = {
    ReasonCode.NO_POST_SAMPLES: "Nothing was collected after the deploy.",
    ReasonCode.INSUFFICIENT_POST_SAMPLES: "Too little was collected after the deploy to tell.",
    ReasonCode.STALE_SOURCE: "The target kept repeating old numbers, so nothing is known of now.",
    ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED: "The error rate or the traffic crossed its limit.",
    ReasonCode.THRESHOLD_EXCEEDED: "Latency, CPU or memory crossed its limit.",
    ReasonCode.SEVERE_REGRESSION: "The deploy made something much worse.",
    ReasonCode.REGRESSION: "The deploy made something worse.",
    ReasonCode.NO_BASELINE: "Nothing is known from before the deploy to compare with.",
    ReasonCode.METRIC_MISSING: "Nothing failed, but some of what was to be judged is unknown.",
    ReasonCode.BAD_END: "Nothing failed, but the last minutes went badly.",
    ReasonCode.LOW_POWER: "Nothing failed, but failures could hide among so few requests.",
    ReasonCode.WITHIN_LIMITS: "All metrics stayed within their limits.",
    ReasonCode.NO_REGRESSION: "No metric got worse by more than the service moves by itself.",
}

PENALTIES: Final[Mapping[str, str]] = {
    Penalty.MISSING_SLOTS: "planned slots after the deploy were missed",
    Penalty.MISSING_VALUES: "samples lacked one of the numbers",
    Penalty.SOURCE_CLOCK_STUCK: "the target repeated old numbers",
    Penalty.CLOCK_SKEW: "the target's clock is not ours",
    Penalty.THIN_BASELINE: "there were few samples from before",
    Penalty.NO_BASELINE: "there were no samples from before",
}

SOURCES: Final[Mapping[str, str]] = {
    "baseline": "right before the deploy",
    "pre": "one reading at the trigger",
    "previous": "after the last harmless deploy",
    "history": "the same minutes a week ago",
    "none": "nothing",
}
"""Where a baseline comes from."""


UNIT: Final = re.compile(r"(?<=\d) (?=%|ms\b|req/s\b|points\b|times\b|s\b|min\b|h\b)")


def summarise(report: Report) -> Summary:
    """Return what a report says first."""
    judgement = report.judgement
    if judgement is None:
        return _wait(report)
    tone, headline, advice = _judge(judgement)
    if report.hints and judgement.verdict is not Verdict.OK and report.hints[0].actions:
        advice = report.hints[0].actions[0]
    found = REASONS.get(judgement.reason_code, plain(judgement.reason_code))
    sure = _trust(report, judgement)
    return Summary(tone, headline, found, sure, advice, tuple(_list_changes(judgement)))


def _judge(judgement: Judgement) -> tuple[str, str, str]:
    match judgement.verdict, judgement.conclusive:
        case Verdict.ROLLBACK_RECOMMENDED, _:
            return "bad", "Rollback recommended", "Roll back, unless you know better."
        case Verdict.WARNING, True:
            return "caution", "Warning: something got worse", "Look at it before you go on."
        case Verdict.OK, True:
            return "good", "OK: no harm found", "Nothing. Go on."
        case Verdict.OK, _:
            return "unknown", "OK as far as can be seen", "Keep an eye on it: harm could hide here."
    return (
        "unknown",
        "Inconclusive: the data cannot tell",
        "Look for yourself, and find out why the data is missing.",
    )


def _list_changes(judgement: Judgement) -> Iterator[str]:
    failed = (each for each in judgement.evidence if each.failed)
    for each in sorted(failed, key=lambda item: -item.contribution):
        words = describe(replace(each, effect_low=None))  # the interval is in the table
        yield tie(words[:1].upper() + words[1:])


def _trust(report: Report, judgement: Judgement) -> str:
    planned = report.deployment.post_slots or 0
    read = round(judgement.coverage_ratio * planned)
    data = f"{read} of {planned} slots collected, quality {percent(judgement.quality_ratio)}"
    if not judgement.conclusive:
        return f"The data was not enough to be sure: {data}."
    return f"{percent(judgement.confidence)} confident. Data: {data}."


def _wait(report: Report) -> Summary:
    deployment = report.deployment
    found = STATES[deployment.state]
    if deployment.result is DeploymentResult.FAILED:
        found = f"{found} Its pipeline says that it failed."
    after = [each for each in report.moments if each.phase is Phase.POST]
    read = sum(each.code is None for each in after)
    sure = f"{read} of {deployment.post_slots or 'the'} slots after the deploy are collected"
    if missed := len(after) - read:
        sure = f"{sure}, {missed} missed"
    finished = deployment.finished_at is not None
    advice = "Wait." if finished else "Nothing, until the pipeline calls finish."
    return Summary("waiting", "No verdict yet", found, f"{sure}.", advice)


def percent(share: float) -> str:
    """Return a share in per cent; a little less than all never becomes all."""
    hundredths = 100 * share
    if not math.isfinite(hundredths):
        return "unknown"
    rounded = round(hundredths)
    shown = min(rounded, 99) if share < 1 else rounded
    return f"{shown:d}\N{NO-BREAK SPACE}%"


def moment(at: datetime) -> str:
    """Return a moment to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def tie(text: str) -> str:
    """Return text in which no line ends between a number and its unit."""
    return UNIT.sub("\N{NO-BREAK SPACE}", text)


def plain(word: str) -> str:
    """Return a code word as words."""
    return word.replace("_", " ")
