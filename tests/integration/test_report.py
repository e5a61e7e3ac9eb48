"""The report as the API serves it and as the command writes it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Metric, Project, Verdict
from sql import deployments, holds, projects, reports, verdicts
from tests.stories import BASELINE_SECONDS, STORIES, TRIGGERED, tell

ROLLBACK, OK, WARNING, _, WATCHED, ROLLING = STORIES


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def owner(conn: Connection, vault: Vault) -> tuple[Project, dict[str, str]]:
    project, key = await projects.create(conn, vault, name="shop")
    return project, {"X-API-Key": str(key)}


async def test_it_is_a_page_with_a_strict_policy_and_always_the_same(
    client: httpx.AsyncClient,
    owner: tuple[Project, dict[str, str]],
    conn: Connection,
    pool: Pool,
) -> None:
    project, key = owner
    identity = await tell(conn, pool, project.id, ROLLBACK)
    answer = await client.get(f"/deployments/{identity}/report", headers=key)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    again = await client.get(f"/deployments/{identity}/report", headers=key)
    assert again.content == answer.content
    for said in ("Rollback recommended", "severe_regression", "reference-v2", "336c4b15e1053aa5"):
        assert said in answer.text


async def test_of_several_revisions_the_newest_is_shown(
    client: httpx.AsyncClient,
    owner: tuple[Project, dict[str, str]],
    conn: Connection,
    pool: Pool,
) -> None:
    project, key = owner
    identity = await tell(conn, pool, project.id, ROLLBACK)
    said = await verdicts.find(conn, identity)
    assert said is not None
    mild = replace(said, verdict=Verdict.WARNING, reason_code="regression")
    async with conn.transaction():
        await verdicts.lock(conn, identity)
        assert await verdicts.revise(conn, mild, [], "0123456789abcdef") == 2
    answer = await client.get(f"/deployments/{identity}/report", headers=key)
    assert "Warning: something got worse" in answer.text
    assert "<dt>revision</dt><dd>2</dd>" in answer.text
    assert "0123456789abcdef" in answer.text


async def test_only_those_who_may_read_the_verdict_may_read_it(
    client: httpx.AsyncClient,
    owner: tuple[Project, dict[str, str]],
    conn: Connection,
    pool: Pool,
    vault: Vault,
) -> None:
    project, key = owner
    identity = await tell(conn, pool, project.id, OK)
    _, stranger = await projects.create(conn, vault, name="other")
    path = f"/deployments/{identity}/report"
    assert (await client.get(path)).status_code == 401
    foreign = await client.get(path, headers={"X-API-Key": str(stranger)})
    absent = await client.get(f"/deployments/{uuid4()}/report", headers=key)
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.headers["Content-Type"] == "application/problem+json"


async def test_before_a_verdict_it_shows_what_there_is(
    client: httpx.AsyncClient,
    owner: tuple[Project, dict[str, str]],
    conn: Connection,
    pool: Pool,
) -> None:
    project, key = owner
    for story, said in ((WATCHED, "2 of 5 slots"), (ROLLING, "has not finished yet")):
        identity = await tell(conn, pool, project.id, story)
        answer = await client.get(f"/deployments/{identity}/report", headers=key)
        assert answer.status_code == 200
        assert "No verdict yet" in answer.text
        assert said in answer.text
        assert answer.text.count('class="seen"') == 5 * 30 + 1  # and the legend


async def test_slots_are_those_of_this_deployment_and_its_baseline(
    conn: Connection, pool: Pool, project: Project
) -> None:
    identity = await tell(conn, pool, project.id, WARNING)
    await tell(conn, pool, project.id, OK)  # another environment at the same time
    # Of the same environment: the baseline goes on, and somebody else deploys.
    other = await tell(conn, pool, project.id, replace(ROLLING, name="other"))
    await conn.execute(
        "UPDATE metric_samples SET env = 'warning', slot_at = slot_at + interval '32 minutes 5 s', "
        "deployment_id = CASE odd WHEN 1 THEN $1::uuid END, phase = CASE odd WHEN 1 THEN 'pre' END "
        "FROM (VALUES (0), (1)) AS v(odd) "
        "WHERE env = 'other' AND extract(minute FROM slot_at)::integer % 2 = odd",
        other,
    )
    deployment, _ = await deployments.load(conn, identity)
    moments = await reports.load_moments(conn, deployment, BASELINE_SECONDS)
    assert len(moments) == 30 + 15
    assert [each.slot_at for each in moments] == sorted(each.slot_at for each in moments)
    missed = [each.code for each in moments if not each.values]
    assert missed == ["timeout"] * (3 + 4)
    assert moments[0].slot_at < TRIGGERED < moments[30].slot_at


async def test_without_traffic_there_is_neither_latency_nor_error_rate(
    conn: Connection, pool: Pool, project: Project
) -> None:
    identity = await tell(conn, pool, project.id, OK)
    await conn.execute(
        "UPDATE metric_samples SET requests_per_sec = 0, cpu_usage = 'NaN' WHERE phase = 'post'"
    )
    deployment, _ = await deployments.load(conn, identity)
    last = (await reports.load_moments(conn, deployment, BASELINE_SECONDS))[-1]
    assert set(last.values) == {Metric.REQUESTS_PER_SEC, Metric.MEMORY_USAGE}


async def test_a_held_deployment_is_shown_from_its_copies(
    client: httpx.AsyncClient,
    owner: tuple[Project, dict[str, str]],
    conn: Connection,
    pool: Pool,
) -> None:
    project, key = owner
    identity = await tell(conn, pool, project.id, WARNING)
    await holds.hold(conn, identity, BASELINE_SECONDS)
    before = await client.get(f"/deployments/{identity}/report", headers=key)
    await conn.execute("TRUNCATE metric_samples")
    await conn.execute("TRUNCATE missed_slots")
    after = await client.get(f"/deployments/{identity}/report", headers=key)
    assert before.text.count('class="missed"') == 5 * 7 + 1  # and the legend
    assert after.content == before.content


async def test_the_command_writes_the_same_page(
    client: httpx.AsyncClient,
    owner: tuple[Project, dict[str, str]],
    conn: Connection,
    pool: Pool,
    database_url: str,
    tmp_path: Path,
) -> None:
    project, key = owner
    identity = await tell(conn, pool, project.id, ROLLBACK)
    served = await client.get(f"/deployments/{identity}/report", headers=key)
    file = tmp_path / "report.html"
    env = {**os.environ, "SEQPULSE_DATABASE_URL": database_url}
    code, printed, complaint = await run(env, identity, "-o", file)
    assert (code, printed, complaint) == (0, b"", b"")
    assert file.read_bytes() == served.content
    assert (await run(env, identity))[1] == served.content
    code, printed, complaint = await run(env, uuid4())
    assert (code, printed) == (1, b"")
    assert complaint.startswith(b"seqpulse: no deployment")


async def run(env: dict[str, str], *arguments: object) -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core.cli", "report", *map(str, arguments)),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    printed, complaint = await process.communicate()
    return process.returncode, printed, complaint
