from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from analytics import judge, policy, windows
from analytics.hints import diagnose
from core.types import Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

FINISHED_AT = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
AWFUL = {"latency_p95": 900.0, "error_rate": 0.9, "cpu_usage": 0.99}


@pytest.mark.parametrize("name", ["slo", "kayenta-compatible"])
def test_a_target_that_repeats_old_numbers_is_never_ok_nor_a_rollback(
    frames: Frames, name: str
) -> None:
    deployments, samples = frames(before=[{}] * 10, after=[AWFUL] * 5)
    stuck = samples.with_columns(source_at=pl.lit(FINISHED_AT - timedelta(minutes=9)))
    (judgement,) = judge.judge(windows.split(deployments, stuck), policy.find(name), FINISHED_AT)
    assert (judgement.verdict, judgement.conclusive) == (Verdict.WARNING, False)
    assert judgement.reason_code == "stale_source"
    assert judgement.quality_ratio == 0
    assert "source_clock_stuck" in judgement.penalties
    assert not any(each.failed for each in judgement.evidence)
    assert [hint.rule for hint in diagnose(judgement)] == ["stale_source"]
    (fresh,) = judge.judge(windows.split(deployments, samples), policy.find(name), FINISHED_AT)
    assert fresh.verdict is Verdict.ROLLBACK_RECOMMENDED


@pytest.mark.parametrize("name", ["slo", "kayenta-compatible"])
def test_confidence_is_how_complete_the_data_was(frames: Frames, name: str) -> None:
    deployments, samples = frames(before=[{}] * 30, after=[{}] * 4)
    (judgement,) = judge.judge(windows.split(deployments, samples), policy.find(name), FINISHED_AT)
    assert judgement.conclusive
    assert judgement.confidence == judgement.coverage_ratio == judgement.quality_ratio == 0.8
    assert judgement.penalties == ("missing_slots",)
