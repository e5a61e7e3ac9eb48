"""The slots of a project without a target."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import polars as pl
import pytest

from core.database import Connection, Pool
from core.types import Deployment, Phase, Reading
from scheduler import plan, pushed
from scheduler.jobs import Job, Outcome, Status
from sql import bulk

STEP = timedelta(seconds=60)
Put = Callable[..., Awaitable[None]]


@pytest.fixture
async def put(conn: Connection, deployment: Deployment) -> Put:
    """Push a sample of a moment after the finish, with its own latency."""

    async def put(after: timedelta, latency: float, extra: str | None = None) -> None:
        row = (moment(deployment) + after, "prod", 1.0, latency, 0.0, 0.0, 0.0, extra)
        rows = pl.DataFrame([row], schema=bulk.ROWS, orient="row")
        assert await bulk.write(conn, deployment.project_id, rows) == 1

    return put


def moment(deployment: Deployment) -> datetime:
    assert deployment.finished_at is not None
    return deployment.finished_at


def job(deployment: Deployment, phase: Phase | None, seconds_left: float | None) -> Job:
    """The slot that begins at the finish."""
    identity = None if phase is None else deployment.id
    at = moment(deployment)
    place = (phase, 0, None, at, at, 1, seconds_left)
    return Job(1, "collect", deployment.project_id, "prod", identity, *place)


async def collect(
    pool: Pool, deployment: Deployment, phase: Phase | None, seconds_left: float | None = 60
) -> Outcome:
    return await pushed.collect(job(deployment, phase, seconds_left), pool, 5.0)


async def test_a_slot_takes_the_first_sample_that_falls_into_it(
    pool: Pool, deployment: Deployment, put: Put
) -> None:
    await put(-timedelta(microseconds=1), 1)
    await put(STEP, 4)
    waiting = await collect(pool, deployment, Phase.POST)
    assert (waiting.status, waiting.retry_in_seconds) == (Status.RETRY, 10)
    await put(STEP / 2, 3)
    await put(STEP / 3, 2, '{"depth": 7}')
    found = await collect(pool, deployment, Phase.POST)
    assert found.status is Status.COMPLETED
    assert found.sample is not None
    assert found.sample.reading == Reading(1.0, 2.0, 0.0, 0.0, 0.0, {"depth": 7})
    assert found.sample.slot == job(deployment, Phase.POST, 60).slot


async def test_pre_takes_a_sample_of_before_the_trigger_or_none(
    pool: Pool, deployment: Deployment, put: Put
) -> None:
    await put(timedelta(0), 3)
    missed = await collect(pool, deployment, Phase.PRE)
    assert (missed.status, missed.missed and missed.missed.code) == (Status.FAILED, "not_pushed")
    await put(-STEP, 1)
    found = await collect(pool, deployment, Phase.PRE)
    assert found.sample is not None
    assert found.sample.reading.latency_p95 == 1


@pytest.mark.parametrize("seconds_left", [10, 0, -100, None])
async def test_a_slot_is_missed_when_its_time_is_up_but_not_if_the_sample_is_there(
    pool: Pool, deployment: Deployment, put: Put, seconds_left: float | None
) -> None:
    missed = await collect(pool, deployment, Phase.POST, seconds_left)
    assert missed.status is Status.FAILED
    assert missed.missed is not None
    assert (missed.missed.code, missed.missed.slot.sequence_index) == ("not_pushed", 0)
    await put(STEP / 2, 1)
    assert (await collect(pool, deployment, Phase.POST, seconds_left)).sample is not None


async def test_a_baseline_job_without_its_target_has_nothing_to_look_for(
    pool: Pool, deployment: Deployment, put: Put
) -> None:
    await put(timedelta(0), 1)
    outcome = await collect(pool, deployment, None)
    assert (outcome.status, outcome.sample) == (Status.FAILED, None)
    assert outcome.missed is not None
    assert (outcome.missed.code, outcome.missed.slot.phase) == ("cancelled", None)


async def test_pushed_slots_have_one_slot_more_to_arrive(deployment: Deployment) -> None:
    read, sent = plan.post_jobs(deployment), plan.post_jobs(deployment, pushed=True)
    assert [job.scheduled_at for job in read[:-1]] == [job.scheduled_at for job in sent[:-1]]
    for one, other in zip(read[:-1], sent[:-1], strict=True):
        assert one.deadline_at is not None
        assert other.deadline_at == one.deadline_at + STEP
    assert sent[-1].scheduled_at == read[-1].scheduled_at + STEP
