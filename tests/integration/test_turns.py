"""Turns in the database: never more than allowed, whoever asks at the same time."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from core.database import Connection, Pool
from core.types import PLANS, Project, Target
from ingest.turns import Turns
from sql import targets, turns

READS = 6


@pytest.fixture
async def target(conn: Connection, project: Project) -> Target:
    await targets.put(conn, project.id, "prod", "http://127.0.0.1:9/")
    return Target(project.id, "prod", "http://127.0.0.1:9/", PLANS["free"])


async def take(conn: Connection, project_id: UUID, seconds: float = 60.0) -> float:
    found = await turns.take(conn, {(project_id, "prod"): READS}, seconds)
    return found[project_id, "prod"][0]


async def shift(conn: Connection, seconds: float) -> None:
    """Let all turns be so much older."""
    await conn.execute(
        "UPDATE turns SET taken_at = ARRAY(SELECT at - make_interval(secs => $1) "
        "FROM unnest(taken_at) WITH ORDINALITY AS t(at, n) ORDER BY n)",
        seconds,
    )


async def test_a_target_has_so_many_turns_in_any_stretch_of_time(
    conn: Connection, target: Target
) -> None:
    for _ in range(READS - 1):
        assert await take(conn, target.project_id) == 0
    await shift(conn, 40)
    assert await take(conn, target.project_id) == 0
    pause = await take(conn, target.project_id)
    assert 19 < pause <= 20, "the oldest of the six is 40 s old"
    await shift(conn, 20)
    for _ in range(READS - 1):
        assert await take(conn, target.project_id) == 0
    pause = await take(conn, target.project_id)
    assert 39 < pause <= 40
    kept = await conn.fetchval("SELECT cardinality(taken_at) FROM turns")
    assert kept == READS


async def test_a_clock_that_was_set_back_stops_nobody(conn: Connection, target: Target) -> None:
    for _ in range(READS):
        assert await take(conn, target.project_id) == 0
    await shift(conn, -3600)
    assert await take(conn, target.project_id) == 0
    await conn.execute("DELETE FROM turns")
    for _ in range(READS):
        assert await take(conn, target.project_id) == 0
    await shift(conn, -30)
    assert 60 < await take(conn, target.project_id) <= 90, "half a minute is no proof"


async def test_many_at_once_on_many_connections(pool: Pool, target: Target) -> None:
    async def ask() -> float:
        async with pool.acquire() as conn:
            return await take(conn, target.project_id)

    pauses = await asyncio.gather(*(ask() for _ in range(40)))
    assert pauses.count(0) == READS


async def test_batches_in_any_order_do_not_wait_for_each_other(
    pool: Pool, conn: Connection, target: Target
) -> None:
    keys = [(target.project_id, f"env-{number}") for number in range(20)]
    for project_id, env in keys:
        await targets.put(conn, project_id, env, "http://127.0.0.1:9/")

    async def ask(number: int) -> None:
        order = keys if number % 2 else keys[::-1]
        async with pool.acquire() as one:
            found = await turns.take(one, dict.fromkeys(order, 100), 60)
        assert set(found) == set(keys)

    await asyncio.gather(*(ask(number) for number in range(60)))
    assert await conn.fetchval("SELECT min(cardinality(taken_at)) FROM turns") == 60


async def test_a_target_that_is_gone_has_none_and_leaves_none(
    conn: Connection, target: Target
) -> None:
    assert await turns.take(conn, {(uuid4(), "prod"): READS}, 60) == {}
    await take(conn, target.project_id)
    await conn.execute("DELETE FROM targets")
    assert await conn.fetchval("SELECT count(*) FROM turns") == 0


async def test_readers_of_one_process_ask_together(
    pool: Pool, conn: Connection, target: Target
) -> None:
    shared = Turns(pool, 60.0)
    found = await asyncio.gather(*(shared.take(target) for _ in range(10)))
    assert [turn.pause_seconds for turn in found].count(0) == READS
    others = [(target.project_id, f"env-{number}") for number in range(50)]
    for project_id, env in others:
        await targets.put(conn, project_id, env, "http://127.0.0.1:9/")
    statements = "SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()"
    before = await conn.fetchval(statements)
    asked = [Target(project_id, env, "", PLANS["free"]) for project_id, env in others]
    answers = await asyncio.gather(*(shared.take(one) for one in asked))
    assert all(turn.pause_seconds == 0 for turn in answers)
    assert await conn.fetchval(statements) - before < len(others)


async def test_a_turn_that_comes_too_late_is_thrown_away(
    pool: Pool, conn: Connection, target: Target
) -> None:
    shared = Turns(pool, 60.0)
    shared._margin = 0.05
    async with conn.transaction():
        await conn.execute("LOCK TABLE turns IN SHARE MODE")
        asked = asyncio.create_task(shared.take(target))
        done, _ = await asyncio.wait([asked], timeout=0.3)
        assert not done
    assert (await asked).pause_seconds == 0.05
    shared._margin = 5.0
    assert (await shared.take(target)).pause_seconds == 0
    assert await conn.fetchval("SELECT cardinality(taken_at) FROM turns") == 2, "both are counted"


async def test_a_failing_database_is_told_to_everybody_who_asked(target: Target) -> None:
    class Broken:
        def acquire(self) -> object:
            raise OSError("gone")

    shared = Turns(Broken(), 60.0)  # type: ignore[arg-type]
    found = await asyncio.gather(*(shared.take(target) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [OSError] * 3
