"""The grid of a target: fixed, spread, and the same for what is read now and what is told later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.types import Deployment, DeploymentState
from ingest.prometheus import MAX_POINTS
from scheduler.baseline import next_slot, past_slots

START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=3000)).map(START.__add__)
INTERVALS = st.sampled_from([0.5, 1, 7, 15, 60, 3600])
DEPLOYMENT = Deployment(
    UUID(int=1), UUID(int=7), "prod", "main", None, DeploymentState.PENDING, START
)


@given(st.uuids(), MOMENTS, INTERVALS)
def test_the_next_slot_is_the_first_of_the_grid(
    project: UUID, moment: datetime, interval: float
) -> None:
    found = next_slot(project, "prod", moment, interval)
    assert moment <= found < moment + timedelta(seconds=interval)
    assert next_slot(project, "prod", found, interval) == found
    after = next_slot(project, "prod", found + timedelta(microseconds=1), interval)
    assert after == found + timedelta(seconds=interval)


def test_a_thousand_targets_do_not_come_at_once() -> None:
    seconds = [
        int((next_slot(UUID(int=n), env, START, 60) - START).total_seconds())
        for n in range(500)
        for env in ("prod", "staging")
    ]
    most = max(seconds.count(second) for second in range(60))
    assert most < 40, "a sixtieth of a thousand is 17"
    assert len(set(seconds)) == 60


@given(MOMENTS, INTERVALS, st.sampled_from([60.0, 1800.0, 86_400.0]))
def test_past_slots_are_of_the_grid_and_end_before_the_trigger(
    moment: datetime, interval: float, seconds: float
) -> None:
    span = past_slots(replace(DEPLOYMENT, triggered_at=moment), seconds, interval)
    assert span.last_at < moment <= span.last_at + span.step
    assert next_slot(UUID(int=7), "prod", span.first_at, interval) == span.first_at
    count = (span.last_at - span.first_at) // span.step + 1
    assert count == max(1, min(seconds // interval, MAX_POINTS))
