"""Calls with an Idempotency-Key: done once, answered alike, whatever comes between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from api.app import create_app
from core.database import Connection
from core.secrets import Vault
from core.settings import Settings
from core.types import Project, Scope
from scheduler import house
from sql import api_keys, kept_answers, projects, rotation
from sql.kept_answers import Answer, Call

OPERATOR = {"Authorization": "Bearer operator-token-of-the-tests"}
TRIGGER = {"metrics_endpoint": "http://127.0.0.1:9/m"}
KEY = {"Idempotency-Key": "run-1"}


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def admin(conn: Connection, vault: Vault, project: Project) -> dict[str, str]:
    key, _ = await api_keys.add(conn, vault, project.id, scope=Scope.ADMIN)
    return {"X-API-Key": str(key)}


async def trigger(
    client: httpx.AsyncClient, headers: dict[str, str], **changes: object
) -> httpx.Response:
    return await client.post("/deployments/trigger", json={**TRIGGER, **changes}, headers=headers)


async def test_the_same_call_gets_the_same_answer(
    client: httpx.AsyncClient, admin: dict[str, str], conn: Connection
) -> None:
    first = await trigger(client, admin | KEY)
    again = await trigger(client, admin | KEY)
    assert (first.status_code, first.json()["status"]) == (200, "created")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (
        False,
        "true",
    )
    assert await conn.fetchval("SELECT idempotency_key FROM deployments") == "run-1"


async def test_another_call_with_the_key_is_refused_and_others_keep_theirs_apart(
    client: httpx.AsyncClient, admin: dict[str, str], conn: Connection, vault: Vault
) -> None:
    first = await trigger(client, admin | KEY)
    other = await trigger(client, admin | KEY, env="staging")
    assert other.status_code == 422
    assert other.json()["type"].endswith("/idempotency-key-reused")
    assert await conn.fetchval("SELECT count(*) FROM deployments") == 1
    _, stranger = await projects.create(conn, vault, name="other")
    theirs = await trigger(client, {"X-API-Key": str(stranger)} | KEY, env="staging")
    assert theirs.json()["status"] == "created"
    body = {"deployment_id": first.json()["deployment_id"], "result": "success"}
    finished = await client.post("/deployments/finish", json=body, headers=admin | KEY)
    assert finished.json()["status"] == "accepted"


async def test_a_refusal_is_not_kept(
    client: httpx.AsyncClient, admin: dict[str, str], conn: Connection
) -> None:
    refused = await trigger(client, admin | KEY, metrics_endpoint=None)
    assert refused.status_code == 422
    assert await conn.fetchval("SELECT count(*) FROM kept_answers") == 0
    assert (await trigger(client, admin | KEY)).json()["status"] == "created"


async def test_while_it_is_under_way_the_key_is_taken(
    client: httpx.AsyncClient, admin: dict[str, str], project: Project, conn: Connection
) -> None:
    call = Call(project.id, "POST /deployments/trigger", "run-1", b"")
    async with conn.transaction():
        assert await kept_answers.try_lock(conn, call)
        answer = await trigger(client, admin | KEY)
        assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
        assert answer.json()["type"].endswith("/in-flight")
    assert (await trigger(client, admin | KEY)).json()["status"] == "created"


async def test_fifty_at_once_do_it_once(
    client: httpx.AsyncClient, admin: dict[str, str], conn: Connection
) -> None:
    answers = await asyncio.gather(*(trigger(client, admin | KEY) for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    jobs = await conn.fetchval("SELECT count(*) FROM scheduled_jobs")
    identity = next(a for a in answers if a.status_code == 200).json()["deployment_id"]
    body = {"deployment_id": identity, "result": "success"}
    finishes = await asyncio.gather(
        *(client.post("/deployments/finish", json=body, headers=admin | KEY) for _ in range(49))
    )
    assert {a.json()["status"] for a in finishes if a.status_code == 200} == {"accepted"}
    assert await conn.fetchval("SELECT count(*) FROM deployments") == 1
    assert jobs == 2
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 2 + 5 + 1 + 1
    assert await conn.fetchval("SELECT count(*) FROM kept_answers") == 2


async def test_fifty_without_a_key_do_it_once_too(
    client: httpx.AsyncClient, admin: dict[str, str], conn: Connection
) -> None:
    answers = await asyncio.gather(*(trigger(client, admin) for _ in range(50)))
    [identity] = {answer.json()["deployment_id"] for answer in answers}
    body = {"deployment_id": identity, "result": "success"}
    finishes = await asyncio.gather(
        *(client.post("/deployments/finish", json=body, headers=admin) for _ in range(50))
    )
    assert [answer.json()["status"] for answer in finishes].count("accepted") == 1
    assert await conn.fetchval("SELECT count(*) FROM deployments") == 1
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 2 + 5 + 1 + 1


async def test_an_answer_with_secrets_is_kept_encrypted_and_moves_to_a_new_master_key(
    client: httpx.AsyncClient, conn: Connection, vault: Vault, settings: Settings
) -> None:
    body = {"name": "secretive", "hmac": True}
    first = await client.post("/projects", json=body, headers=OPERATOR | KEY)
    again = await client.post("/projects", json=body, headers=OPERATOR | KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    path = f"/projects/{first.json()['id']}/keys"
    made = await client.post(path, json={}, headers=OPERATOR | KEY)
    rows = str(await conn.fetch("SELECT k::text FROM kept_answers AS k"))
    for secret in (first.json()["api_key"], first.json()["hmac_secret"], made.json()["api_key"]):
        assert secret not in rows
    assert "secretive" not in rows
    both = Vault("n" * 40, vault.master_key)
    assert (await rotation.rotate(conn, both)).secrets == 3
    tokens = await conn.fetch("SELECT answer_encrypted AS token FROM kept_answers")
    stored = [json.loads(Vault("n" * 40).decrypt(row["token"])) for row in tokens]
    assert first.text in {each["body"] for each in stored}


async def test_a_push_may_carry_a_key_too(
    client: httpx.AsyncClient, admin: dict[str, str], project: Project
) -> None:
    names = ("requests_per_sec", "latency_p95", "error_rate", "cpu_usage", "memory_usage")
    row = {"slot_at": datetime.now(UTC).isoformat(), "metrics": dict.fromkeys(names, 0.5)}
    path = f"/projects/{project.id}/samples"
    answers = [await client.post(path, json=[row], headers=admin | KEY) for _ in range(2)]
    assert [answer.json()["stored"] for answer in answers] == [1, 1]
    assert (await client.post(path, json=[row], headers=admin)).json()["known"] == 1
    other = await client.post(f"{path}?env=staging", json=[row], headers=admin | KEY)
    assert other.status_code == 422


async def test_a_refusal_that_is_a_report_is_not_kept_either(
    client: httpx.AsyncClient, admin: dict[str, str], project: Project, conn: Connection
) -> None:
    path = f"/projects/{project.id}/samples"
    answers = [await client.post(path, json=["odd"], headers=admin | KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert "Idempotent-Replayed" not in answers[1].headers
    assert await conn.fetchval("SELECT count(*) FROM kept_answers") == 0


async def test_revoking_is_repeated_alike(
    client: httpx.AsyncClient, admin: dict[str, str], project: Project, conn: Connection
) -> None:
    [first, _] = await api_keys.list_of(conn, project.id)
    path = f"/projects/{project.id}/keys/{first.id}"
    answers = [await client.delete(path, headers=admin | KEY) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2


async def test_after_a_day_a_key_is_new(
    client: httpx.AsyncClient, conn: Connection, database_url: str
) -> None:
    async def create(name: str) -> int:
        answer = await client.post("/projects", json={"name": name}, headers=OPERATOR | KEY)
        return answer.status_code

    assert await create("a") == 201
    assert await create("b") == 422
    await conn.execute("UPDATE kept_answers SET kept_at = now() - interval '24 hours'")
    assert await create("b") == 201
    await conn.execute("UPDATE kept_answers SET kept_at = now() - interval '24 hours'")
    assert await house.keep(database_url, house.Rules())
    assert await conn.fetchval("SELECT count(*) FROM kept_answers") == 0


async def test_of_two_only_one_can_keep_an_answer(
    conn: Connection, vault: Vault, project: Project
) -> None:
    answer = Answer(200, [("content-type", "text/plain")], "x")
    for project_id in (project.id, None):
        call = Call(project_id, "POST /x", "k", b"d")
        await kept_answers.keep(conn, vault, call, answer)
        kept = await kept_answers.find(conn, vault, call)
        assert kept is not None
        assert (kept.answer.status, kept.answer.body, kept.is_of_call) == (200, "x", True)
        with pytest.raises(Exception, match="unique"):
            await kept_answers.keep(conn, vault, call, answer)


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ä", "\t"])
async def test_odd_keys_are_refused(
    client: httpx.AsyncClient, admin: dict[str, str], conn: Connection, key: str
) -> None:
    headers = [(n.encode(), v.encode()) for n, v in admin.items()]
    answer = await client.post(
        "/deployments/trigger",
        json=TRIGGER,
        headers=[*headers, (b"Idempotency-Key", key.encode("latin-1"))],
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await conn.fetchval("SELECT count(*) FROM deployments") == 0
