from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from analytics.phrases import amount, describe, phrase
from analytics.surroundings import NOTHING_KNOWN, Drift, Surroundings
from core.judgement import Evidence, Judgement
from core.types import CollectCode, Metric, Verdict

TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric
NEUTRAL = Evidence(
    metric=LATENCY,
    baseline_source="baseline",
    baseline_n=30,
    post_n=5,
    expected=38.0,
    observed=59.3,
    threshold=None,
    exceedance_ratio=None,
    tolerance_ratio=0.0,
    failed=True,
    attribution=None,
)
JUDGEMENT = Judgement(
    deployment_id=UUID(int=1),
    policy="any",
    verdict=Verdict.WARNING,
    conclusive=True,
    reason_code="regression",
    confidence=1.0,
    coverage_ratio=0.333,
    evidence=(NEUTRAL,),
    as_of=datetime(2026, 3, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        (NEUTRAL, "latency p95 59.3 ms against 38 ms before the deploy"),
        (
            replace(NEUTRAL, baseline_source="previous"),
            "latency p95 59.3 ms against 38 ms after the deploy before this one",
        ),
        (
            replace(NEUTRAL, baseline_source="history"),
            "latency p95 59.3 ms against 38 ms at this time of earlier weeks",
        ),
        (
            replace(NEUTRAL, effect=0.56),
            "latency p95 59.3 ms against 38 ms before the deploy (+56 %)",
        ),
        (
            replace(NEUTRAL, effect=0.56, effect_low=0.4),
            "latency p95 59.3 ms against 38 ms before the deploy (+56 %)",
        ),
        (
            replace(NEUTRAL, effect=0.56, effect_low=0.4, effect_high=0.71),
            "latency p95 59.3 ms against 38 ms before the deploy "
            "(+56 %, 95 % interval +40 % to +71 %)",
        ),
        (
            replace(NEUTRAL, metric=ERRORS, expected=0.001, observed=0.032, effect=0.031),
            "error rate 3.2 % against 0.1 % before the deploy (+3.1 points)",
        ),
        (
            replace(
                NEUTRAL,
                metric=TRAFFIC,
                expected=10.0,
                observed=3.0,
                effect=0.7,
                effect_low=0.6,
                effect_high=0.8,
            ),
            "traffic 3 req/s against 10 req/s before the deploy "
            "(-70 %, 95 % interval -80 % to -60 %)",
        ),
        (
            replace(NEUTRAL, metric=TRAFFIC, expected=10.0, observed=10.0, effect=0.0),
            "traffic 10 req/s against 10 req/s before the deploy (+0 %)",
        ),
        (
            replace(NEUTRAL, effect=8.9),
            "latency p95 59.3 ms against 38 ms before the deploy (+890 %)",
        ),
        (
            replace(NEUTRAL, effect=25.0),
            "latency p95 59.3 ms against 38 ms before the deploy (26 times)",
        ),
        (
            replace(NEUTRAL, threshold=50.0, exceedance_ratio=0.8),
            "latency p95 59.3 ms against 38 ms before the deploy; 4 of 5 slots above 50 ms",
        ),
        (
            replace(NEUTRAL, metric=TRAFFIC, threshold=50.0, exceedance_ratio=0.2),
            "traffic 59.3 req/s against 38 req/s before the deploy; 1 of 5 slots below 50 req/s",
        ),
        (
            replace(NEUTRAL, threshold=None, exceedance_ratio=0.8),
            "latency p95 59.3 ms against 38 ms before the deploy",
        ),
        (
            replace(NEUTRAL, threshold=50.0, exceedance_ratio=0.8, effect=0.56),
            "latency p95 59.3 ms against 38 ms before the deploy (+56 %)",
        ),
        (
            replace(NEUTRAL, expected=None, observed=None),
            "latency p95 an unknown level against an unknown level before the deploy",
        ),
    ],
)
def test_a_sentence_tells_levels_change_and_bad_slots(evidence: Evidence, sentence: str) -> None:
    assert describe(evidence) == sentence


@pytest.mark.parametrize(
    ("metric", "level", "text"),
    [
        (CPU, 0.914, "91.4 %"),
        (LATENCY, 1234.5, "1234 ms"),
        (LATENCY, 0.0, "0 ms"),
        (TRAFFIC, 1e7, "1e+07 req/s"),
        (MEMORY, None, "an unknown level"),
    ],
)
def test_an_amount_has_its_unit(metric: Metric, level: float | None, text: str) -> None:
    assert amount(metric, level) == text


@pytest.mark.parametrize(
    ("observed", "trend_per_hour", "text"),
    [
        (0.4, 0.6, "60 min"),
        (0.4, 0.1, "6 h"),
        (0.4, 0.01, "2.5 days"),
        (0.5, 0.26, "115 min"),
        (0.5, 0.25, "2 h"),
        (0.5, 0.0105, "48 h"),
        (0.5, 0.5 / 48, "2 days"),
        (0.4, 1e-9, "2.5e+07 days"),
        (1.0, 0.1, "0 min"),
        (1.2, 0.1, "0 min"),
        (0.4, None, "an unknown time"),
        (0.4, 0.0, "an unknown time"),
        (0.4, -1.0, "an unknown time"),
        (None, 0.1, "an unknown time"),
    ],
)
def test_how_long_the_memory_lasts(
    observed: float | None, trend_per_hour: float | None, text: str
) -> None:
    memory = replace(NEUTRAL, metric=MEMORY, observed=observed, trend_per_hour=trend_per_hour)
    words = phrase(replace(JUDGEMENT, evidence=(memory,)), NOTHING_KNOWN)
    assert words["time_to_limit"] == text


def test_a_judgement_without_evidence_breaks_no_sentence() -> None:
    words = phrase(replace(JUDGEMENT, evidence=()), NOTHING_KNOWN)
    assert "latency_p95" not in words
    assert words["time_to_limit"] == "an unknown time"


def test_missing_slots_are_named_by_code_most_frequent_first() -> None:
    missed = {
        CollectCode.DNS: 1,
        CollectCode.TIMEOUT: 3,
        CollectCode.TLS: 0,
        CollectCode.AUTH_REJECTED: 1,
    }
    words = phrase(JUDGEMENT, Surroundings(missed=missed))
    assert words["missed"] == " Missed slots by code: timeout 3, auth_rejected 1, dns 1."
    assert phrase(JUDGEMENT, NOTHING_KNOWN)["missed"] == ""


def test_the_smallest_detectable_effect_is_told_for_every_metric() -> None:
    able = tuple(
        replace(NEUTRAL, metric=metric, smallest_detectable_effect=effect)
        for metric, effect in ((TRAFFIC, 0.3), (LATENCY, 0.8), (ERRORS, 0.025), (CPU, None))
    )
    assert phrase(replace(JUDGEMENT, evidence=able), NOTHING_KNOWN)["detectable"] == (
        "traffic -30 %, latency p95 +80 %, error rate +2.5 points, CPU unknown"
    )


def test_a_drift_is_told_from_first_to_last() -> None:
    drifts = (Drift(LATENCY, 8, 80.0, 121.0), Drift(ERRORS, 6, 0.001, 0.007))
    assert phrase(JUDGEMENT, Surroundings(drifts=drifts))["drifts"] == (
        "latency p95 went from 80 ms to 121 ms over the last 8 deploys. "
        "And error rate went from 0.1 % to 0.7 % over the last 6 deploys"
    )


@pytest.mark.parametrize(("count", "end"), [(1, "01"), (3, "03"), (4, "03 and 1 more")])
def test_only_some_confounders_are_named(count: int, end: str) -> None:
    others = tuple(UUID(int=number) for number in range(1, count + 1))
    words = phrase(replace(JUDGEMENT, confounders=others), NOTHING_KNOWN)
    assert words["confounders"].endswith(end)
    assert words["confounders"].count("-") == 4 * min(count, 3)
