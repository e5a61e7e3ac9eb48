"""The hot statements stay cheap however much lies around: their plans among a million jobs.

What is explained is what really runs: `auto_explain` hands over the plan of every statement of the
session, as the worker's connection would get it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from core.database import Connection, connect
from scheduler import queue, upkeep
from scheduler.jobs import Outcome, Settlement, Status
from scheduler.session import connect_unshared, register
from sql.scratch import scratch_database

PENDING, DUE, FINISHED = 1_000_000, 2_000, 200_000
LIMIT = 200
PROJECTS = 100
PAGE_BUDGET = 20 * LIMIT
"""Pages for a turn of `LIMIT` jobs: some per job, and none per job that merely exists."""

TURN = {
    "scheduled_jobs_due",
    "scheduled_jobs_pkey",
    "scheduled_jobs_deployment",  # where the judge of a settled slot is found
    "Tid Scan",
}

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILL = f"""
CREATE TEMPORARY TABLE later AS
    SELECT indexname, indexdef FROM pg_indexes
     WHERE tablename = 'scheduled_jobs' AND indexname <> 'scheduled_jobs_pkey';
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT indexname FROM later LOOP EXECUTE 'DROP INDEX ' || name; END LOOP;
END $$;
INSERT INTO scheduled_jobs (kind, priority, project_id, env, deployment_id, slot_at, scheduled_at)
SELECT 'collect', i % 5, md5((i / 5 % {PROJECTS})::text)::uuid, 'prod',
       CASE WHEN i % 5 = 0 THEN md5(i::text)::uuid END, moment, moment
  FROM generate_series(1, {PENDING}) AS i,
       LATERAL (SELECT now() + make_interval(secs => i - {DUE}) AS moment) AS m;
INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, slot_at, scheduled_at,
                      status, attempt)
SELECT now() - make_interval(secs => i), -i, 'collect', 0, md5((i % {PROJECTS})::text)::uuid,
       'prod', now(), now(), 'completed', 1
  FROM generate_series(1, {FINISHED}) AS i;
DO $$ DECLARE definition text; BEGIN
    FOR definition IN SELECT indexdef FROM later LOOP EXECUTE definition; END LOOP;
END $$;
ANALYZE scheduled_jobs;
ANALYZE job_runs;
"""

CROWD = 20_000
FILL_UNKNOWN = f"""
INSERT INTO scheduled_jobs (kind, priority, project_id, env, deployment_id, phase, slot_at,
                            scheduled_at, awaiting)
SELECT 'collect', 0, md5('crowd')::uuid, 'prod', NULL, NULL, now(),
       now() - make_interval(secs => i), 0
  FROM generate_series(1, {CROWD}) AS i
 UNION ALL
SELECT kind, 0, md5(i::text)::uuid, 'prod', md5(i::text)::uuid, phase, now(),
       now() + make_interval(hours => CASE kind WHEN 'judge' THEN 9 ELSE -9 END), awaiting
  FROM generate_series(1, {LIMIT}) AS i,
       (VALUES ('collect', 'post', 0), ('judge', NULL, 1)) AS j(kind, phase, awaiting)
"""

EXPLAIN = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_timing = off;
SET auto_explain.log_buffers = on;
SET auto_explain.log_format = json;
SET auto_explain.log_level = notice;
SET client_min_messages = notice;
"""


@dataclass
class Explained:
    """A worker's connection, and the plans of what ran on it."""

    url: str
    conn: Connection
    owner: int
    plans: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, _conn: object, message: asyncpg.PostgresLogMessage) -> None:
        _, _, plan = str(message).partition("plan:\n")
        if plan:
            self.plans.append(json.loads(plan)["Plan"])

    async def turn(
        self,
        settlements: Sequence[Settlement] = (),
        since: queue.Position = queue.BEGINNING,
        *,
        wary: bool = False,
    ) -> tuple[dict[str, Any], queue.Turn]:
        turn = await queue.take_turn(self.conn, self.owner, settlements, LIMIT, since, wary=wary)
        return self.plans.pop(), turn


@asynccontextmanager
async def explaining(server_url: str, fill: Sequence[str]) -> AsyncIterator[Explained]:
    async with scratch_database(server_url, prefix="plans") as url:
        filler = await connect(url, command_timeout=120)
        for statement in fill:
            await filler.execute(statement)
        await filler.close()
        conn = await connect_unshared(url)
        found = Explained(url, conn, await register(conn))
        await conn.execute(EXPLAIN)
        conn.add_log_listener(found.hear)
        yield found
        await conn.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def explained(server_url: str) -> AsyncIterator[Explained]:
    async with explaining(server_url, [FILL]) as found:
        yield found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes that find live jobs."""
    return [
        node
        for node in nodes(plan)
        if "Scan" in node["Node Type"]
        and (
            node.get("Relation Name") == "scheduled_jobs"
            or node.get("Index Name", "").startswith("scheduled_jobs")
        )
    ]


def reads(plan: dict[str, Any]) -> set[str]:
    """Return by which index, if any, live jobs are found."""
    return {node.get("Index Name", node["Node Type"]) for node in scans(plan)}


def walked(plan: dict[str, Any]) -> list[int]:
    """Return how many rows each scan of live jobs went through."""
    return [
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in scans(plan)
    ]


def scanned(plan: dict[str, Any]) -> set[str]:
    """Return the tables that are read."""
    found = (node for node in nodes(plan) if "Scan" in node["Node Type"])
    return {node["Relation Name"] for node in found if "Relation Name" in node}


async def test_a_claim_walks_the_queue_by_its_index(explained: Explained) -> None:
    for since in (queue.BEGINNING, (datetime(2020, 1, 1, tzinfo=UTC), 5)):
        plan, turn = await explained.turn(since=since)
        assert len(turn.claimed) == LIMIT
        assert reads(plan) <= TURN
        assert "scheduled_jobs_due" in reads(plan)
        assert pages(plan) < PAGE_BUDGET


@pytest.mark.parametrize("wary", [False, True])
async def test_a_settle_finds_its_jobs_by_id(explained: Explained, wary: bool) -> None:
    _, turn = await explained.turn()
    settlements = [Settlement(job, Outcome(Status.COMPLETED)) for job in turn.claimed]
    plan, turn = await explained.turn(settlements, wary=wary)
    assert turn.lost == turn.held_up == frozenset()
    assert reads(plan) <= TURN
    assert "job_runs" not in scanned(plan)
    assert pages(plan) < 2 * PAGE_BUDGET


async def test_a_claim_round_the_projects_does_not_read_their_backlog(explained: Explained) -> None:
    claimed, _ = await queue.claim_around(explained.conn, explained.owner, LIMIT, 2)
    plan = explained.plans.pop()
    assert len(claimed) == 2 * PROJECTS
    assert reads(plan) <= {"scheduled_jobs_project", "scheduled_jobs_pkey", "Tid Scan"}
    assert pages(plan) < PAGE_BUDGET


async def test_looking_after_the_others_reads_no_job(explained: Explained) -> None:
    await upkeep.tick(explained.conn, 30)
    assert reads(explained.plans.pop()) == set()


async def test_reaping_looks_at_due_jobs_only(explained: Explained) -> None:
    _, turn = await explained.turn()
    assert await upkeep.reap(explained.conn, [explained.owner]) >= len(turn.claimed)
    plan = explained.plans.pop()
    assert reads(plan) <= {"scheduled_jobs_due", "scheduled_jobs_pkey", "Tid Scan"}
    assert pages(plan) < 2 * PAGE_BUDGET


EMPTIED = [FILL_UNKNOWN, "DELETE FROM scheduled_jobs", "VACUUM scheduled_jobs"]


@pytest.mark.parametrize("history", [[], EMPTIED], ids=["never analyzed", "believed empty"])
async def test_a_backlog_the_statistics_do_not_know_is_not_read_as_a_whole(
    server_url: str, history: list[str]
) -> None:
    """A plan is made at a worker's start and kept; a queue is often empty at that moment."""
    async with explaining(server_url, history) as fresh:
        await _claim_and_settle(fresh)
        filler = await connect(fresh.url)
        await filler.execute(FILL_UNKNOWN)
        await filler.close()
        found = await _claim_and_settle(fresh)
        await upkeep.reap(fresh.conn, [fresh.owner])
        reaped = fresh.plans.pop()
    assert all(rows < 2 * CROWD for rows in walked(reaped))  # it looks at what is due, once
    for plan in found:
        assert all(rows < CROWD / 10 for rows in walked(plan))
        assert pages(plan) < PAGE_BUDGET


async def _claim_and_settle(fresh: Explained) -> list[dict[str, Any]]:
    plan, turn = await fresh.turn()
    settlements = [Settlement(job, Outcome(Status.COMPLETED)) for job in turn.claimed]
    settled, _ = await fresh.turn(settlements)
    await queue.claim_around(fresh.conn, fresh.owner, LIMIT, 2)
    return [plan, settled, fresh.plans.pop()]
