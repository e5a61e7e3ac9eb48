"""Looking back over HTTP: pages that stay right, filters, samples, revisions, feedback."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.app import create_app
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Scope
from sql import api_keys, holds, projects
from tests.integration.test_judging import BASELINE_SECONDS, judge_one, settle

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FILL = """
INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, post_slots,
                         slot_seconds)
SELECT gen_random_uuid(), $1, (ARRAY['prod', 'staging'])[1 + i % 2], 'b' || i % 3, 'analyzed',
       $2::timestamptz + (i / 4) * interval '1 minute', $2::timestamptz + interval '1 day', 5, 60
  FROM generate_series(0, $3 - 1) AS i
"""
SAY = """
WITH said AS (
    INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,
                          coverage_ratio, as_of)
    SELECT id, 'p', CASE WHEN branch = 'b0' THEN 'warning' ELSE 'ok' END, branch <> 'b2', 'r', 1,
           1, now()
      FROM deployments
    RETURNING deployment_id
)
INSERT INTO hints
SELECT deployment_id, rule, position, (ARRAY['info', 'critical'])[1 + position], 't', 'd', '{a}',
       '{latency_p95}'
  FROM said, (VALUES ('slow', 0::smallint), ('failing', 1::smallint)) AS h(rule, position)
"""


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def key(conn: Connection, vault: Vault, project: Project) -> dict[str, str]:
    key, _ = await api_keys.add(conn, vault, project.id, scope=Scope.ADMIN)
    return {"X-API-Key": str(key)}


async def walk(client: httpx.AsyncClient, key: dict[str, str], path: str) -> list[Any]:
    """Follow the links from page to page; return all rows."""
    rows = []
    following: str | None = path
    while following:
        answer = await client.get(following, headers=key)
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        following = answer.links.get("next", {}).get("url")
    return rows


async def test_pages_show_every_deployment_once_in_order(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, project: Project
) -> None:
    """Four at a time have the same moment, so a page may end between them."""
    await conn.execute(FILL, project.id, NOON, 25)
    expected = [
        str(row["id"])
        for row in await conn.fetch(
            "SELECT id FROM deployments ORDER BY triggered_at DESC, id DESC"
        )
    ]
    for limit in (1, 3, 7, 25, 200):
        rows = await walk(client, key, f"/deployments?limit={limit}")
        assert [row["id"] for row in rows] == expected


async def test_a_page_stays_right_while_deployments_arrive_and_go(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, project: Project
) -> None:
    await conn.execute(FILL, project.id, NOON, 12)
    before = [row["id"] for row in await walk(client, key, "/deployments")]
    first = await client.get("/deployments?limit=5", headers=key)
    await conn.execute(FILL, project.id, NOON + timedelta(hours=1), 12)
    await conn.execute("DELETE FROM deployments WHERE id = $1", UUID(before[4]))  # where it ended
    rest = await walk(client, key, first.links["next"]["url"])
    assert [row["id"] for row in rest] == before[5:]


async def test_deployments_are_found_by_what_they_are(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, project: Project
) -> None:
    await conn.execute(FILL, project.id, NOON, 24)
    await conn.execute(SAY)
    tests: dict[str, Callable[[dict[str, str]], bool]] = {
        "env=prod": lambda row: row["env"] == "prod",
        "branch=b1": lambda row: row["branch"] == "b1",
        "verdict=warning": lambda row: row["branch"] == "b0",
        "conclusive=false": lambda row: row["branch"] == "b2",
        "state=analyzed&conclusive=true&env=staging": lambda row: (
            row["branch"] != "b2" and row["env"] == "staging"
        ),
        "state=pending": lambda _: False,
        "since=2026-05-01T12:02:00Z&until=2026-05-01T14:05:00%2B02:00": lambda row: (
            "12:02" <= row["triggered_at"][11:16] < "12:05"
        ),
    }
    for query, test in tests.items():
        everything = await walk(client, key, "/deployments")
        assert len(everything) == 24
        found = await walk(client, key, f"/deployments?limit=4&{query}")
        assert found == [row for row in everything if test(row)], query


async def test_another_project_sees_nothing_of_it(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    vault: Vault,
    project: Project,
) -> None:
    await conn.execute(FILL, project.id, NOON, 4)
    await conn.execute(SAY)
    [first, *_] = await walk(client, key, "/deployments")
    _, other = await projects.create(conn, vault, name="other")
    theirs = {"X-API-Key": str(other)}
    assert await walk(client, theirs, "/deployments") == []
    assert await walk(client, theirs, "/sdh") == []
    for identity in (first["id"], str(uuid4())):
        for path in ("", "/samples", "/revisions", "/verdict"):
            answer = await client.get(f"/deployments/{identity}{path}", headers=theirs)
            assert answer.status_code == 404
            assert answer.json()["detail"] == f"no deployment {identity}"
        body = {"harmful": True}
        path = f"/deployments/{identity}/feedback"
        assert (await client.post(path, headers=theirs, json=body)).status_code == 404
    assert await conn.fetchval("SELECT count(*) FROM feedback") == 0


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=",
        "cursor=" + "A" * 54,
        "cursor=%00",
        "cursor=" + "é" * 20,
        "limit=0",
        "limit=201",
        "limit=x",
        "state=gone",
        "verdict=maybe",
        "since=yesterday",
        "since=0.5",
        "since=1777636800",
        "since=2026-05-01T12:00:00",
        "since=0001-01-01T00:00:00%2B14:00",
        "until=9999-12-31T23:59:59-14:00",
        "conclusive=perhaps",
        "branch=%00",
        "env=%20",
    ],
)
async def test_what_makes_no_sense_is_422(
    client: httpx.AsyncClient, key: dict[str, str], query: str
) -> None:
    answer = await client.get(f"/deployments?{query}", headers=key)
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_a_cursor_cannot_be_changed(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, project: Project
) -> None:
    await conn.execute(FILL, project.id, NOON, 4)
    answer = await client.get("/deployments?limit=2", headers=key)
    cursor = httpx.URL(answer.links["next"]["url"]).params["cursor"]
    sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for place in range(len(sealed)):
        forged = bytearray(sealed)
        forged[place] ^= 1
        text = base64.urlsafe_b64encode(bytes(forged)).decode().rstrip("=")
        answer = await client.get("/deployments", params={"cursor": text}, headers=key)
        assert answer.status_code == 422


async def test_the_latest_page_is_found_without_reading_the_rest(
    conn: Connection, project: Project
) -> None:
    from sql.lists import _text  # the statement as it runs

    await conn.execute(FILL, project.id, NOON, 20_000)
    await conn.execute("ANALYZE deployments")
    rows = await conn.fetch(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT, TIMING OFF) " + _text("deployments"),
        *(project.id, None, None, None, None, NOON - timedelta(days=1), NOON + timedelta(days=99)),
        *(NOON + timedelta(minutes=100), UUID(int=0), None, 50),
    )
    plan = "\n".join(row[0] for row in rows)
    assert "deployments_recent" in plan
    assert "Seq Scan on deployments" not in plan
    filtered = [int(part.split()[0]) for part in plan.split("Rows Removed by Filter:")[1:]]
    assert sum(filtered) < 100


async def test_hints_are_listed_by_deployment_and_importance(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, project: Project
) -> None:
    await conn.execute(FILL, project.id, NOON, 9)
    await conn.execute(SAY)
    order = [row["id"] for row in await walk(client, key, "/deployments")]
    expected = [(identity, rule) for identity in order for rule in ("slow", "failing")]
    for limit in (1, 3, 4, 100):
        rows = await walk(client, key, f"/sdh?limit={limit}")
        assert [(row["deployment_id"], row["hint"]["rule"]) for row in rows] == expected
    for query, count in (
        ("severity=critical", 9),
        ("rule=slow&env=prod", 5),
        ("since=2026-05-01T12:02:00Z", 2),
    ):
        assert len(await walk(client, key, f"/sdh?limit=2&{query}")) == count


@pytest.mark.parametrize("held", [False, True])
async def test_samples_are_those_of_its_windows(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    deployment: Deployment,
    held: bool,
) -> None:
    await settle(conn, deployment)
    await conn.execute(
        "DELETE FROM metric_samples WHERE sequence_index = 3",
    )
    await conn.execute(
        "INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index, "
        "code, detail) SELECT finished_at + interval '3 min', project_id, env, id, 'post', 3, "
        "'timeout', 'no answer' FROM deployments"
    )
    if held:
        await holds.hold(conn, deployment.id, BASELINE_SECONDS)
        await conn.execute("DELETE FROM metric_samples")
        await conn.execute("DELETE FROM missed_slots")
    answer = await client.get(f"/deployments/{deployment.id}/samples", headers=key)
    slots = answer.json()
    assert [row["phase"] for row in slots["samples"]] == ["baseline"] * 30 + ["post"] * 4
    assert [row["sequence_index"] for row in slots["samples"][30:]] == [0, 1, 2, 4]
    assert [row["slot_at"] for row in slots["samples"]] == sorted(
        row["slot_at"] for row in slots["samples"]
    )
    [missed] = slots["missed"]
    assert (missed["code"], missed["phase"], missed["sequence_index"]) == ("timeout", "post", 3)


async def test_revisions_are_all_there(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    pool: Pool,
    deployment: Deployment,
) -> None:
    await settle(conn, deployment, slowness=8.0)
    path = f"/deployments/{deployment.id}"
    assert (await client.get(f"{path}/revisions", headers=key)).json() == []
    await judge_one(pool, deployment)
    first = (await client.get(f"{path}/verdict", headers=key)).json()
    await client.post(f"{path}/rejudge", headers=key, json={"policy": "reference-v2"})
    new, old = (await client.get(f"{path}/revisions", headers=key)).json()
    assert (new["revision"], new["newest"], new["policy"]) == (2, True, "reference-v2")
    assert (old["newest"], old["superseded_at"] is not None) == (False, True)
    same = old.keys() & first.keys() - {"evidence", "as_of", "created_at"}
    assert {name: old[name] for name in same} == {name: first[name] for name in same}
    assert len(old["evidence"]) == 5
    shown = (await client.get(path, headers=key)).json()
    assert (shown["revision"], shown["state"], shown["verdict"]) == (2, "analyzed", "warning")


async def test_the_last_word_counts(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    pool: Pool,
    deployment: Deployment,
) -> None:
    path = f"/deployments/{deployment.id}/feedback"
    early = await client.post(path, headers=key, json={"right": True})
    assert early.status_code == 409
    words = {"harmful": False, "given_by": "ada", "note": "all\nwell"}
    said = await client.post(path, headers=key, json=words)
    assert (said.status_code, said.json()["harmful"], said.json()["revision"]) == (200, False, None)
    await settle(conn, deployment, slowness=8.0)
    await judge_one(pool, deployment)
    for right, harmful in ((False, False), (True, True)):
        said = await client.post(
            path, headers=key, json={"right": right, "rolled_back_by": "ci job 7"}
        )
        assert (said.json()["harmful"], said.json()["revision"]) == (harmful, 1)
    [row] = await conn.fetch("SELECT * FROM report.feedback")
    assert (row["harmful"], row["rolled_back_by"], row["note"], row["given_by"]) == (
        True,
        "ci job 7",
        None,
        "api",
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"harmful": True, "right": True},
        {"harmful": "who knows"},
        {"harmful": True, "note": ""},
        {"harmful": True, "note": "x" * 2001},
        {"harmful": True, "note": "a\0b"},
        {"harmful": True, "rolled_back_by": "x" * 256},
        {"right": None},
        [],
    ],
)
async def test_words_that_say_nothing_are_422(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    deployment: Deployment,
    body: object,
) -> None:
    answer = await client.post(f"/deployments/{deployment.id}/feedback", headers=key, json=body)
    assert answer.status_code == 422
    assert await conn.fetchval("SELECT count(*) FROM feedback") == 0
