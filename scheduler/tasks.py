"""One handler per job kind: does the work of a claimed job and says how it ended.

A handler never settles its own job and never sleeps to wait for a slot. Whatever it writes itself
is idempotent by a constraint, because a crash before the settle makes it run again.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import structlog

from analytics.policy import Policy
from core.database import Pool
from core.errors import CollectError, NotFoundError, SeqPulseError
from core.logs import redact
from core.secrets import Vault
from core.settings import Settings
from core.types import CollectCode, MissedSlot, Sample
from ingest.collector import Collector
from scheduler import judging, profiling, retry
from scheduler.docket import Docket
from scheduler.jobs import Job, JobKind, Outcome, Status
from sql import deployments, projects

log = structlog.get_logger(__name__)

ERROR_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers need of the process they run in."""

    pool: Pool
    vault: Vault
    collector: Collector
    policy: Policy[Any]
    settings: Settings
    shadows: tuple[Policy[Any], ...] = ()
    docket: Docket = field(default_factory=Docket)


Handler: TypeAlias = Callable[[Job, Context], Awaitable[Outcome]]


async def collect(job: Job, context: Context) -> Outcome:
    """Read a target once and bring the sample home, or say why there is none.

    Target and secret are looked up by project and environment: the job row holds neither.
    """
    claimed_at = time.monotonic()
    left = math.inf if job.seconds_left is None else job.seconds_left
    try:
        if left <= 0:
            raise CollectError(CollectCode.DEADLINE, "no worker was there in time", permanent=True)
        async with context.pool.acquire() as conn:
            target = await projects.load_target(conn, context.vault, job.project_id, job.env)
        spent = time.monotonic() - claimed_at
        reading = await context.collector.collect(target, within_seconds=left - spent)
    except NotFoundError:
        return Outcome(Status.FAILED, last_error="the target is gone")
    except CollectError as error:
        pause = retry.collect_pause(
            error,
            attempt=job.attempt,
            seconds_left=left - (time.monotonic() - claimed_at),
            pauses=context.settings.collect_retry_seconds,
            chance=random.random(),  # noqa: S311 - jitter, not a secret
        )
        if pause is None:
            return _missed(job, error)
        return Outcome(Status.RETRY, retry_in_seconds=pause, last_error=str(error))
    return Outcome(Status.COMPLETED, sample=Sample(job.slot, reading))


async def judge(job: Job, context: Context) -> Outcome:
    """Judge a deployment whose post window is settled, together with others that wait for it."""
    if job.deployment_id is None:
        return Outcome(Status.FAILED, last_error="a judge job needs a deployment")
    seconds = context.settings.baseline_window_seconds
    policies = judging.Policies(context.policy, context.shadows)
    judge_all = partial(judging.judge, context.pool, policies, seconds)
    return await context.docket.call(job.deployment_id, judge_all)


async def profile(job: Job, context: Context) -> Outcome:
    """Make a profile of the service that is being deployed."""
    if job.deployment_id is None:
        return Outcome(Status.FAILED, last_error="a profile job needs a deployment")
    settings = context.settings
    async with context.pool.acquire() as conn:
        deployment, _ = await deployments.load(conn, job.deployment_id)
    await profiling.build(
        context.pool,
        deployment,
        settings.baseline_window_seconds,
        settings.baseline_interval_seconds,
    )
    return Outcome(Status.COMPLETED)


HANDLERS: Final[Mapping[str, Handler]] = {
    JobKind.COLLECT: collect,
    JobKind.JUDGE: judge,
    JobKind.PROFILE: profile,
}


async def handle(job: Job, context: Context) -> Outcome:
    """Run the handler of a job; whatever goes wrong becomes an outcome, never an exception."""
    with structlog.contextvars.bound_contextvars(
        job_id=job.id, kind=job.kind, project_id=job.project_id, deployment_id=job.deployment_id
    ):
        try:
            outcome = await HANDLERS[job.kind](job, context)
        except SeqPulseError as error:
            log.error("job_impossible", error=str(error))
            outcome = _crashed(job, str(error))
        except Exception as error:  # a bug in a handler must not stop the worker
            log.exception("job_crashed")
            outcome = _crashed(job, type(error).__name__)
        _report(job, outcome)
        return outcome


def _missed(job: Job, error: CollectError) -> Outcome:
    return Outcome(
        Status.FAILED,
        last_error=str(error),
        missed=MissedSlot(job.slot, error.code, error.detail),
    )


def _crashed(job: Job, text: str) -> Outcome:
    """Turn a fault of ours into a retry; a slot is given up when the next one comes too late."""
    text = redact(text)[:ERROR_LENGTH]
    pause = retry.own_pause(job.attempt)
    too_late = job.seconds_left is not None and pause >= job.seconds_left
    if job.kind == JobKind.COLLECT and too_late:
        return _missed(job, CollectError(CollectCode.INTERNAL, text))
    return Outcome(Status.RETRY, retry_in_seconds=pause, last_error=text)


def _report(job: Job, outcome: Outcome) -> None:
    facts = {"phase": job.phase, "sequence_index": job.sequence_index, "attempt": job.attempt}
    if outcome.sample is not None:
        log.debug("sample_collected", slot_at=job.slot_at, **facts)
    elif outcome.missed is not None:
        log.warning("slot_missed", code=outcome.missed.code, slot_at=job.slot_at, **facts)
    elif outcome.status is not Status.COMPLETED:
        log.info("job_not_completed", status=outcome.status, error=outcome.last_error, **facts)
