"""What a failed attempt at a slot leads to: a planned retry within the slot, or a missed slot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from analytics import policy
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Phase, Project
from ingest.collector import Collector
from scheduler import tasks
from scheduler.jobs import Job, JobKind, Outcome, Status
from sql import targets
from tests.integration.test_collector import Script, never_answer, response, serve


@pytest.fixture
async def context(pool: Pool, vault: Vault, settings: Settings) -> AsyncIterator[tasks.Context]:
    async with Collector(
        timeout_seconds=2, slot_seconds=0.1, target_allow=("127.0.0.0/8",)
    ) as collector:
        seeds = settings.model_copy(update={"collect_retry_seconds": (5.0, 15.0, 30.0)})
        yield tasks.Context(pool, vault, collector, policy.find("reference-v2"), seeds)


async def attempt(
    conn: Connection,
    context: tasks.Context,
    project: Project,
    script: Script | bytes,
    *,
    number: int = 1,
    seconds_left: float = 60.0,
) -> Outcome:
    """Make one attempt at a post slot, so many times after the first."""
    now = datetime.now(UTC)
    async with serve(script) as server:
        await targets.put(conn, project.id, "prod", server.url)
        job = Job(
            id=1,
            kind=JobKind.COLLECT,
            project_id=project.id,
            env="prod",
            deployment_id=None,
            phase=Phase.POST,
            sequence_index=0,
            payload=None,
            slot_at=now - timedelta(seconds=20 * (number - 1)),
            scheduled_at=now,
            attempt=number,
            seconds_left=seconds_left,
        )
        return await tasks.handle(job, context)


@pytest.mark.parametrize("status", ["429 Slow down", "503 Busy"])
async def test_the_pause_a_target_asks_for_is_given_if_the_slot_has_time_for_it(
    conn: Connection, context: tasks.Context, project: Project, status: str
) -> None:
    asking = response(status=status, Retry_After="7")
    outcome = await attempt(conn, context, project, asking)
    assert outcome.status is Status.RETRY
    assert 7 <= outcome.retry_in_seconds <= 7.1
    third = await attempt(conn, context, project, asking, number=3)
    assert 24 <= third.retry_in_seconds <= 36, "ours is longer than theirs"
    late = await attempt(conn, context, project, asking, seconds_left=7)
    assert late.missed is not None
    assert late.missed.code == ("rate_limited" if "429" in status else "status")


@pytest.mark.parametrize(
    ("number", "pauses"), [(1, (4, 6)), (2, (12, 18)), (3, (24, 36)), (4, None)]
)
async def test_the_pauses_of_the_seed(
    conn: Connection,
    context: tasks.Context,
    project: Project,
    number: int,
    pauses: tuple[int, int] | None,
) -> None:
    outcome = await attempt(
        conn, context, project, response(status="500 Oh"), number=number, seconds_left=100
    )
    if pauses is None:
        assert (outcome.status, outcome.missed is not None) == (Status.FAILED, True)
    else:
        assert outcome.status is Status.RETRY
        assert pauses[0] <= outcome.retry_in_seconds <= pauses[1]


async def test_who_refuses_us_is_not_asked_again(
    conn: Connection, context: tasks.Context, project: Project
) -> None:
    outcome = await attempt(conn, context, project, response(status="401 Who?"))
    assert outcome.missed is not None
    assert outcome.missed.code == "auth_rejected"


async def test_a_wrong_payload_is_asked_for_once_more(
    conn: Connection, context: tasks.Context, project: Project
) -> None:
    first = await attempt(conn, context, project, response(b"{}"))
    assert first.status is Status.RETRY
    second = await attempt(conn, context, project, response(b"{}"), number=2)
    assert second.missed is not None
    assert second.missed.code == "payload_invalid"


async def test_no_read_outlasts_its_slot(
    conn: Connection, context: tasks.Context, project: Project
) -> None:
    began = datetime.now(UTC)
    outcome = await attempt(conn, context, project, never_answer, seconds_left=0.3)
    assert datetime.now(UTC) - began < timedelta(seconds=1.5)
    assert outcome.missed is not None
    assert outcome.missed.code == "timeout"
