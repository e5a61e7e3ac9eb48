"""The verdict over HTTP: what is answered, to whom, and judging again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest

from analytics import policy
from api.app import create_app
from api.schemas import VerdictAnswer
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Scope
from scheduler import judging
from sql import api_keys, projects, verdicts, windows
from tests.integration.test_judging import BASELINE_SECONDS, judge_one, settle


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


@pytest.fixture
async def judged(conn: Connection, pool: Pool, deployment: Deployment) -> Deployment:
    await settle(conn, deployment, slowness=8.0)
    shadows = (policy.find("slo"), policy.REFERENCE_V2)
    await judge_one(pool, deployment, judging.Policies(policy.SEQPULSE_V1, shadows))
    return deployment


async def test_the_answer_is_what_is_stored_and_what_is_documented(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, judged: Deployment
) -> None:
    answer = await client.get(f"/deployments/{judged.id}/verdict", headers=key)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')
    assert answer.headers["cache-control"] == "private, no-cache"
    told = VerdictAnswer.model_validate_json(answer.content, strict=True)
    assert set(answer.json()) == set(VerdictAnswer.model_fields)
    stored = await verdicts.find(conn, judged.id)
    assert stored is not None
    for name in ("verdict", "conclusive", "reason_code", "confidence", "as_of", "decided_at"):
        assert getattr(told, name) == getattr(stored, name)
    for said, evidence in zip(told.evidence, stored.evidence, strict=True):
        assert said == said.model_validate(evidence)
        assert set(answer.json()["evidence"][0]) == set(type(said).model_fields)
    hints = await verdicts.find_hints(conn, judged.id)
    assert hints
    assert [hint.rule for hint in told.hints] == [hint.rule for hint in hints]
    assert [each.policy for each in told.shadows] == ["reference-v2", "slo"]


async def test_what_is_not_finite_is_null(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
    [said] = judging.prepare(material).judge(policy.SEQPULSE_V1)
    odd = replace(said.evidence[0], effect=math.inf, effect_low=-math.inf, effect_high=math.nan)
    await verdicts.save(conn, [(replace(said, evidence=(odd, *said.evidence[1:])), [])])
    answer = await client.get(f"/deployments/{deployment.id}/verdict", headers=key)
    told = VerdictAnswer.model_validate_json(answer.content, strict=True).evidence[0]
    assert (told.effect, told.effect_low, told.effect_high) == (None, None, None)


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ('W/"1"', 304),
        ('"1"', 304),
        ('"7", W/"1"', 304),
        ("*", 304),
        ('W/"2"', 200),
        ("1", 200),
        ('""', 200),
    ],
)
async def test_who_has_the_revision_is_told_so(
    client: httpx.AsyncClient,
    key: dict[str, str],
    judged: Deployment,
    named: str,
    status: int,
) -> None:
    headers = {**key, "If-None-Match": named}
    answer = await client.get(f"/deployments/{judged.id}/verdict", headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (status, 'W/"1"')
    assert bool(answer.content) is (status == 200)


async def test_nothing_is_said_to_who_cannot_prove_the_key(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    vault: Vault,
    judged: Deployment,
) -> None:
    path = f"/deployments/{judged.id}/verdict"
    good = key["X-API-Key"]
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    for headers in ({}, {"X-API-Key": wrong}, {"X-API-Key": "nonsense"}, {"X-API-Key": ""}):
        for wait in ("", "?wait=5"):
            answer = await client.get(path + wait, headers=headers)
            assert answer.status_code == 401
            assert "warning" not in answer.text
    _, other = await projects.create(conn, vault, name="other")
    theirs = await client.get(path, headers={"X-API-Key": str(other)})
    absent = await client.get(f"/deployments/{uuid4()}/verdict", headers={"X-API-Key": str(other)})
    assert theirs.status_code == absent.status_code == 404
    assert theirs.json().keys() == absent.json().keys()
    await conn.execute("UPDATE api_keys SET revoked_at = now()")
    assert (await client.get(path, headers=key)).status_code == 401


async def test_a_key_of_the_master_key_before_is_good_and_is_written_anew(
    settings: Settings,
    database_url: str,
    conn: Connection,
    vault: Vault,
    key: dict[str, str],
    judged: Deployment,
) -> None:
    newer = settings.model_copy(
        update={
            "secret_key_previous": settings.secret_key,
            "secret_key": type(settings.secret_key)("x" * 64),  # type: ignore[misc]
        }
    )
    digest = "SELECT digest FROM api_keys WHERE scope = 'admin'"
    before = await conn.fetchval(digest)
    app = create_app(newer, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            for _ in range(2):
                answer = await client.get(f"/deployments/{judged.id}/verdict", headers=key)
                assert answer.status_code == 200
    assert await conn.fetchval(digest) != before


async def test_judging_again_makes_a_revision_and_says_so(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, judged: Deployment
) -> None:
    path = f"/deployments/{judged.id}"
    made = await client.post(f"{path}/rejudge", headers=key, json={"policy": "slo"})
    assert (made.status_code, made.headers["etag"]) == (201, 'W/"2"')
    assert (made.json()["revision"], made.json()["policy"]) == (2, "slo")
    assert (await client.get(f"{path}/verdict", headers=key)).content == made.content
    again = await client.post(f"{path}/rejudge", headers=key, json={"policy": "slo"})
    assert (again.status_code, again.content) == (200, made.content)
    live = await client.post(f"{path}/rejudge", headers=key)
    assert (live.status_code, live.json()["policy"]) == (201, "seqpulse-v1")
    assert await conn.fetchval("SELECT count(*) FROM verdict_revisions") == 3


async def test_fifty_who_ask_at_once_make_one_revision(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, judged: Deployment
) -> None:
    path = f"/deployments/{judged.id}/rejudge"
    answers = await asyncio.gather(*(client.post(path, headers=key) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert {answer.json()["revision"] for answer in answers} == {2}
    rows = await conn.fetch("SELECT revision FROM verdict_revisions ORDER BY revision")
    assert [row["revision"] for row in rows] == [1, 2]
    assert await conn.fetchval("SELECT count(*) FROM evidence") == 5


@pytest.mark.parametrize("name", ["nobody", "/etc/passwd", "../x.toml", "", "x" * 101, 7])
async def test_a_policy_is_never_taken_from_outside(
    client: httpx.AsyncClient, key: dict[str, str], judged: Deployment, name: object
) -> None:
    answer = await client.post(
        f"/deployments/{judged.id}/rejudge", headers=key, json={"policy": name}
    )
    assert answer.status_code == 422
    assert "policy" in answer.json()["detail"]


async def test_what_cannot_be_judged_again_is_refused_with_the_reason(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    vault: Vault,
    pool: Pool,
    deployment: Deployment,
) -> None:
    path = f"/deployments/{deployment.id}/rejudge"
    early = await client.post(path, headers=key)
    assert (early.status_code, "no verdict yet" in early.json()["detail"]) == (409, True)
    await settle(conn, deployment)
    await judge_one(pool, deployment)
    await conn.execute("DELETE FROM metric_samples")
    gone = await client.post(path, headers=key)
    assert (gone.status_code, "samples" in gone.json()["detail"]) == (409, True)
    stranger, ci = await projects.create(conn, vault, name="other")
    other, _ = await api_keys.add(conn, vault, stranger.id, scope=Scope.ADMIN)
    theirs = await client.post(path, headers={"X-API-Key": str(other)})
    assert theirs.status_code == 404
    assert (await client.post(path, headers={"X-API-Key": str(ci)})).status_code == 403
    assert (await client.post(path)).status_code == 401
    assert await conn.fetchval("SELECT count(*) FROM verdict_revisions") == 1


async def test_many_who_ask_at_once_each_get_their_own_answer(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    vault: Vault,
    judged: Deployment,
) -> None:
    _, other = await projects.create(conn, vault, name="other")
    wrong = {"X-API-Key": key["X-API-Key"][:-4] + "0000"}
    asked = [
        (judged.id, key, 200),
        (uuid4(), key, 404),
        (judged.id, {"X-API-Key": str(other)}, 404),
        (judged.id, wrong, 401),
    ] * 25
    answers = await asyncio.gather(
        *(client.get(f"/deployments/{each}/verdict", headers=headers) for each, headers, _ in asked)
    )
    for (_, headers, status), answer in zip(asked, answers, strict=True):
        assert answer.status_code in ({401, 429} if headers is wrong else {status})
        assert (b"evidence" in answer.content) is (status == 200)


async def test_without_a_database_every_one_who_asks_is_told_and_later_served(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, judged: Deployment
) -> None:
    path = f"/deployments/{judged.id}/verdict"
    await conn.execute("ALTER TABLE verdicts RENAME TO away")
    answers = await asyncio.gather(*(client.get(path, headers=key) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {500}
    await conn.execute("ALTER TABLE away RENAME TO verdicts")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
    await conn.execute(end, "seqpulse api")
    answers = [await client.get(path, headers=key) for _ in range(12)]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert answers[-1].status_code == 200
