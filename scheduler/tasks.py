"""One handler per job kind: does the work of a claimed job and says how it ended.

A handler never settles its own job and never sleeps to wait for a slot. Whatever it writes itself
is idempotent by a constraint, because a crash before the settle makes it run again.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias

import structlog

from analytics.policy import Policy
from core.codes import OURS
from core.database import Pool
from core.errors import CollectError, NotFoundError, SeqPulseError
from core.logs import redact
from core.secrets import Vault
from core.settings import Settings
from core.types import CollectCode, MissedSlot, Sample, Target
from ingest.collector import Collector
from ingest.outbound import Outbound
from scheduler import baseline, judging, notifying, profiling, pushed, removal, retry
from scheduler.docket import Docket
from scheduler.jobs import Job, JobKind, Outcome, Status
from scheduler.telemetry import Telemetry
from sql import backfill, deployments, samples, targets

log = structlog.get_logger(__name__)

ERROR_LENGTH: Final = 500
NOBODY: Final = "no worker was there in time"
MAX_SKIPPED: Final = 1_440
"""Slots of a baseline that are recorded one by one after an outage: a day of minutes."""


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers need of the process they run in."""

    pool: Pool
    vault: Vault
    collector: Collector
    policy: Policy[Any]
    settings: Settings
    shadows: tuple[Policy[Any], ...] = ()
    outbound: Outbound = field(default_factory=Outbound)
    docket: Docket = field(default_factory=Docket)
    telemetry: Telemetry = field(default_factory=Telemetry)


Handler: TypeAlias = Callable[[Job, Context], Awaitable[Outcome]]


async def collect(job: Job, context: Context) -> Outcome:
    """Read a target once and bring the sample home, or say why there is none.

    Target and secrets are looked up by project and environment: the job row holds none. Where
    there is no target, the sample is one that was pushed.
    """
    claimed_at = time.monotonic()
    left = math.inf if job.seconds_left is None else job.seconds_left
    target = None
    try:
        async with context.pool.acquire() as conn:
            target = await targets.load(conn, context.vault, job.project_id, job.env)
        if left <= 0:
            await _record_skipped(job, -left, context)
            raise CollectError(CollectCode.DEADLINE, NOBODY, permanent=True)
        if target.rests and job.phase is None:
            raise CollectError(CollectCode.BACKED_OFF, _rests(target), permanent=True)
        spent = time.monotonic() - claimed_at
        reading = await context.collector.collect(
            target, slot_at=job.slot_at, within_seconds=left - spent
        )
    except NotFoundError:
        return await pushed.collect(job, context.pool, context.settings.slot_seconds)
    except CollectError as error:
        context.telemetry.collect_errors.labels(error.code).inc()
        pause = _choose_pause(job, error, time.monotonic() - claimed_at, context)
        if pause is not None:
            return Outcome(Status.RETRY, retry_in_seconds=pause, last_error=str(error))
        if target is not None:
            await _note(target, error.code, context)
        return _missed(job, error)
    await _note(target, None, context)
    return Outcome(Status.COMPLETED, sample=Sample(job.slot, reading))


def _choose_pause(
    job: Job, error: CollectError, spent_seconds: float, context: Context
) -> float | None:
    """Return the pause before the next attempt at a job, by the clock of the database alone."""
    left = math.inf if job.seconds_left is None else job.seconds_left
    planned = (job.scheduled_at - job.slot_at).total_seconds()
    return retry.collect_pause(
        error,
        attempt=job.attempt,
        since_slot_seconds=planned + spent_seconds,
        seconds_left=left - spent_seconds,
        pauses=context.settings.collect_retry_seconds,
        chance=random.random(),  # noqa: S311 - jitter, not a secret
    )


async def _record_skipped(job: Job, late_seconds: float, context: Context) -> None:
    """Record the slots of a baseline that nobody will read: its job is planned past them."""
    if job.phase is not None:
        return
    step = context.settings.baseline_interval_seconds
    skipped = min(math.ceil(late_seconds / step), MAX_SKIPPED)
    slots = [
        replace(job.slot, slot_at=job.slot_at + number * timedelta(seconds=step))
        for number in range(1, skipped + 1)
    ]
    async with context.pool.acquire() as conn:
        await samples.insert_missed(
            conn, [MissedSlot(slot, CollectCode.DEADLINE, NOBODY) for slot in slots]
        )


async def _note(target: Target, code: CollectCode | None, context: Context) -> None:
    """Remember how a target fares, if that is news; what we missed ourselves says nothing of it."""
    if code in OURS or (code is None and target.failures == 0):
        return
    async with context.pool.acquire() as conn:
        if code is None:
            await targets.note_success(conn, target.project_id, target.env)
        else:
            rest = retry.rest_seconds(
                target.failures + 1, context.settings.baseline_interval_seconds
            )
            await targets.note_failure(conn, target.project_id, target.env, code, rest)


def _rests(target: Target) -> str:
    return f"the last {target.failures} slots were missed, so this one was left out"


async def fill_baseline(job: Job, context: Context) -> Outcome:
    """Ask a source that knows the past for the baseline window of a deployment.

    It may fail: the deployment is then judged by what was collected.
    """
    if job.deployment_id is None:
        return Outcome(Status.FAILED, last_error="a backfill job needs a deployment")
    async with context.pool.acquire() as conn:
        deployment, _ = await deployments.load(conn, job.deployment_id)
        target = await targets.load(conn, context.vault, job.project_id, job.env)
    settings = context.settings
    span = baseline.past_slots(
        deployment, settings.baseline_window_seconds, settings.baseline_interval_seconds
    )
    try:
        readings = await context.collector.collect_range(target, span)
    except CollectError as error:
        pause = _choose_pause(job, error, 0.0, context)
        if pause is None:
            return Outcome(Status.FAILED, last_error=str(error))
        return Outcome(Status.RETRY, retry_in_seconds=pause, last_error=str(error))
    async with context.pool.acquire() as conn:
        added = await backfill.insert(conn, job.project_id, job.env, readings)
    log.info("baseline_filled", known=len(readings), added=added)
    return Outcome(Status.COMPLETED)


async def judge(job: Job, context: Context) -> Outcome:
    """Judge a deployment whose post window is settled, together with others that wait for it."""
    if job.deployment_id is None:
        return Outcome(Status.FAILED, last_error="a judge job needs a deployment")
    seconds = context.settings.baseline_window_seconds
    policies = judging.Policies(context.policy, context.shadows)
    judge_all = partial(judging.judge, context.pool, policies, seconds, telemetry=context.telemetry)
    with context.telemetry.awaiting_verdict(job, job.deployment_id):
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


async def notify(job: Job, context: Context) -> Outcome:
    """Tell somebody of a verdict."""
    return await notifying.notify(
        job, context.pool, context.vault, context.outbound, context.settings
    )


async def remove_samples(job: Job, context: Context) -> Outcome:
    """Remove what is left of a deleted project."""
    return await removal.remove_samples(job, context.pool)


HANDLERS: Final[Mapping[str, Handler]] = {
    JobKind.COLLECT: collect,
    JobKind.BACKFILL: fill_baseline,
    JobKind.JUDGE: judge,
    JobKind.NOTIFY: notify,
    JobKind.PROFILE: profile,
    JobKind.REMOVE_SAMPLES: remove_samples,
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
    if outcome.sample is not None and job.phase is None:
        log.debug("baseline_collected", slot_at=job.slot_at, attempt=job.attempt)
    elif outcome.sample is not None:
        log.info("slot_collected", slot_at=job.slot_at, **facts)
    elif outcome.missed is not None:
        log.warning("slot_missed", code=outcome.missed.code, slot_at=job.slot_at, **facts)
    elif outcome.status is not Status.COMPLETED:
        log.info("job_not_completed", status=outcome.status, error=outcome.last_error, **facts)
