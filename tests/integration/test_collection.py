"""Whose fault is it that a target cannot be reached: its own, or ours for many at once?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from core.database import Connection
from core.types import CollectCode, MissedSlot, Reading, Sample, Slot
from sql import collection, samples

FINISHED = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
END = FINISHED + timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
OURS = UUID(int=1)
READING = Reading(1, 1, 0, 0, 0)


async def collected(conn: Connection, project: int, first: int, last: int) -> None:
    """Store a sample for each of these minutes, counted from the finish."""
    slots = [Slot(UUID(int=project), "prod", FINISHED + n * MINUTE) for n in range(first, last)]
    await samples.insert(conn, [Sample(slot, READING) for slot in slots])


async def missed(
    conn: Connection, project: int, code: CollectCode, first: int = 0, last: int = 5
) -> None:
    slots = [Slot(UUID(int=project), "prod", FINISHED + n * MINUTE) for n in range(first, last)]
    await samples.insert_missed(conn, [MissedSlot(slot, code, "x") for slot in slots])


async def silent(conn: Connection) -> float | None:
    return collection.share_of_silent(await collection.list_silent(conn, FINISHED, END), OURS)


@pytest.fixture
async def others(conn: Connection) -> None:
    """Four other projects, answering until the finish."""
    for project in range(1, 6):
        await collected(conn, project, -5, 0)


async def test_a_target_that_died_alone(conn: Connection, others: None) -> None:
    await missed(conn, 1, CollectCode.REFUSED)
    for project in range(2, 6):
        await collected(conn, project, 0, 5)
    assert await silent(conn) == 0


async def test_many_that_cannot_be_reached_at_once(conn: Connection, others: None) -> None:
    await missed(conn, 2, CollectCode.DNS)
    await missed(conn, 3, CollectCode.TIMEOUT)
    for project in (4, 5):
        await collected(conn, project, 0, 5)
    assert await silent(conn) == 0.5


async def test_an_answer_proves_that_we_can_reach_it(conn: Connection, others: None) -> None:
    for project in range(2, 6):
        await missed(conn, project, CollectCode.STATUS)
    assert await silent(conn) == 0


async def test_one_sample_among_many_misses_is_not_silence(conn: Connection, others: None) -> None:
    for project in range(2, 6):
        await missed(conn, project, CollectCode.NETWORK, 0, 4)
        await collected(conn, project, 4, 5)
    assert await silent(conn) == 0


async def test_what_was_dead_before_proves_nothing(conn: Connection) -> None:
    for project in range(2, 6):
        await missed(conn, project, CollectCode.TIMEOUT, -5, 5)
    assert await silent(conn) is None


async def test_two_others_are_too_few(conn: Connection) -> None:
    for project in (2, 3):
        await collected(conn, project, -5, 0)
        await missed(conn, project, CollectCode.TIMEOUT)
    assert await silent(conn) is None


async def test_only_what_our_side_can_bring_about_counts(conn: Connection) -> None:
    codes = [code.value for code in CollectCode]
    rows = await conn.fetch(
        "SELECT code FROM unnest($1::text[]) AS c(code) WHERE is_unreachable(code)", codes
    )
    told = ["dns", "refused", "timeout", "tls", "network", "deadline", "internal"]
    assert {row["code"] for row in rows} == set(told)


async def test_the_view_counts_targets_by_the_minute(conn: Connection, others: None) -> None:
    await missed(conn, 2, CollectCode.DNS)
    await missed(conn, 3, CollectCode.STATUS)
    await missed(conn, 4, CollectCode.TIMEOUT, 0, 1)
    await collected(conn, 5, 0, 5)
    rows = await conn.fetch(
        "SELECT * FROM report.collection_health WHERE minute >= $1 ORDER BY minute", FINISHED
    )
    first, second = (tuple(row) for row in rows[:2])
    assert first == (FINISHED, 4, 2, 1, 3)
    assert second == (FINISHED + MINUTE, 3, 1, 1, 2)
