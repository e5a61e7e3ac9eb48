"""Channels and deliveries over HTTP: what goes in, what never comes out, and who may do it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.app import create_app
from core.database import Connection
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Scope
from sql import api_keys, projects
from tests.integration.telling import judged

URL = "https://hooks.example.com/services/T000/SecretPathOfTheTests?token=secret"
WEBHOOK = {"kind": "webhook", "name": "ops", "url": URL}
GITHUB = {"kind": "github", "name": "gh", "repository": "acme/shop", "token": "ghp_SecretToken"}


@pytest.fixture
async def client(
    settings: Settings, database_url: str, conn: Connection, vault: Vault, project: Project
) -> AsyncIterator[httpx.AsyncClient]:
    key, _ = await api_keys.add(conn, vault, project.id, scope=Scope.ADMIN)
    app = create_app(settings, database_url)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://api",
            headers={"X-API-Key": str(key)},
        ) as client,
    ):
        yield client


@pytest.fixture
def base(project: Project) -> str:
    return f"/projects/{project.id}"


async def create(client: httpx.AsyncClient, base: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"{base}/channels", json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_secrets_are_shown_once_or_never(client: httpx.AsyncClient, base: str) -> None:
    webhook = await create(client, base, WEBHOOK)
    github = await create(client, base, GITHUB)
    assert webhook["secret"].startswith("whsec_")
    assert github["secret"] is None
    assert webhook["address"] == "https://hooks.example.com"
    assert github["address"] == "acme/shop"
    listed = await client.get(f"{base}/channels")
    assert [each["name"] for each in listed.json()] == ["gh", "ops"]
    changed = await client.patch(f"{base}/channels/{webhook['id']}", json={"envs": ["prod"]})
    for text in (listed.text, changed.text):
        for secret in (webhook["secret"], "Secret", "token=secret"):
            assert secret not in text
    rotated = await client.post(f"{base}/channels/{webhook['id']}/rotate-secret")
    assert rotated.json()["secret"] not in ("", webhook["secret"])
    [_, after] = (await client.get(f"{base}/channels")).json()
    assert after["secret_before_until"] is not None


async def test_what_is_given_is_changed_and_nothing_else(
    client: httpx.AsyncClient, base: str
) -> None:
    before = await create(client, base, {**WEBHOOK, "verdicts": ["warning", "ok", "warning"]})
    assert before["verdicts"] == ["warning", "ok"]
    place = f"{base}/channels/{before['id']}"
    changed = await client.patch(place, json={"name": "new", "url": "https://other.example/x"})
    after = changed.json()
    assert (after["name"], after["address"]) == ("new", "https://other.example")
    kept = {"verdicts", "envs", "conclusive_only", "enabled", "kind", "id", "created_at"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert (await client.patch(place, json={"enabled": False})).json()["enabled"] is False
    assert (await client.delete(place)).status_code == 204
    assert (await client.delete(place)).status_code == 404
    assert (await client.get(f"{base}/channels")).json() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://x/"},
        {"url": "http://user:pw@x/"},
        {"url": "http://2130706433/"},
        {"url": None},
        {"kind": "pager"},
        {"kind": "github"},
        {"name": " "},
        {"name": "a\x00b"},
        {"verdicts": []},
        {"verdicts": ["fine"]},
        {"envs": ["no spaces"]},
        {**GITHUB, "repository": "acme/.."},
        {**GITHUB, "repository": "acme/shop/../../user"},
        {**GITHUB, "token": "two words"},
        {**GITHUB, "token": "line\r\nX-Header: 1"},
    ],
)
async def test_what_is_wrong_is_refused_without_repeating_it(
    client: httpx.AsyncClient, base: str, wrong: dict[str, Any]
) -> None:
    answer = await client.post(f"{base}/channels", json={**WEBHOOK, **wrong})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    for value in ("user:pw", "two words", "SecretPath"):
        assert value not in answer.text
    assert (await client.get(f"{base}/channels")).json() == []


async def test_a_channel_keeps_its_kind(client: httpx.AsyncClient, base: str) -> None:
    webhook, github = await create(client, base, WEBHOOK), await create(client, base, GITHUB)
    for channel, wrong in ((webhook, {"token": "x"}), (webhook, {"repository": "a/b"}),
                           (github, {"url": URL})):  # fmt: skip
        answer = await client.patch(f"{base}/channels/{channel['id']}", json=wrong)
        assert answer.status_code == 422
    assert (await client.post(f"{base}/channels/{github['id']}/rotate-secret")).status_code == 422
    again = await client.post(f"{base}/channels", json=WEBHOOK)
    assert again.status_code == 409


async def test_a_test_and_its_log(client: httpx.AsyncClient, base: str, conn: Connection) -> None:
    channel = await create(client, base, WEBHOOK)
    ids = []
    for _ in range(3):
        answer = await client.post(f"{base}/channels/{channel['id']}/test")
        assert answer.status_code == 202
        ids.append(answer.json()["delivery_id"])
    listed = (await client.get(f"{base}/deliveries", params={"limit": 2})).json()
    assert [each["id"] for each in listed] == ids[:0:-1]
    rest = await client.get(f"{base}/deliveries", params={"before": listed[-1]["id"]})
    assert [each["id"] for each in rest.json()] == ids[:1]
    assert listed[0]["deployment_id"] is None
    assert listed[0]["status"] == "pending"
    for params in ({"status": "failed"}, {"channel_id": str(uuid4())}):
        assert (await client.get(f"{base}/deliveries", params=params)).json() == []
    assert (await client.get(f"{base}/deliveries", params={"limit": 0})).status_code == 422
    retried = await client.post(f"{base}/deliveries/{ids[0]}/retry")
    assert (retried.status_code, retried.content) == (202, b"")
    jobs = await conn.fetch("SELECT payload FROM scheduled_jobs WHERE kind = 'notify'")
    assert sorted(job["payload"]["delivery_id"] for job in jobs) == sorted(ids)


async def test_the_deliveries_of_a_deployment(
    client: httpx.AsyncClient, base: str, conn: Connection, deployment: Deployment
) -> None:
    await create(client, base, WEBHOOK)
    await judged(conn, deployment)
    [delivery] = (await client.get(f"/deployments/{deployment.id}/deliveries")).json()
    assert delivery["deployment_id"] == str(deployment.id)
    assert (delivery["env"], delivery["revision"], delivery["channel"]) == ("prod", 1, "ops")
    seen = await conn.fetchrow("SELECT * FROM report.deliveries")
    assert seen is not None
    assert (seen["delivery_id"], seen["channel"]) == (UUID(delivery["id"]), "ops")


async def test_what_is_another_projects_is_not_there(
    client: httpx.AsyncClient, base: str, conn: Connection, vault: Vault, deployment: Deployment
) -> None:
    channel = await create(client, base, WEBHOOK)
    await judged(conn, deployment)
    [delivery] = (await client.get(f"{base}/deliveries")).json()
    other, _ = await projects.create(conn, vault, name="other")
    key, _ = await api_keys.add(conn, vault, other.id, scope=Scope.ADMIN)
    theirs = {"X-API-Key": str(key)}
    for project in (base, f"/projects/{other.id}"):
        for method, path in (
            ("PATCH", f"{project}/channels/{channel['id']}"),
            ("DELETE", f"{project}/channels/{channel['id']}"),
            ("POST", f"{project}/channels/{channel['id']}/rotate-secret"),
            ("POST", f"{project}/channels/{channel['id']}/test"),
            ("POST", f"{project}/deliveries/{delivery['id']}/retry"),
        ):
            body = {"name": "mine"} if method == "PATCH" else None
            answer = await client.request(method, path, headers=theirs, json=body)
            assert answer.status_code == 404, (method, path)
    assert (await client.get(f"{base}/channels", headers=theirs)).status_code == 404
    assert (await client.get(f"{base}/deliveries", headers=theirs)).status_code == 404
    place = f"/deployments/{deployment.id}/deliveries"
    assert (await client.get(place, headers=theirs)).status_code == 404
    assert (await client.get(place, headers={"X-API-Key": ""})).status_code == 401
    assert (await client.get(f"{base}/channels")).json()[0]["name"] == "ops"


async def test_who_may_look_and_who_may_change(
    client: httpx.AsyncClient, base: str, conn: Connection, vault: Vault, project: Project
) -> None:
    channel = await create(client, base, WEBHOOK)
    place = f"{base}/channels/{channel['id']}"
    tested = await client.post(f"{place}/test")
    retry = f"{base}/deliveries/{tested.json()['delivery_id']}/retry"
    for scope in (Scope.READ, Scope.CI):
        key, _ = await api_keys.add(conn, vault, project.id, scope=scope)
        theirs = {"X-API-Key": str(key)}
        for path in (f"{base}/channels", f"{base}/deliveries"):
            assert (await client.get(path, headers=theirs)).status_code == 200
        for method, path, body in (
            ("POST", f"{base}/channels", {**WEBHOOK, "name": "mine"}),
            ("PATCH", place, {"name": "mine"}),
            ("DELETE", place, None),
            ("POST", f"{place}/rotate-secret", None),
            ("POST", f"{place}/test", None),
            ("POST", retry, None),
        ):
            answer = await client.request(method, path, headers=theirs, json=body)
            assert answer.status_code == 403, (method, path)
    operator = {"Authorization": "Bearer operator-token-of-the-tests"}
    async with httpx.AsyncClient(transport=client._transport, base_url="http://api") as other:
        listed = await other.get(f"{base}/channels", headers=operator)
        assert [each["name"] for each in listed.json()] == ["ops"]
        assert (await other.post(f"{place}/test", headers=operator)).status_code == 202


async def test_a_repeated_call_makes_one_channel_and_one_test(
    client: httpx.AsyncClient, base: str, conn: Connection
) -> None:
    once = {"Idempotency-Key": "once"}
    made = [await client.post(f"{base}/channels", json=WEBHOOK, headers=once) for _ in range(2)]
    assert made[0].json() == made[1].json()
    place = f"{base}/channels/{made[0].json()['id']}"
    tests = [await client.post(f"{place}/test", headers=once) for _ in range(2)]
    assert tests[0].json() == tests[1].json()
    assert await conn.fetchval("SELECT count(*) FROM deliveries") == 1


async def test_tests_are_few(client: httpx.AsyncClient, base: str) -> None:
    channel = await create(client, base, WEBHOOK)
    place = f"{base}/channels/{channel['id']}/test"
    answers = [(await client.post(place)).status_code for _ in range(11)]
    assert answers == [202] * 10 + [429]
