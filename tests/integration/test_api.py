"""The HTTP edge against a real database, through the application's own lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest

from api.app import create_app
from core.database import Connection
from core.judgement import Direction, Evidence, Judgement
from core.secrets import Vault
from core.settings import Settings
from core.types import Hint, Metric, Severity, Verdict
from sql import deployments, projects, verdicts

ENDPOINT = "http://127.0.0.1:9/seqpulse-metrics"
TRIGGER = {"env": "prod", "metrics_endpoint": ENDPOINT, "idempotency_key": "run-1", "branch": "b"}
OPERATOR = {"Authorization": "Bearer operator-token-of-the-tests"}


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def key(conn: Connection, vault: Vault) -> dict[str, str]:
    _, key = await projects.create(conn, vault, name="shop")
    return {"X-API-Key": str(key)}


async def trigger(
    client: httpx.AsyncClient, key: dict[str, str], **changes: object
) -> httpx.Response:
    return await client.post("/deployments/trigger", json={**TRIGGER, **changes}, headers=key)


async def finish(client: httpx.AsyncClient, key: dict[str, str], identity: str) -> httpx.Response:
    body = {"deployment_id": identity, "result": "success"}
    return await client.post("/deployments/finish", json=body, headers=key)


async def test_trigger_creates_a_deployment_its_target_and_its_jobs(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    answer = await trigger(client, key)
    assert answer.status_code == 200
    assert answer.json()["status"] == "created"
    assert set(answer.json()) == {"deployment_id", "status", "message"}
    rows = await conn.fetch("SELECT phase, repeat FROM scheduled_jobs ORDER BY phase")
    assert [(row["phase"], row["repeat"] is not None) for row in rows] == [
        ("pre", False),
        (None, True),
    ]
    assert await conn.fetchval("SELECT endpoint FROM targets") == ENDPOINT


async def test_a_repeated_trigger_returns_the_existing_deployment(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    first = (await trigger(client, key)).json()
    same_key = (await trigger(client, key)).json()
    while_running = (await trigger(client, key, idempotency_key="run-2")).json()
    assert {same_key["deployment_id"], while_running["deployment_id"]} == {first["deployment_id"]}
    assert {same_key["status"], while_running["status"]} == {"existing"}


async def test_the_key_of_a_finished_deployment_still_finds_it(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    first = (await trigger(client, key)).json()["deployment_id"]
    await finish(client, key, first)
    assert (await trigger(client, key)).json()["deployment_id"] == first
    other = (await trigger(client, key, idempotency_key="run-2")).json()
    assert (other["status"], other["deployment_id"] == first) == ("created", False)


async def test_an_abandoned_deployment_begins_anew_for_the_next_pipeline(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    first = (await trigger(client, key)).json()["deployment_id"]
    await conn.execute("UPDATE deployments SET triggered_at = now() - interval '2 hours'")
    assert (await trigger(client, key)).json()["message"].endswith("nothing was created")
    moved = "http://127.0.0.1:10/m"
    answer = await trigger(
        client, key, idempotency_key="run-2", branch="next", metrics_endpoint=moved
    )
    assert (answer.json()["deployment_id"], answer.json()["status"]) == (first, "existing")
    row = await conn.fetchrow("SELECT now() - triggered_at AS age, branch FROM deployments")
    assert row is not None
    assert (row["age"].total_seconds() < 60, row["branch"]) == (True, "next")
    assert await conn.fetchval("SELECT endpoint FROM targets") == moved


async def test_environments_are_independent_even_with_one_key(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    prod = (await trigger(client, key)).json()
    staging = (await trigger(client, key, env="staging")).json()
    assert staging["status"] == "created"
    assert staging["deployment_id"] != prod["deployment_id"]


async def test_fifty_triggers_and_finishes_at_once_make_one_deployment_and_one_set_of_jobs(
    client: httpx.AsyncClient, conn: Connection, vault: Vault
) -> None:
    _, pro = await projects.create(conn, vault, name="pro", plan="pro", post_slots=5)
    key = {"X-API-Key": str(pro)}
    triggers = await asyncio.gather(
        *(trigger(client, key, idempotency_key=f"run-{i % 7}") for i in range(50))
    )
    [identity] = {answer.json()["deployment_id"] for answer in triggers}
    assert [answer.json()["status"] for answer in triggers].count("created") == 1
    finishes = await asyncio.gather(*(finish(client, key, identity) for _ in range(50)))
    assert [answer.json()["status"] for answer in finishes].count("accepted") == 1
    assert {answer.json()["status"] for answer in finishes} == {"accepted", "ignored"}
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 1 + 1 + 5 + 1 + 1


async def test_the_idempotency_header_is_accepted_too(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    body = {"metrics_endpoint": ENDPOINT}
    headers = {**key, "X-Idempotency-Key": "from-header"}
    await client.post("/deployments/trigger", json=body, headers=headers)
    row = await conn.fetchrow("SELECT env, branch, idempotency_key FROM deployments")
    assert row is not None
    assert tuple(row) == ("prod", "unknown", "from-header")
    answer = await client.post("/deployments/trigger", json=TRIGGER, headers=headers)
    assert answer.status_code == 422
    assert "disagree" in answer.json()["detail"]


async def test_finish_is_accepted_once_then_ignored(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    identity = (await trigger(client, key)).json()["deployment_id"]
    assert (await finish(client, key, identity)).json()["status"] == "accepted"
    again = await finish(client, key, identity)
    assert (again.status_code, again.json()["status"]) == (200, "ignored")
    assert "finished already" in again.json()["message"]
    shown = (await client.get(f"/deployments/{identity}", headers=key)).json()
    assert (shown["state"], shown["post_slots"], shown["slot_seconds"]) == ("finished", 5, 1.0)


async def test_while_the_window_is_extended_there_is_no_verdict_yet(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    identity = (await trigger(client, key)).json()["deployment_id"]
    await finish(client, key, identity)
    extended = await deployments.extend(conn, UUID(identity))
    assert extended is not None
    pending = await client.get(f"/deployments/{identity}/verdict", headers=key)
    assert (pending.status_code, pending.headers["Retry-After"]) == (202, "1")
    shown = (await client.get(f"/deployments/{identity}", headers=key)).json()
    assert (shown["state"], shown["post_slots"]) == ("finished", 10)
    assert shown["extended_at"] is not None
    again = await finish(client, key, identity)
    assert again.json()["status"] == "ignored"


async def test_finish_can_move_the_target(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    identity = (await trigger(client, key)).json()["deployment_id"]
    moved = "http://127.0.0.1:10/m"
    body = {"deployment_id": identity, "result": "failed", "metrics_endpoint": moved}
    answer = await client.post("/deployments/finish", json=body, headers=key)
    assert answer.json()["status"] == "accepted"
    assert await conn.fetchval("SELECT endpoint FROM targets") == moved


@pytest.mark.parametrize("identity", [str(UUID(int=1)), "nonsense", "1"])
async def test_finishing_an_unknown_deployment_is_not_found(
    client: httpx.AsyncClient, key: dict[str, str], identity: str
) -> None:
    answer = await finish(client, key, identity)
    assert (answer.status_code, answer.json()["status"]) == (200, "not_found")


async def test_another_projects_deployment_does_not_exist(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection, vault: Vault
) -> None:
    identity = (await trigger(client, key)).json()["deployment_id"]
    _, stranger = await projects.create(conn, vault, name="other")
    other = {"X-API-Key": str(stranger)}
    assert (await finish(client, other, identity)).json()["status"] == "not_found"
    for path in (f"/deployments/{identity}", f"/deployments/{identity}/verdict"):
        theirs, absent = (
            await client.get(path, headers=other),
            await client.get(path.replace(identity, str(uuid4())), headers=other),
        )
        assert theirs.status_code == absent.status_code == 404
        assert theirs.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "X-API-Key is missing"),
        ({"X-API-Key": "nonsense"}, "unknown, expired or revoked"),
        ({"X-API-Key": "sp_aaaaaaaaaaaa_" + "0" * 64}, "unknown, expired or revoked"),
    ],
)
async def test_a_wrong_key_is_401_and_says_so(
    client: httpx.AsyncClient, headers: dict[str, str], says: str
) -> None:
    for answer in (
        await trigger(client, headers),
        await client.get(f"/deployments/{uuid4()}", headers=headers),
        await client.get("/sdh", headers=headers),
    ):
        assert answer.status_code == 401
        assert says in answer.json()["detail"]
        assert answer.json()["title"] == "Unauthorized"


async def test_a_right_id_with_a_wrong_secret_is_401(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    forged = key["X-API-Key"][:-1] + ("0" if key["X-API-Key"][-1] != "0" else "1")
    assert (await trigger(client, {"X-API-Key": forged})).status_code == 401


async def test_a_rotated_key_is_dead_at_once(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    identity = await conn.fetchval("SELECT id FROM projects")
    answer = await client.post(f"/projects/{identity}/rotate-key", headers=OPERATOR)
    assert (await trigger(client, key)).status_code == 401
    assert (await trigger(client, {"X-API-Key": answer.json()["api_key"]})).status_code == 200


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"env": ""}, "env"),
        ({"env": "a\nb"}, "env"),
        ({"env": 7}, "env"),
        ({"branch": "x" * 300}, "branch"),
        ({"branch": "a\x00b"}, "branch"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"metrics_endpoint": "ftp://x/y"}, "metrics_endpoint"),
        ({"metrics_endpoint": "http://user:pw@x/y"}, "metrics_endpoint"),
        ({"metrics_endpoint": "http://x:99999/y"}, "metrics_endpoint"),
    ],
)
async def test_a_malformed_body_is_422_and_names_the_field(
    client: httpx.AsyncClient,
    key: dict[str, str],
    conn: Connection,
    changes: dict[str, object],
    names: str,
) -> None:
    answer = await trigger(client, key, **changes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == names
    assert answer.headers["content-type"] == "application/problem+json"
    assert await conn.fetchval("SELECT count(*) FROM deployments") == 0


async def test_a_trigger_without_a_target_is_refused_unless_one_is_known(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    answer = await trigger(client, key, metrics_endpoint=None)
    assert answer.status_code == 422
    assert "metrics_endpoint" in answer.json()["detail"]
    assert await conn.fetchval("SELECT count(*) FROM deployments") == 0
    assert (await trigger(client, key)).status_code == 200
    assert (await trigger(client, key, metrics_endpoint=None)).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_huge_body_is_413(
    client: httpx.AsyncClient, key: dict[str, str], *, chunked: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    content = chunks() if chunked else b" " * 100 * 1024
    answer = await client.post("/deployments/trigger", content=content, headers=key)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"env": NaN}'])
async def test_a_body_that_is_no_object_is_422(
    client: httpx.AsyncClient, key: dict[str, str], body: bytes
) -> None:
    headers = {**key, "Content-Type": "application/json"}
    answer = await client.post("/deployments/trigger", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_result_is_422(client: httpx.AsyncClient, key: dict[str, str]) -> None:
    body = {"deployment_id": str(uuid4()), "result": "maybe"}
    answer = await client.post("/deployments/finish", json=body, headers=key)
    assert answer.status_code == 422
    assert "result" in answer.json()["detail"]


async def test_too_many_calls_are_429_with_retry_after(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    codes = [(await trigger(client, key)).status_code for _ in range(100)]
    assert set(codes) == {200}
    answer = await trigger(client, key)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_a_verdict_is_202_until_it_is_there(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    identity = (await trigger(client, key)).json()["deployment_id"]
    path = f"/deployments/{identity}/verdict"
    pending = await client.get(path, headers=key)
    assert pending.status_code == 202
    assert pending.json()["verdict"] is None
    assert int(pending.headers["retry-after"]) >= 1
    await finish(client, key, identity)
    await _save_verdict(conn, UUID(identity))
    answer = (await client.get(path, headers=key)).json()
    assert (answer["verdict"], answer["conclusive"]) == ("warning", True)
    assert [row["metric"] for row in answer["evidence"]] == [metric.value for metric in Metric]
    assert answer["hints"][0]["actions"] == ["look", "fix"]
    latency = answer["evidence"][1]
    assert (latency["effect"], latency["direction"], latency["severe"]) == (0.4, "worse", False)
    assert (answer["penalties"], answer["confounders"]) == (["missing_slots"], [identity])
    assert answer["shadows"][0]["policy"] == "strict"
    assert answer["shadows"][0]["failed_metrics"] == [metric.value for metric in reversed(Metric)]
    shown = (await client.get(f"/deployments/{identity}", headers=key)).json()
    assert (shown["state"], shown["verdict"]) == ("analyzed", "warning")
    [hint] = (await client.get("/sdh", headers=key)).json()
    assert (hint["deployment_id"], hint["hint"]["rule"]) == (identity, "latency_regression")
    for query, count in (("severity=warning", 1), ("severity=critical", 0), ("env=dev", 0)):
        assert len((await client.get(f"/sdh?{query}", headers=key)).json()) == count
    assert (await client.get("/sdh?severity=loud", headers=key)).status_code == 422


async def test_a_second_verdict_is_not_written(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    identity = (await trigger(client, key)).json()["deployment_id"]
    await finish(client, key, identity)
    assert await _save_verdict(conn, UUID(identity)) is True
    assert await _save_verdict(conn, UUID(identity)) is False
    assert await conn.fetchval("SELECT count(*) FROM hints") == 1
    assert await conn.fetchval("SELECT count(*) FROM evidence") == 5


async def test_projects_are_created_listed_and_shown_by_the_operator(
    client: httpx.AsyncClient, conn: Connection
) -> None:
    body = {"name": "shop", "plan": "pro", "hmac": True, "metrics_endpoint": ENDPOINT}
    created = await client.post("/projects", json=body, headers=OPERATOR)
    assert created.status_code == 201
    project = created.json()
    assert (project["post_slots"], project["targets"]) == (15, {"prod": ENDPOINT})
    assert project["hmac_secret"] not in str(await conn.fetch("SELECT * FROM projects"))
    listed = await client.get("/projects", headers=OPERATOR)
    assert [item["name"] for item in listed.json()] == ["shop"]
    shown = (await client.get(f"/projects/{project['id']}", headers=OPERATOR)).json()
    assert (shown["hmac"], shown["targets"]) == (True, {"prod": ENDPOINT})
    assert not {"api_key", "hmac_secret"} & set(shown)
    taken = await client.post("/projects", json=body, headers=OPERATOR)
    assert (taken.status_code, "shop" in taken.json()["detail"]) == (409, True)
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs") == 1
    used = await trigger(client, {"X-API-Key": project["api_key"]})
    assert used.json()["status"] == "created"


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": "gold"},
        {"post_slots": 15},
        {"plan": "pro", "post_slots": 7},
        {"name": " "},
        {"name": "a\0b"},
        {"name": "a\nb"},
        {"name": "x" * 101},
        {"env": "bad env !!"},
    ],
)
async def test_a_project_must_fit_its_plan(
    client: httpx.AsyncClient, changes: dict[str, object]
) -> None:
    answer = await client.post("/projects", json={"name": "a", **changes}, headers=OPERATOR)
    assert answer.status_code == 422
    assert next(iter(reversed(changes))) in answer.json()["detail"]


async def test_administration_needs_the_operator_token(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    for headers in ({}, key, {"Authorization": "Bearer wrong"}):
        assert (await client.get("/projects", headers=headers)).status_code == 401


async def test_administration_is_off_without_a_configured_token(
    settings: Settings, database_url: str
) -> None:
    app = create_app(settings.model_copy(update={"operator_token": None}), database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            answer = await client.get("/projects", headers=OPERATOR)
    assert answer.status_code == 403
    assert "SEQPULSE_OPERATOR_TOKEN" in answer.json()["detail"]


async def test_every_error_is_a_problem(client: httpx.AsyncClient, key: dict[str, str]) -> None:
    for answer, status in (
        (await client.get("/nothing"), 404),
        (await client.get("/deployments/trigger/x", headers=key), 404),
        (await client.delete("/sdh", headers=key), 405),
        (await client.get("/deployments/not-an-id", headers=key), 422),
    ):
        body = answer.json()
        assert answer.status_code == body["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["type"].startswith("https://")
        assert body["detail"]


async def test_a_read_only_database_is_503(
    client: httpx.AsyncClient, key: dict[str, str], conn: Connection
) -> None:
    database = await conn.fetchval("SELECT current_database()")
    await conn.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'seqpulse api' AND datname = $1",
        database,
    )
    for answer in (await trigger(client, key), await trigger(client, key)):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["detail"]) == (503, "the database is read-only")


async def test_probes(client: httpx.AsyncClient, conn: Connection) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    await conn.execute("DELETE FROM schema_migrations WHERE version = 1")
    assert (await client.get("/readyz")).status_code == 503


async def _save_verdict(conn: Connection, identity: UUID) -> bool:
    deployment, as_of = await deployments.load(conn, identity)
    judgement = Judgement(
        deployment_id=deployment.id,
        policy="reference-v2",
        verdict=Verdict.WARNING,
        conclusive=True,
        reason_code="threshold_exceeded",
        confidence=0.8,
        coverage_ratio=1.0,
        evidence=tuple(
            Evidence(
                metric,
                "baseline",
                baseline_n=9,
                post_n=5,
                expected=1.0,
                observed=None,
                threshold=2.0,
                exceedance_ratio=0.5,
                tolerance_ratio=0.2,
                failed=True,
                attribution=None,
                direction=Direction.WORSE,
                effect=0.4,
            )
            for metric in reversed(Metric)
        ),
        as_of=as_of,
        penalties=("missing_slots",),
        confounders=(deployment.id,),
    )
    await verdicts.save_shadows(conn, [replace(judgement, policy="strict")])
    metrics = (Metric.LATENCY_P95,)
    hint = Hint("latency_regression", Severity.WARNING, "t", "d", ("look", "fix"), metrics)
    return bool(await verdicts.save(conn, [(judgement, [hint])]))
