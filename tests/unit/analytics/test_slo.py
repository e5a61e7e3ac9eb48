from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from analytics import judge, policy, windows
from analytics.slo import Objective
from core.errors import InvalidInputError
from core.judgement import Judgement
from core.types import Attribution, Metric, Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

AS_OF = datetime(2026, 3, 1, 13, tzinfo=UTC)
SLO = policy.find("slo")
TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric
SLOW = {"latency_p95": 301.0}
FAILING = {"error_rate": 0.02}
GOOD: dict[str, float] = {}


def _judge(frames: Frames, rules: Mapping[str, Any] | None = None, **case: Any) -> Judgement:  # noqa: ANN401
    chosen = replace(SLO, rules=replace(SLO.rules, **(rules or {})))
    case = {"before": [GOOD] * 10, "post_slots": 5} | case
    (judgement,) = judge.judge(windows.split(*frames(**case)), chosen, AS_OF)
    return judgement


@pytest.mark.parametrize(
    ("after", "post_slots", "verdict"),
    [
        ([GOOD] * 5, 5, Verdict.OK),
        ([SLOW, SLOW, GOOD, GOOD, GOOD], 5, Verdict.OK),
        ([SLOW, GOOD, SLOW, GOOD, SLOW], 5, Verdict.WARNING),
        ([SLOW] * 5, 5, Verdict.WARNING),
        ([{"latency_p95": 300.0}] * 5, 5, Verdict.OK),
        # Three bad slots, but never three of five in a row.
        ([SLOW, SLOW, GOOD, GOOD, GOOD, SLOW, *[GOOD] * 9], 15, Verdict.OK),
        ([*[GOOD] * 9, SLOW, SLOW, GOOD, GOOD, SLOW, GOOD], 15, Verdict.WARNING),
        ([FAILING] * 3 + [GOOD] * 2, 5, Verdict.ROLLBACK_RECOMMENDED),
        ([FAILING] * 2 + [GOOD] * 3, 5, Verdict.OK),
        # A window shorter than n counts as a whole.
        ([SLOW] * 3, 3, Verdict.WARNING),
    ],
)
def test_k_of_n_slots_in_a_row_fail(
    frames: Frames, after: list[dict[str, float]], post_slots: int, verdict: Verdict
) -> None:
    judgement = _judge(frames, after=after, post_slots=post_slots)
    assert judgement.verdict is verdict
    assert judgement.conclusive


def test_the_evidence_tells_limit_and_share(frames: Frames) -> None:
    judgement = _judge(frames, after=[SLOW, SLOW, SLOW, GOOD])
    traffic, latency, errors, _, _ = judgement.evidence
    assert judgement.reason_code == "threshold_exceeded"
    assert judgement.confidence == 0.8
    assert (latency.threshold, latency.exceedance_ratio, latency.tolerance_ratio) == (
        300,
        0.75,
        0.4,
    )
    assert latency.expected == 50.0
    assert latency.observed == pytest.approx(238.25)
    assert (latency.failed, latency.severe, latency.contribution) == (True, False, 1.0)
    assert (errors.exceedance_ratio, errors.contribution) == (0.0, 0.0)
    assert (traffic.threshold, traffic.exceedance_ratio) == (None, None)


@pytest.mark.parametrize(
    ("slots", "reason", "confidence"),
    [
        (0, "no_post_samples", 0.0),
        (2, "insufficient_post_samples", 0.4),
        (3, "threshold_exceeded", 0.6),
    ],
)
def test_three_slots_of_five_are_just_enough(
    frames: Frames, slots: int, reason: str, confidence: float
) -> None:
    """The share of samples that carries a verdict is the least that does: 0.6."""
    judgement = _judge(frames, after=[SLOW] * slots)
    assert (judgement.reason_code, judgement.confidence) == (reason, confidence)
    assert judgement.conclusive == (slots == 3)


@pytest.mark.parametrize(
    ("before", "after", "attribution", "verdict"),
    [
        ([GOOD] * 5, [FAILING] * 5, Attribution.INTRODUCED, Verdict.ROLLBACK_RECOMMENDED),
        ([FAILING] * 5, [FAILING] * 5, Attribution.PRE_EXISTING, Verdict.WARNING),
        ([], [FAILING] * 5, Attribution.UNKNOWN, Verdict.WARNING),
        ([FAILING] * 5, [GOOD] * 5, Attribution.RECOVERED, Verdict.OK),
        ([FAILING] * 2 + [GOOD] * 5, [GOOD] * 5, None, Verdict.OK),
    ],
)
def test_only_what_the_deploy_introduced_recommends_a_rollback(
    frames: Frames,
    before: list[dict[str, float]],
    after: list[dict[str, float]],
    attribution: Attribution | None,
    verdict: Verdict,
) -> None:
    judgement = _judge(frames, before=before, after=after)
    assert judgement.evidence[2].attribution is attribution
    assert judgement.verdict is verdict


def test_a_traffic_objective_is_a_floor(frames: Frames) -> None:
    floor = {"objectives": {TRAFFIC: Objective(8.0, 2, 3)}, "severe": frozenset({TRAFFIC})}
    low, good = {"requests_per_sec": 7.9}, {"requests_per_sec": 8.0}
    judgement = _judge(frames, floor, after=[good, low, low, good, good])
    assert judgement.verdict is Verdict.ROLLBACK_RECOMMENDED
    assert judgement.evidence[0].threshold == 8.0
    assert _judge(frames, floor, after=[low, good, good, low, good]).verdict is Verdict.OK
    assert _judge(frames, floor, after=[SLOW] * 5).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ([], "no_post_samples"),
        ([SLOW] * 2, "insufficient_post_samples"),
        ([{"cpu_usage": None}] * 5, "metric_missing"),
        ([{"requests_per_sec": 0.0}] * 5, "metric_missing"),
    ],
)
def test_what_cannot_be_known_is_said(
    frames: Frames, after: list[dict[str, Any]], reason: str
) -> None:
    judgement = _judge(frames, after=after)
    assert (judgement.verdict, judgement.conclusive) == (Verdict.WARNING, False)
    assert judgement.reason_code == reason
    assert not any(each.failed or each.attribution for each in judgement.evidence)


def test_objectives_need_no_baseline(frames: Frames) -> None:
    assert _judge(frames, before=[], after=[GOOD] * 5).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"objectives": {}}, "objectives: at least one"),
        ({"objectives": {CPU: Objective(1.01, 1, 1)}}, "objectives.cpu_usage.limit"),
        ({"objectives": {LATENCY: Objective(9.0, 1, 1)}}, "severe: error_rate has no objective"),
        ({"min_coverage_ratio": 0.0}, "min_coverage_ratio"),
        ({"min_coverage_ratio": 1.5}, "min_coverage_ratio"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        replace(SLO.rules, **numbers)


@pytest.mark.parametrize(("bad_slots", "of_slots"), [(0, 5), (6, 5)])
def test_impossible_objectives_are_refused(bad_slots: int, of_slots: int) -> None:
    with pytest.raises(InvalidInputError, match=r"^bad_slots"):
        Objective(1.0, bad_slots, of_slots)
