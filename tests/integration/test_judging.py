"""Judging with a real database: what is loaded, what is stored, and that the past stays the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from analytics import policy
from analytics.policy import Policy
from core.database import Connection, Pool
from core.ids import new_id
from core.types import Deployment, Project
from scheduler import judging, profiling
from scheduler.docket import MOST, Docket
from scheduler.jobs import Outcome, Status
from scheduler.replay import replay
from sql import history, verdicts, windows

BASELINE_SECONDS = 1800.0
POLICIES = judging.Policies(policy.SEQPULSE_V1)
GENERATE = (Path(__file__).parent / "many_deployments.sql").read_text()


async def generate(conn: Connection, services: int, each: int) -> list[UUID]:
    """Fill the database with a past: gaps, failures, neighbours, services without a baseline."""
    await conn.execute("SELECT setseed(0.5)")
    await conn.execute(GENERATE.replace(":services", str(services)).replace(":each", str(each)))
    rows = await conn.fetch("SELECT id FROM deployments ORDER BY triggered_at, id")
    return [row["id"] for row in rows]


async def judge_all(conn: Connection, pool: Pool, policies: judging.Policies = POLICIES) -> None:
    """Judge the past in its order, each deployment right after its last post slot."""
    rows = await conn.fetch(
        "SELECT array_agg(id) FROM (SELECT id, row_number() OVER (PARTITION BY project_id "
        "ORDER BY triggered_at) AS nth FROM deployments) AS d GROUP BY nth ORDER BY nth"
    )
    for (ids,) in rows:
        outcomes = await judging.judge(pool, policies, BASELINE_SECONDS, ids)
        assert {outcome.status for outcome in outcomes.values()} == {Status.COMPLETED}
        await conn.execute(
            "UPDATE verdicts SET as_of = finished_at + make_interval(secs => (post_slots - 1) "
            "* slot_seconds + 1) FROM deployments WHERE id = deployment_id AND id = ANY($1)",
            ids,
        )


async def test_live_replayed_and_lone_verdicts_agree_bit_for_bit(
    conn: Connection, pool: Pool
) -> None:
    """Judged in the order of time as they came, then all again in other company."""
    ids = await generate(conn, services=24, each=125)
    await profile_services(conn, pool)
    await judge_all(conn, pool)
    lots = [
        lot
        async for lot in replay(conn, policy.SEQPULSE_V1, history.Selection(), BASELINE_SECONDS, 731)
    ]
    replayed = pl.concat(lots)
    assert replayed.height == len(ids) == 3000
    assert (replayed["verdict"] == replayed["recorded_verdict"]).all()
    # The cases are what they should be: otherwise nothing would be shown.
    assert set(replayed["verdict"]) == {"ok", "warning", "rollback_recommended"}
    assert replayed["reason_code"].n_unique() >= 4
    assert replayed["confounders"].list.len().max() > 0
    assert replayed["profile_until"].is_not_null().any()
    sources = await conn.fetch("SELECT DISTINCT baseline_source FROM evidence")
    assert {row[0] for row in sources} == {
        "baseline",
        "pre",
        "previous",
        "history",
        "none",
    }
    for some in (ids[:1], ids[7:8], ids[1000:1003], ids[::-1][:257], ids[::9]):
        for said in judging.prepare(await windows.load(conn, some, BASELINE_SECONDS)).judge(
            policy.SEQPULSE_V1
        ):
            found = await verdicts.find(conn, said.deployment_id)
            assert found is not None
            assert replace(found, as_of=said.as_of) == said


async def profile_services(conn: Connection, pool: Pool) -> None:
    """Make the profiles of a few services, as their own jobs would have made them."""
    rows = await conn.fetch(
        "SELECT DISTINCT ON (project_id) d.id, d.finished_at FROM deployments d "
        "JOIN projects p ON p.id = project_id WHERE substr(p.name, 9)::integer % 7 > 4 "
        "AND triggered_at > '2026-03-10' ORDER BY project_id, triggered_at"
    )
    made = 0
    for row in rows:
        deployment = await load_deployment(conn, row["id"])
        made += await profiling.build(pool, deployment, BASELINE_SECONDS, 60.0)
        await conn.execute(
            "UPDATE service_profiles SET built_at = $1 WHERE built_at > $1", row["finished_at"]
        )
    assert made


async def load_deployment(conn: Connection, identity: UUID) -> Deployment:
    from sql import deployments

    return (await deployments.load(conn, identity))[0]
