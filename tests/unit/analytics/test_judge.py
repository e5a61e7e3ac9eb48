from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from analytics import judge, policy, windows
from analytics.profile import build_profile
from analytics.reasons import CONCLUSIVE, VERDICTS, ReasonCode
from core.judgement import Evidence, Judgement
from core.types import Verdict

Verify = Callable[..., Judgement]
Frames = tuple[pl.DataFrame, pl.DataFrame]

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIVE: list[dict[str, object]] = [{}] * 5
IDLE = {"requests_per_sec": 0.0, "latency_p95": 0.0, "error_rate": 0.0}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"after": []}, ReasonCode.NO_POST_SAMPLES),
        ({"before": [], "after": []}, ReasonCode.NO_POST_SAMPLES),
        ({"after": [{}] * 2}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [{}] * 8, "post_slots": 15}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [{"error_rate": 1.0}] * 2}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [{}] * 59, "post_slots": 100}, ReasonCode.INSUFFICIENT_POST_SAMPLES),
        ({"after": [{}] * 3}, ReasonCode.WITHIN_LIMITS),
        ({"after": [{}] * 9, "post_slots": 15}, ReasonCode.WITHIN_LIMITS),
        ({"after": [{"error_rate": 0.5}] * 3}, ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED),
        ({"after": [{"requests_per_sec": 1.0}] * 5}, ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED),
        (
            {"after": [{"error_rate": 0.5, "cpu_usage": 1.0}] * 5},
            ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED,
        ),
        (
            {"before": [], "after": [{"error_rate": 0.5}] * 5},
            ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED,
        ),
        ({"after": [{"latency_p95": 300.0}] * 5}, ReasonCode.THRESHOLD_EXCEEDED),
        ({"after": [{"cpu_usage": 0.9}] * 5}, ReasonCode.THRESHOLD_EXCEEDED),
        ({"before": [], "after": [{"memory_usage": 0.9}] * 5}, ReasonCode.THRESHOLD_EXCEEDED),
        ({"before": [], "after": FIVE}, ReasonCode.NO_BASELINE),
        ({"pre": [{}], "after": FIVE}, ReasonCode.WITHIN_LIMITS),
        ({"after": [{"memory_usage": None}] * 5}, ReasonCode.METRIC_MISSING),
        ({"after": [{"latency_p95": None}] * 3 + [{}] * 2}, ReasonCode.METRIC_MISSING),
        ({"after": [{"latency_p95": None}] * 2 + [{}] * 3}, ReasonCode.WITHIN_LIMITS),
        (
            {"before": [{"requests_per_sec": None}] * 5, "after": FIVE},
            ReasonCode.METRIC_MISSING,
        ),
        ({"before": [IDLE] * 5, "after": [IDLE] * 5}, ReasonCode.WITHIN_LIMITS),
        (
            {"before": [IDLE] * 5, "after": [IDLE] * 2 + [{"error_rate": None}] * 3},
            ReasonCode.METRIC_MISSING,
        ),
        (
            {"before": [IDLE] * 5, "after": [IDLE | {"cpu_usage": None}] * 5},
            ReasonCode.METRIC_MISSING,
        ),
        ({"after": [IDLE] * 5}, ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED),
        ({"after": [IDLE] + [{}] * 4}, ReasonCode.WITHIN_LIMITS),
        ({"after": FIVE}, ReasonCode.WITHIN_LIMITS),
    ],
)
def test_gives_the_first_reason_that_applies(
    verify: Verify, case: dict[str, object], reason: ReasonCode
) -> None:
    judgement = verify(**case)
    assert judgement.reason_code == reason
    assert judgement.conclusive == (reason in CONCLUSIVE)
    assert judgement.verdict == VERDICTS.get(reason, Verdict.WARNING)


@pytest.mark.parametrize(
    ("case", "confidence"),
    [
        ({"before": [{}] * 3, "after": FIVE}, 1.0),
        ({"before": [{}] * 2, "after": FIVE}, 0.8),
        ({"pre": [{}] * 9, "after": FIVE}, 0.8),
        ({"before": [], "after": [{"cpu_usage": 1.0}] * 5}, 0.5),
        ({"before": [], "after": FIVE}, 0.5),
        ({"after": [{}] * 10, "post_slots": 15}, 0.667),
        ({"pre": [{}], "after": [{}] * 10, "post_slots": 15}, 0.533),
        ({"after": [{"cpu_usage": None}] * 5}, 0.5),
        ({"after": [{}] * 2}, 0.4),
        ({"after": []}, 0.0),
    ],
)
def test_confidence_says_how_complete_the_evidence_was(
    verify: Verify, case: dict[str, object], confidence: float
) -> None:
    assert verify(**case).confidence == confidence


def test_a_judgement_carries_its_circumstances(verify: Verify) -> None:
    judgement = verify(after=[{}] * 4, number=77)
    assert judgement.deployment_id == UUID(int=77)
    assert judgement.policy == "reference-v2"
    assert judgement.coverage_ratio == 0.8
    assert judgement.as_of == datetime(2026, 3, 1, 12, 8, tzinfo=UTC)


def test_the_docs_list_every_reason() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "method.md").read_text()
    for reason in ReasonCode:
        verdict = VERDICTS.get(reason, Verdict.WARNING)
        rows = [line for line in docs.splitlines() if line.endswith(("| yes |", "| no |"))]
        (row,) = (line for line in rows if line.startswith(f"| `{reason}` |"))
        assert row.endswith(f"| `{verdict}` | {'yes' if reason in CONCLUSIVE else 'no'} |")


def test_the_worked_example_of_the_docs_is_true(verify: Verify) -> None:
    names = ("requests_per_sec", "latency_p95", "error_rate", "cpu_usage", "memory_usage")

    def window(*columns: tuple[float, ...]) -> list[dict[str, float]]:
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    judgement = verify(
        before=window(
            (12, 11, 13, 12),
            (36, 40, 38, 38),
            (0.001, 0, 0.002, 0.001),
            (0.31, 0.29, 0.30, 0.30),
            (0.50, 0.50, 0.51, 0.51),
        ),
        after=window(
            (11, 12, 10, 12),
            (290, 395, 430, 455),
            (0.004, 0.021, 0.035, 0.030),
            (0.55, 0.61, 0.64, 0.66),
            (0.56, 0.56, 0.57, 0.57),
        ),
    )
    evidence = judgement.evidence
    assert [each.expected for each in evidence] == pytest.approx([12, 38, 0.001, 0.3, 0.505])
    assert [each.observed for each in evidence] == pytest.approx(
        [11.25, 392.5, 0.0225, 0.615, 0.565]
    )
    assert [each.threshold for each in evidence] == pytest.approx([9.6, 270, 0.009, 0.72, 0.72])
    assert [each.exceedance_ratio for each in evidence] == [0, 1, 0.75, 0, 0]
    assert [each.failed for each in evidence] == [False, True, True, False, False]
    assert judgement.reason_code == ReasonCode.ERROR_RATE_OR_TRAFFIC_FAILED
    assert (judgement.confidence, judgement.coverage_ratio) == (0.8, 0.8)


def test_a_big_batch_says_bit_for_bit_what_every_single_one_says(
    frames: Callable[..., Frames], verify_all: Callable[[Iterable[Frames]], list[Judgement]]
) -> None:
    random = np.random.default_rng(7)

    def series(n: int) -> list[dict[str, float]]:
        return [
            {
                "requests_per_sec": float(random.exponential(20)),
                "latency_p95": float(random.lognormal(5, 1)),
                "cpu_usage": float(random.random()),
            }
            for _ in range(n)
        ]

    cases = [
        frames(number=number, before=series(40), after=series(15), post_slots=15)
        for number in range(400)
    ]
    batch = verify_all(cases)
    assert [judgement.deployment_id.int for judgement in batch] == list(range(400))
    for number in range(0, 400, 20):
        assert repr(verify_all([cases[number]])) == repr([batch[number]])


def _plain(value: object) -> object:
    """As frames have it: ids and enumerations are texts."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, UUID | StrEnum) else value


@pytest.mark.parametrize("name", policy.POLICIES)
def test_frames_say_what_objects_say(frames: Callable[..., Frames], name: str) -> None:
    """Every column, for every kind of data: with penalties, without a baseline, with one sample."""
    leak = [{"memory_usage": 0.4 + 0.03 * slot} for slot in range(15)]
    cases: list[dict[str, Any]] = [
        {"before": [{}] * 30, "after": [{}] * 15, "post_slots": 15},
        {"before": [{}] * 30, "after": leak, "post_slots": 15},
        {"before": [{}] * 30, "after": [{"error_rate": 0.5, "latency_p95": 400.0}] * 5},
        {"before": [{"latency_p95": 900.0}] * 30, "after": [{}] * 5},
        {"before": [{}] * 30, "after": [{"latency_p95": 500.0}] * 2 + [{}] * 3},
        {"before": [{}], "after": [{"requests_per_sec": 1.0}] * 5},
        {"before": [], "after": [{"cpu_usage": None}] * 4},
        {"before": [{"latency_p95": None}] * 30, "after": [{}] * 5},
        {"before": [{}] * 30, "after": []},
    ]
    parts = [frames(number=number, **case) for number, case in enumerate(cases)]
    cut = windows.split(*(pl.concat(part) for part in zip(*parts, strict=True)))
    known = build_profile(frames(before=[{}] * 600)[1], UNTIL)
    assert known is not None
    profiles = {str(UUID(int=1)): known}
    rule = policy.find(name)
    objects = judge.judge(cut, rule, UNTIL, profiles)
    columns = judge.assess(cut, rule, profiles)
    assert columns.verdicts.to_dicts() == [
        {
            field.name: _plain(getattr(each, field.name))
            for field in fields(Judgement)
            if field.name not in ("as_of", "evidence")
        }
        | {"failed_metrics": [str(piece.metric) for piece in each.evidence if piece.failed]}
        for each in objects
    ]
    assert columns.evidence.to_dicts() == [
        {"deployment_id": str(each.deployment_id)}
        | {field.name: _plain(getattr(piece, field.name)) for field in fields(Evidence)}
        for each in objects
        for piece in each.evidence
    ]


def test_an_empty_batch_gives_no_judgements(
    frames: Callable[..., Frames], verify_all: Callable[[Iterable[Frames]], list[Judgement]]
) -> None:
    deployments, samples = frames()
    assert verify_all([(deployments.clear(), samples)]) == []
