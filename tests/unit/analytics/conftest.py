"""Frames of made-up deployments; a sample is a dict of what differs from a healthy one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import polars as pl
import pytest

from analytics import judge, policy, windows
from analytics.profile import ServiceProfile
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
        schema=windows.SAMPLES | {"source_at": windows.MOMENT},
        strict=False,
    )
    deployments = pl.DataFrame(
        [[deployment_id, "shop/prod", TRIGGERED_AT, FINISHED_AT, post_slots, 60.0]],
        schema=windows.DEPLOYMENTS,
        orient="row",
    )
    return deployments, samples


def judge_frames(
    frames: Iterable[Frames],
    rule: policy.Policy[Any],
    profiles: Mapping[str, ServiceProfile] | None = None,
) -> list[Judgement]:
    deployments, samples = (pl.concat(part, how="diagonal") for part in zip(*frames, strict=True))
    return judge.judge(windows.split(deployments, samples), rule, AS_OF, profiles)


def verify_frames(frames: Iterable[Frames]) -> list[Judgement]:
    return judge_frames(frames, policy.REFERENCE_V2)


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


@pytest.fixture(scope="session")
def compare() -> Callable[..., Judgement]:
    """Judge one deployment by `seqpulse-v1`; a healthy baseline of 30 minutes unless given."""

    def run(
        profile: ServiceProfile | None = None,
        rule: policy.Policy[Any] = policy.SEQPULSE_V1,
        before: Iterable[Sample] = ({},) * 30,
        after: Sequence[Sample] = (),
        post_slots: int | None = None,
    ) -> Judgement:
        part = build_frames(before=before, after=after, post_slots=post_slots or len(after) or 5)
        profiles = {} if profile is None else {part[0]["deployment_id"].item(): profile}
        (judgement,) = judge_frames([part], rule, profiles)
        return judgement

    return run


@pytest.fixture(scope="session")
def compare_all() -> Callable[..., list[Judgement]]:
    return judge_frames
