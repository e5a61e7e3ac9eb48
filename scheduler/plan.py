"""Which jobs a target or a deployment needs. Pure: rows in, rows out, the clock is an argument."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.types import Deployment, Phase
from scheduler.jobs import JobKind, NewJob, Priority

JUDGE_GRACE_SECONDS: Final = 30.0
"""How long after the last slot's deadline the judge runs even if a slot was never settled."""


def baseline_job(project_id: UUID, env: str, first_at: datetime, interval_seconds: float) -> NewJob:
    """Return the recurring job that collects the continuous baseline of a target."""
    interval = timedelta(seconds=interval_seconds)
    return NewJob(
        kind=JobKind.COLLECT,
        project_id=project_id,
        env=env,
        scheduled_at=first_at,
        deadline_at=first_at + interval,
        repeat=interval,
        dedupe_key=f"baseline:{project_id}:{env}",
    )


def pre_job(deployment: Deployment, slot_seconds: float) -> NewJob:
    """Return the job that takes the `pre` sample of a deployment, due at once."""
    return NewJob(
        kind=JobKind.COLLECT,
        project_id=deployment.project_id,
        env=deployment.env,
        deployment_id=deployment.id,
        priority=Priority.POST,
        phase=Phase.PRE,
        scheduled_at=deployment.triggered_at,
        deadline_at=deployment.triggered_at + timedelta(seconds=slot_seconds),
        dedupe_key=f"pre:{deployment.id}",
    )


def backfill_job(deployment: Deployment) -> NewJob:
    """Return the job that asks a source that knows the past for the baseline window."""
    return NewJob(
        kind=JobKind.BACKFILL,
        project_id=deployment.project_id,
        env=deployment.env,
        deployment_id=deployment.id,
        priority=Priority.JUDGE,
        scheduled_at=deployment.triggered_at,
        dedupe_key=f"backfill:{deployment.id}",
    )


def post_jobs(deployment: Deployment, *, pushed: bool = False, first: int = 0) -> list[NewJob]:
    """Return the jobs of the post window of a finished deployment.

    One collect job per slot, `slot_seconds` apart from `finished_at` on, each with a deadline at
    the next slot; and one judge job that becomes due when the last slot settles, or by itself a
    little after the last deadline so that it can never be forgotten.

    Args:
        deployment: A finished deployment.
        pushed: Its samples come by themselves: each has one slot more to arrive.
        first: The slots before this one are planned already, with a judge of their own: the window
            was extended. That judge still runs, so the new one has another dedupe key.

    Raises:
        ValueError: The deployment is not finished.
    """
    if deployment.finished_at is None or not deployment.post_slots or not deployment.slot_seconds:
        raise ValueError(f"deployment {deployment.id} is not finished")
    step = timedelta(seconds=deployment.slot_seconds)
    patience = step if pushed else timedelta(0)
    slots = [
        NewJob(
            kind=JobKind.COLLECT,
            project_id=deployment.project_id,
            env=deployment.env,
            deployment_id=deployment.id,
            priority=Priority.POST,
            phase=Phase.POST,
            sequence_index=index,
            scheduled_at=deployment.finished_at + index * step,
            deadline_at=deployment.finished_at + (index + 1) * step + patience,
            dedupe_key=f"post:{deployment.id}:{index}",
        )
        for index in range(first, deployment.post_slots)
    ]
    judge = NewJob(
        kind=JobKind.JUDGE,
        priority=Priority.JUDGE,
        project_id=deployment.project_id,
        env=deployment.env,
        deployment_id=deployment.id,
        scheduled_at=deployment.finished_at
        + deployment.post_slots * step
        + patience
        + timedelta(seconds=JUDGE_GRACE_SECONDS),
        awaiting=deployment.post_slots - first,
        dedupe_key=f"judge:{deployment.id}" + (f":{first}" if first else ""),
    )
    return [*slots, judge]


def notify_job(
    delivery_id: UUID,
    project_id: UUID,
    deployment_id: UUID | None,
    env: str,
    scheduled_at: datetime,
) -> NewJob:
    """Return the job that sends one message; it knows neither where to nor what.

    It has no dedupe key: a delivery is written once, and with it its job.
    """
    return NewJob(
        kind=JobKind.NOTIFY,
        priority=Priority.NOTIFY,
        project_id=project_id,
        env=env,
        deployment_id=deployment_id,
        scheduled_at=scheduled_at,
        payload={"delivery_id": str(delivery_id)},
    )


def profile_job(deployment: Deployment) -> NewJob:
    """Return the job that makes a profile of the service of a finished deployment, due at once.

    Raises:
        ValueError: The deployment is not finished.
    """
    if deployment.finished_at is None:
        raise ValueError(f"deployment {deployment.id} is not finished")
    return NewJob(
        kind=JobKind.PROFILE,
        priority=Priority.UPKEEP,
        project_id=deployment.project_id,
        env=deployment.env,
        deployment_id=deployment.id,
        scheduled_at=deployment.finished_at,
        dedupe_key=f"profile:{deployment.id}",
    )
