"""Slots of a project without a target: what was pushed for them is looked up, not read.

Pushed samples are stored as continuous baseline. The slot of a deployment takes a copy of the one
that falls into it, so the join, the coverage and the judge know no difference to a target.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from core.database import Pool
from core.types import CollectCode, MissedSlot, Phase, Sample
from scheduler.jobs import Job, Outcome, Status
from sql import deployments, samples

LOOKS_PER_SLOT: Final = 6
"""How often a slot is looked at until its sample is there: a verdict waits that much longer."""


async def collect(job: Job, pool: Pool, slot_seconds: float) -> Outcome:
    """Find the pushed sample of a slot, or say that there is none.

    A `post` slot lasts until the next one, and takes the first sample of that time as soon as it
    is there; `pre` takes the first of the slot length before the trigger, or is missed at once.

    Args:
        job: A collect job of a deployment.
        pool: Where the samples are.
        slot_seconds: Length of a slot of deployments that are not finished.
    """
    if job.deployment_id is None:
        return _miss(job, CollectCode.CANCELLED, "the target is gone")
    async with pool.acquire() as conn:
        deployment, _ = await deployments.load(conn, job.deployment_id)
        length = timedelta(seconds=deployment.slot_seconds or slot_seconds)
        since = job.slot_at - length if job.phase is Phase.PRE else job.slot_at
        reading = await samples.find_pushed(conn, job.project_id, job.env, since, since + length)
    if reading is not None:
        return Outcome(Status.COMPLETED, sample=Sample(job.slot, reading))
    pause = length.total_seconds() / LOOKS_PER_SLOT
    if job.phase is Phase.PRE or job.seconds_left is None or job.seconds_left <= pause:
        return _miss(job, CollectCode.NOT_PUSHED, "no sample was pushed in time")
    return Outcome(Status.RETRY, retry_in_seconds=pause, last_error="nothing was pushed yet")


def _miss(job: Job, code: CollectCode, detail: str) -> Outcome:
    return Outcome(Status.FAILED, last_error=detail, missed=MissedSlot(job.slot, code, detail))
