"""API keys: what each scope may, who may make them, when they die; what a wrong one gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.app import create_app
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Project, Scope
from sql import api_keys, callers, projects

OPERATOR = {"Authorization": "Bearer operator-token-of-the-tests"}
TRIGGER = {"metrics_endpoint": "http://127.0.0.1:9/m"}
FAILURES = 5
WRONG = {"X-API-Key": "sp_aaaaaaaaaaaa_" + "0" * 64}


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def keys(conn: Connection, vault: Vault, project: Project) -> dict[Scope, dict[str, str]]:
    """A key of each scope."""
    made = {s: (await api_keys.add(conn, vault, project.id, scope=s))[0] for s in Scope}
    return {scope: {"X-API-Key": str(key)} for scope, key in made.items()}


async def test_each_scope_may_what_those_before_it_may(
    client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], project: Project
) -> None:
    calls: list[tuple[Scope, str, str, Any]] = [
        (Scope.READ, "GET", "/sdh", None),
        (Scope.READ, "GET", f"/projects/{project.id}", None),
        (Scope.CI, "POST", "/deployments/trigger", TRIGGER),
        (Scope.CI, "POST", "/deployments/finish", {"deployment_id": "x", "result": "failed"}),
        (Scope.CI, "POST", f"/projects/{project.id}/samples", []),
        (Scope.ADMIN, "GET", f"/projects/{project.id}/keys", None),
        (Scope.ADMIN, "POST", f"/projects/{project.id}/keys", {}),
        (Scope.ADMIN, "DELETE", f"/projects/{project.id}/keys/aaaaaaaaaaaa", None),
    ]
    for needed, method, path, body in calls:
        for scope, key in keys.items():
            answer = await client.request(method, path, json=body, headers=key)
            assert (answer.status_code != 403) is scope.covers(needed), (path, scope)
            if answer.status_code == 403:
                assert f"scope {needed}" in answer.json()["detail"]


async def test_the_first_key_and_old_ones_do_what_ci_does(
    client: httpx.AsyncClient, conn: Connection, vault: Vault
) -> None:
    project, key = await projects.create(conn, vault, name="new")
    [facts] = await api_keys.list_of(conn, project.id)
    assert (facts.id, facts.scope) == (key.id, Scope.CI)
    await conn.execute(
        "INSERT INTO api_keys (id, project_id, digest) VALUES ('old', $1, $2)",
        project.id,
        vault.digest("secret"),
    )
    answer = await client.post(
        "/deployments/trigger", json=TRIGGER, headers={"X-API-Key": "sp_old_secret"}
    )
    assert answer.json()["status"] == "created"


@pytest.mark.parametrize("admin", ["operator", "key"])
async def test_a_key_is_made_used_listed_and_revoked(
    client: httpx.AsyncClient,
    keys: dict[Scope, dict[str, str]],
    project: Project,
    conn: Connection,
    admin: str,
) -> None:
    headers = OPERATOR if admin == "operator" else keys[Scope.ADMIN]
    path = f"/projects/{project.id}/keys"
    body = {"scope": "read", "label": "grafana", "expires_at": "2999-01-01T00:00:00Z"}
    made = await client.post(path, json=body, headers=headers)
    assert made.status_code == 201
    new = made.json()
    assert (new["scope"], new["label"], new["last_used_at"]) == ("read", "grafana", None)
    used = {"X-API-Key": new["api_key"]}
    assert (await client.get("/sdh", headers=used)).status_code == 200
    listed = (await client.get(path, headers=headers)).json()
    assert [key["label"] for key in listed] == ["first", "", "", "", "grafana"]
    assert not [key for key in listed if "api_key" in key]
    secret = new["api_key"].rpartition("_")[2]
    assert secret not in str(await conn.fetch("SELECT k::text FROM api_keys AS k"))
    for _ in range(2):
        gone = await client.delete(f"{path}/{new['id']}", headers=headers)
        assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get("/sdh", headers=used)).status_code == 401
    listed = (await client.get(path, headers=headers)).json()
    assert [key["revoked_at"] is not None for key in listed] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "root"}, "scope"),
        ({"label": "x" * 101}, "label"),
        ({"label": "a\0"}, "label"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
    ],
)
async def test_odd_keys_are_not_made(
    client: httpx.AsyncClient, project: Project, body: dict[str, str], field: str
) -> None:
    answer = await client.post(f"/projects/{project.id}/keys", json=body, headers=OPERATOR)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_an_expired_key_is_dead(conn: Connection, vault: Vault, project: Project) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    key, _ = await api_keys.add(conn, vault, project.id, expires_at=soon)
    assert await callers.authenticate(conn, vault, str(key)) is not None
    await conn.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", key.id)
    assert await callers.authenticate(conn, vault, str(key)) is None


async def test_a_project_has_a_bounded_number_of_live_keys(
    client: httpx.AsyncClient, conn: Connection, vault: Vault, project: Project
) -> None:
    key, _ = await api_keys.add(conn, vault, project.id)
    for _ in range(api_keys.MAX_LIVE - 2):
        await api_keys.add(conn, vault, project.id)
    path = f"/projects/{project.id}/keys"
    assert (await client.post(path, json={}, headers=OPERATOR)).status_code == 409
    await api_keys.revoke(conn, project.id, key.id)
    assert (await client.post(path, json={}, headers=OPERATOR)).status_code == 201


async def test_last_use_is_written_now_and_then_and_once_a_minute_at_most(
    settings: Settings, database_url: str, conn: Connection, pool: Pool, vault: Vault
) -> None:
    _, key = await projects.create(conn, vault, name="shop")
    app = create_app(settings, database_url)
    last = "SELECT last_used_at FROM api_keys"
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            await client.get("/sdh", headers={"X-API-Key": str(key)})
            assert await conn.fetchval(last) is None
            await app.state.seqpulse.uses.write(pool)
            first = await conn.fetchval(last)
            assert first is not None
            await client.get("/sdh", headers={"X-API-Key": str(key)})
            await app.state.seqpulse.uses.write(pool)
            assert await conn.fetchval(last) == first
            await conn.execute("UPDATE api_keys SET last_used_at = now() - interval '61 s'")
            await client.get("/sdh", headers={"X-API-Key": str(key)})
    assert await conn.fetchval(last) > first  # written at the end, too


async def test_what_is_anothers_answers_as_what_is_not_there(
    client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]], conn: Connection, vault: Vault
) -> None:
    other, stranger = await projects.create(conn, vault, name="other")
    for path in ("", "/keys", "/samples"):
        method = "POST" if path == "/samples" else "GET"
        theirs, absent = [
            await client.request(
                method,
                f"/projects/{project}{path}",
                json=[] if path == "/samples" else None,
                headers=keys[Scope.ADMIN],
            )
            for project in (other.id, UUID(int=7))
        ]
        assert theirs.status_code == 404
        assert _without_ids(theirs, other.id) == _without_ids(absent, UUID(int=7))
    answer = await client.delete(
        f"/projects/{other.id}/keys/{stranger.id}", headers=keys[Scope.ADMIN]
    )
    assert answer.status_code == 404
    assert await callers.authenticate(conn, vault, str(stranger)) is not None


def _without_ids(answer: httpx.Response, identity: UUID) -> tuple[object, object]:
    body = {**answer.json(), "request_id": None}
    body["detail"] = body["detail"].replace(str(identity), "ID")
    varying = {"x-request-id", "ratelimit", "content-length"}
    return body, [(n, v) for n, v in answer.headers.items() if n not in varying]


async def test_the_key_is_looked_at_before_path_and_body(
    client: httpx.AsyncClient, keys: dict[Scope, dict[str, str]]
) -> None:
    paths = ("/deployments/nonsense", "/projects/nonsense/keys", "/projects/nonsense")
    assert {(await client.get(path)).status_code for path in paths} == {401}
    assert {(await client.get(path, headers=WRONG)).status_code for path in paths} == {401}
    admin = keys[Scope.ADMIN]
    assert {(await client.get(path, headers=admin)).status_code for path in paths} == {422}
    broken = await client.post("/deployments/trigger", content=b"{", headers=WRONG)
    assert broken.status_code == 401


async def test_wrong_keys_are_bounded_by_address_and_good_ones_pass(
    settings: Settings, database_url: str, keys: dict[Scope, dict[str, str]]
) -> None:
    app = create_app(settings, database_url)

    async def ask(address: str, headers: dict[str, str], path: str = "/sdh") -> int:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return (await client.get(path, headers=headers)).status_code

    bad_token = {"Authorization": "Bearer nonsense"}
    async with app.router.lifespan_context(app):
        codes = [await ask("192.0.2.1", WRONG) for _ in range(FAILURES)]
        assert set(codes) == {401}
        assert await ask("192.0.2.1", WRONG) == 429
        assert await ask("192.0.2.1", bad_token, "/projects") == 429
        assert await ask("192.0.2.1", keys[Scope.READ]) == 200
        assert await ask("192.0.2.1", OPERATOR, "/projects") == 200
        assert await ask("192.0.2.1", {}) == 401, "nothing was tried"
        assert await ask("192.0.2.2", WRONG) == 401
        codes = [await ask(f"2001:db8::{n}", WRONG) for n in range(1, FAILURES + 2)]
        assert codes == [401] * FAILURES + [429]
        assert await ask("2001:db8:0:1::1", WRONG) == 401


async def test_every_limited_answer_says_where_the_caller_stands(
    settings: Settings, database_url: str, keys: dict[Scope, dict[str, str]]
) -> None:
    few = settings.model_copy(update={"reads_per_minute": 2, "changes_per_minute": 1})
    app = create_app(few, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            path = f"/deployments/{uuid4()}"
            answers = [await client.get(path, headers=keys[Scope.READ]) for _ in range(3)]
            other = await client.get(path, headers=keys[Scope.CI])
            changes = [
                await client.post("/deployments/trigger", json={}, headers=keys[Scope.CI])
                for _ in range(2)
            ]
            live = await client.get("/livez")
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"reads";q=2;w=60'}
    assert [answer.headers["RateLimit"] for answer in answers] == [
        '"reads";r=1;t=60',
        '"reads";r=0;t=60',
        '"reads";r=0;t=60',
    ]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert other.headers["RateLimit"].startswith('"reads";r=1;')
    assert [answer.status_code for answer in changes] == [422, 429]
    assert changes[1].headers["RateLimit"].startswith('"changes";r=0;')
    assert "RateLimit" not in live.headers


async def test_two_processes_may_write_the_same_uses(
    conn: Connection, pool: Pool, vault: Vault, project: Project
) -> None:
    made = [(await api_keys.add(conn, vault, project.id))[0].id for _ in range(20)]

    async def write(ids: list[str]) -> None:
        async with pool.acquire() as one:
            await api_keys.note_use(one, ids)

    await asyncio.gather(*(write(ids) for ids in (made, made[::-1]) * 4))
    await write(made)
    unused = await conn.fetchval("SELECT count(*) FROM api_keys WHERE last_used_at IS NULL")
    assert unused == 1, "the first one of the project"
