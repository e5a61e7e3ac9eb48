from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id
from core.types import Deployment, DeploymentState, Phase
from scheduler import plan
from scheduler.jobs import JobKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINISHED = Deployment(
    id=new_id(),
    project_id=new_id(),
    env="prod",
    branch="main",
    idempotency_key="k",
    state=DeploymentState.FINISHED,
    triggered_at=NOON,
    finished_at=NOON + timedelta(minutes=3),
    post_slots=15,
    slot_seconds=60,
)


@given(st.sampled_from([5, 15]), st.floats(min_value=0.1, max_value=3600))
def test_post_slots_tile_the_window(post_slots: int, slot_seconds: float) -> None:
    deployment = replace(FINISHED, post_slots=post_slots, slot_seconds=slot_seconds)
    *slots, judge = plan.post_jobs(deployment)
    assert [slot.sequence_index for slot in slots] == list(range(post_slots))
    assert slots[0].scheduled_at == deployment.finished_at
    for slot, following in itertools.pairwise(slots):
        assert slot.deadline_at == following.scheduled_at
    assert all(slot.kind is JobKind.COLLECT and slot.phase is Phase.POST for slot in slots)
    assert judge.awaiting == post_slots
    assert slots[-1].deadline_at is not None
    assert judge.scheduled_at > slots[-1].deadline_at


@given(st.sampled_from([5, 15]), st.booleans())
def test_an_extension_goes_on_where_the_window_ended(post_slots: int, pushed: bool) -> None:
    *slots, judge = plan.post_jobs(replace(FINISHED, post_slots=post_slots), pushed=pushed)
    longer = replace(FINISHED, post_slots=2 * post_slots)
    *added, last = plan.post_jobs(longer, pushed=pushed, first=post_slots)
    assert [*slots, *added] == plan.post_jobs(longer, pushed=pushed)[:-1]
    assert (last.kind, last.awaiting) == (JobKind.JUDGE, post_slots)
    assert last.scheduled_at - judge.scheduled_at == timedelta(minutes=post_slots)
    assert last.dedupe_key != judge.dedupe_key


def test_jobs_of_a_deployment_have_keys_of_their_own() -> None:
    jobs = [
        plan.pre_job(FINISHED, 60),
        *plan.post_jobs(FINISHED),
        plan.profile_job(FINISHED),
    ]
    assert len({job.dedupe_key for job in jobs}) == len(jobs)
    assert None not in {job.dedupe_key for job in jobs}


def test_a_deployment_that_is_not_finished_has_no_post_jobs() -> None:
    with pytest.raises(ValueError, match="not finished"):
        plan.post_jobs(replace(FINISHED, finished_at=None))


def test_the_pre_slot_is_due_at_the_trigger() -> None:
    job = plan.pre_job(FINISHED, 60)
    assert job.scheduled_at == NOON
    assert job.deadline_at == NOON + timedelta(seconds=60)
    assert (job.phase, job.sequence_index) == (Phase.PRE, None)


def test_the_baseline_recurs_and_belongs_to_no_deployment() -> None:
    job = plan.baseline_job(FINISHED.project_id, "prod", NOON, 60)
    assert job.repeat == timedelta(seconds=60)
    assert job.deadline_at == NOON + timedelta(seconds=60)
    assert (job.deployment_id, job.phase) == (None, None)


def test_the_profile_is_made_at_the_finish_and_never_before_a_verdict() -> None:
    job = plan.profile_job(FINISHED)
    assert (job.kind, job.scheduled_at) == (JobKind.PROFILE, FINISHED.finished_at)
    *_, judge = plan.post_jobs(FINISHED)
    assert job.priority > judge.priority
    with pytest.raises(ValueError, match="not finished"):
        plan.profile_job(replace(FINISHED, finished_at=None))
