"""Frames of made-up deployments; a sample is a dict of what differs from a healthy one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import polars as pl
import pytest

from analytics import judge, policy, windows
from core.judgement import Judgement

Sample: TypeAlias = Mapping[str, object]
Frames: TypeAlias = tuple[pl.DataFrame, pl.DataFrame]

TRIGGERED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINISHED_AT = TRIGGERED_AT + timedelta(minutes=2)
AS_OF = FINISHED_AT + timedelta(minutes=6)
HEALTHY = {
    "requests_per_sec": 10.0,
    "latency_p95": 50.0,
    "error_rate": 0.001,
    "cpu_usage": 0.3,
    "memory_usage": 0.4,
}


def build_frames(
    *,
    before: Iterable[Sample] = (),
    pre: Iterable[Sample] = (),
    after: Iterable[Sample] = (),
    post_slots: int = 5,
    number: int = 1,
) -> Frames:
    deployment_id = str(UUID(int=number))
    rows = [
        {"slot_at": TRIGGERED_AT - timedelta(minutes=1 + i), **HEALTHY, **sample}
        for i, sample in enumerate(before)
    ]
    rows += [
        {"slot_at": TRIGGERED_AT + timedelta(seconds=i), "phase": "pre", **HEALTHY, **sample}
        for i, sample in enumerate(pre)
    ]
    rows += [
        {
            "slot_at": FINISHED_AT + timedelta(minutes=i),
            "phase": "post",
            "sequence_index": i,
            **HEALTHY,
            **sample,
        }
        for i, sample in enumerate(after)
    ]
    samples = pl.DataFrame(
        [{"deployment_id": deployment_id, **row} for row in rows],
        schema=windows.SAMPLES,
        strict=False,
    )
    deployments = pl.DataFrame(
        [[deployment_id, "shop/prod", TRIGGERED_AT, FINISHED_AT, post_slots, 60.0]],
        schema=windows.DEPLOYMENTS,
        orient="row",
    )
    return deployments, samples


def verify_frames(frames: Iterable[Frames]) -> list[Judgement]:
    deployments, samples = (pl.concat(part) for part in zip(*frames, strict=True))
    return judge.judge(windows.split(deployments, samples), policy.REFERENCE_V2, AS_OF)


@pytest.fixture(scope="session")
def frames() -> Callable[..., Frames]:
    return build_frames


@pytest.fixture(scope="session")
def verify() -> Callable[..., Judgement]:
    """Judge one deployment; a healthy continuous baseline unless `before` or `pre` is given."""

    def run(**case: object) -> Judgement:
        if not {"before", "pre"} & case.keys():
            case["before"] = [{}] * 5
        (judgement,) = verify_frames([build_frames(**case)])  # type: ignore[arg-type]
        return judgement

    return run


@pytest.fixture(scope="session")
def verify_all() -> Callable[[Iterable[Frames]], list[Judgement]]:
    return verify_frames
