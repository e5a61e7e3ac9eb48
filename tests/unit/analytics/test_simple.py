from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product

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


@pytest.mark.parametrize("name", ["slo", "kayenta-compatible"])
def test_neighbours_make_no_difference(frames: Frames, name: str) -> None:
    bad = [{"latency_p95": 400.0}, {"error_rate": 0.1}, {"cpu_usage": 0.95}, {"memory_usage": 0.9}]
    slots = [{}, *bad, bad[0] | bad[1], bad[0] | bad[1] | bad[2], {"latency_p95": None}]
    parts = [
        frames(number=number, before=[{}] * size, after=[slot] * 5)
        for number, (slot, size) in enumerate(product(slots, (0, 1, 30)), start=1)
    ]
    deployments, samples = (pl.concat(part) for part in zip(*parts, strict=True))
    chosen = policy.find(name)
    together = judge.judge(windows.split(deployments, samples), chosen, FINISHED_AT)
    alone = [judge.judge(windows.split(*part), chosen, FINISHED_AT)[0] for part in parts]
    assert together == alone
    assert len({judgement.verdict for judgement in together}) == 3
    shares = [sum(each.contribution for each in one.evidence) for one in together]
    assert all(
        share == pytest.approx(float(any(each.failed for each in one.evidence)))
        for share, one in zip(shares, together, strict=True)
    )
