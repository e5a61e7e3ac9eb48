"""Samples pushed over HTTP: which rows land, which do not and why, and who may push at all."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any
from uuid import uuid4

import httpx
import polars as pl
import pytest

from api.app import create_app
from api.body import MAX_BODY_BYTES, MAX_PUSH_BYTES
from core.database import Connection, connect
from core.secrets import Vault
from core.settings import Settings
from core.types import Project
from sql import bulk, migrate, projects
from sql.scratch import named

METRICS = {
    "requests_per_sec": 10,
    "latency_p95": 50.5,
    "error_rate": 0,
    "cpu_usage": 0.2,
    "memory_usage": 0.3,
}
NOW = datetime.now(UTC).replace(microsecond=0)


def row(minutes_ago: float = 1, **changes: object) -> dict[str, Any]:
    moment = NOW - timedelta(minutes=minutes_ago)
    return {"slot_at": moment.isoformat(), "metrics": METRICS, **changes}


def pack(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def lines(rows: Iterable[object]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in rows)


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


class Pusher:
    """A project that pushes."""

    def __init__(self, client: httpx.AsyncClient, project: Project, key: str) -> None:
        self.client = client
        self.project = project
        self.headers = {"X-API-Key": key}
        self.path = f"/projects/{project.id}/samples"

    async def push(self, rows: object, **headers: str) -> httpx.Response:
        return await self.send(json.dumps(rows).encode(), **headers)

    async def send(self, body: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Content-Type": "application/json", **self.headers, **named}
        return await self.client.post(self.path, content=body, headers=given)


@pytest.fixture
async def pusher(client: httpx.AsyncClient, conn: Connection, vault: Vault) -> Pusher:
    project, key = await projects.create(conn, vault, name="batch")
    return Pusher(client, project, str(key))


async def test_rows_land_as_baseline_and_a_second_push_adds_none(
    pusher: Pusher, conn: Connection
) -> None:
    rows = [row(minute) for minute in range(30)]
    first = (await pusher.push(rows)).json()
    assert first == {"stored": 30, "known": 0, "refused": 0, "refusals": []}
    again = (await pusher.push(rows)).json()
    assert again == {"stored": 0, "known": 30, "refused": 0, "refusals": []}
    stored = await conn.fetch("SELECT * FROM metric_samples ORDER BY slot_at DESC")
    assert len(stored) == 30
    assert stored[0]["slot_at"] == NOW
    assert {(each["project_id"], each["env"], each["phase"]) for each in stored} == {
        (pusher.project.id, "prod", None)
    }
    assert {name: stored[0][name] for name in METRICS} == METRICS


async def test_a_known_slot_keeps_what_it_has(pusher: Pusher, conn: Connection) -> None:
    await pusher.push([row()])
    answer = await pusher.push([row(metrics={**METRICS, "latency_p95": 1})])
    assert answer.json()["known"] == 1
    assert await conn.fetchval("SELECT latency_p95 FROM metric_samples") == 50.5


MISS = """
INSERT INTO missed_slots (slot_at, project_id, env, phase, code, detail)
SELECT $1::timestamptz - i * interval '1 second', $2, env, CASE WHEN i = 3 THEN 'post' END,
       'timeout', ''
  FROM generate_series(1, 5) AS i, unnest(ARRAY['prod', 'test']) AS env
"""


LEFT = """
SELECT extract(epoch FROM $1::timestamptz - slot_at)::integer
  FROM missed_slots WHERE project_id = $2 AND env = 'prod' ORDER BY 1
"""


@pytest.mark.parametrize("way", [bulk.COPY_FROM, 4])
async def test_what_was_missed_and_is_brought_is_not_missed_any_more(
    conn: Connection, project: Project, way: int
) -> None:
    """Else it would count as collected and as missed. The slot of a deployment stays missed."""
    await conn.execute(MISS, NOW, project.id)
    await conn.execute(MISS, NOW, uuid4())
    moments = [NOW - timedelta(seconds=step) for step in range(way)]
    columns = {"slot_at": moments, "env": ["prod"] * way, **dict.fromkeys(METRICS, 0.5)}
    rows = pl.DataFrame({**columns, "extra": None}, schema=bulk.ROWS)
    for _ in range(2):  # new, then known
        await bulk.write(conn, project.id, rows)
        left = await conn.fetch(LEFT, NOW, project.id)
        assert [row[0] for row in left] == [
            step for step in range(1, 6) if step == 3 or step >= way
        ]
        assert await conn.fetchval("SELECT count(*) FROM missed_slots") == len(left) + 5 + 10


async def test_of_two_rows_of_one_slot_in_one_push_one_counts(pusher: Pusher) -> None:
    answer = await pusher.push([row(), row()])
    assert (answer.json()["stored"], answer.json()["known"]) == (1, 1)


async def test_a_bad_row_is_named_and_the_others_land(pusher: Pusher, conn: Connection) -> None:
    rows = [row(1), row(2, metrics={**METRICS, "error_rate": 2}), row(3), row(4, slot_at=7)]
    answer = await pusher.send(lines(rows), Content_Type="application/x-ndjson")
    assert answer.status_code == 200
    assert answer.json() == {
        "stored": 2,
        "known": 0,
        "refused": 2,
        "refusals": [
            {"line": 2, "reason": "error_rate is above 1, it must be a share in 0..1"},
            {"line": 4, "reason": "slot_at is not a moment like 2026-01-31T12:00:00Z"},
        ],
    }
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 2


async def test_a_push_of_nothing_but_bad_rows_is_422_with_a_bounded_report(pusher: Pusher) -> None:
    answer = await pusher.push([row(slot_at=None)] * 500)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "every row was refused, the first because slot_at is missing"
    assert (answer.json()["refused"], len(answer.json()["refusals"])) == (500, 100)


async def test_further_numbers_are_kept_and_odd_ones_left_out(
    pusher: Pusher, conn: Connection
) -> None:
    odd = {"queue depth": 1, "word": "x", "big": 1e999, "flag": True, "none": None}
    extra = {"queue_depth": 3, "delta": -1.5}
    for minute, metrics in enumerate([{**METRICS, **extra, **odd}, METRICS, {**METRICS, **odd}]):
        answer = await pusher.push([row(minute, metrics=metrics)])
        assert answer.json()["stored"] == 1
    kept = await conn.fetch("SELECT extra FROM metric_samples ORDER BY slot_at DESC")
    assert [each["extra"] for each in kept] == [extra, None, None]


async def test_the_number_of_further_numbers_is_bounded(pusher: Pusher, conn: Connection) -> None:
    many = {f"extra_{number:03}": number for number in range(100)}
    await pusher.push([row(metrics={**METRICS, **many})])
    extra = await conn.fetchval("SELECT extra FROM metric_samples")
    assert extra == {f"extra_{number:03}": number for number in range(32)}


async def test_a_row_may_name_its_environment(pusher: Pusher, conn: Connection) -> None:
    pusher.path += "?env=staging"
    await pusher.push([row(1), row(1, env="canary/eu"), row(2, env="no spaces please")])
    stored = await conn.fetch("SELECT env FROM metric_samples ORDER BY env")
    assert [each["env"] for each in stored] == ["canary/eu", "staging"]


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [
        (timedelta(minutes=4), None),
        (timedelta(minutes=10), "slot_at is in the future"),
        (-timedelta(days=29), None),
        (-timedelta(days=31), "the oldest we take"),
    ],
)
async def test_the_moment_of_a_row_must_be_near(
    pusher: Pusher, ahead: timedelta, reason: str | None
) -> None:
    answer = await pusher.push([row(slot_at=(datetime.now(UTC) + ahead).isoformat())])
    assert answer.status_code == (422 if reason else 200)
    assert (reason or "") in answer.text


@pytest.mark.parametrize("count", [bulk.COPY_FROM - 1, bulk.COPY_FROM, 10_000])
async def test_the_small_way_and_the_large_way_store_the_same(
    pusher: Pusher, conn: Connection, count: int
) -> None:
    metrics = {**METRICS, "latency_p95": 0.1 + 0.2, "depth": 1e-300}
    rows = [row(number / 60, metrics=metrics) for number in range(count)]
    answer = await pusher.send(pack(lines(rows)), **PACKED)
    assert answer.json()["stored"] == count
    stored = await conn.fetchrow(
        "SELECT count(*), count(extra) AS extras, min(extra::text) AS extra, "
        "min(latency_p95) AS latency, min(slot_at) AS first, max(slot_at) AS last "
        "FROM metric_samples"
    )
    assert stored is not None
    assert dict(stored) == {
        "count": count,
        "latency": 0.1 + 0.2,
        "first": NOW - timedelta(seconds=count - 1),
        "last": NOW,
        "extra": stored["extra"],
        "extras": count,
    }
    assert json.loads(stored["extra"]) == {"depth": 1e-300}
    assert (await pusher.send(pack(lines(rows)), **PACKED)).json()["known"] == count


PACKED = {"Content_Type": "application/x-ndjson", "Content_Encoding": "gzip"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"[]", {"Content_Type": "text/csv"}, 415, "application/json"),
        (b"[]", {"Content_Encoding": "br"}, 415, "only gzip"),
        (b"{}", {}, 422, "not a list"),
        (b"[", {}, 422, "not a list"),
        (b"\xff", {}, 422, "not a list"),
        (b"[" * 100_000, {}, 422, "not a list"),
        (b"[]", {"Content_Encoding": "gzip"}, 422, "not gzip"),
        (pack(b"[]")[:-3], {"Content_Encoding": "gzip"}, 422, "one whole"),
        (pack(b"[]") * 2, {"Content_Encoding": "gzip"}, 422, "one whole"),
        (pack(b" " * MAX_PUSH_BYTES + b"[]"), {"Content_Encoding": "gzip"}, 413, "4096"),
        (b" " * (MAX_PUSH_BYTES + 1), {}, 413, "4096"),
        (b"[" + b"1," * 10_000 + b"1]", {}, 413, "10,000 rows"),
        (b"1\n" * 10_001, {"Content_Type": "application/jsonl"}, 413, "10,000 rows"),
        (b"\n" * 70_000 + b"1", {"Content_Type": "application/jsonl"}, 422, "no JSON object"),
        (b'[{"slot_at":"x","slot_at":"y"}]', {}, 422, "a key appears twice"),
        (b'[{"slot_at":"\\ud800","metrics":{}}]', {}, 422, "is not a moment"),
        (b"[{}]", {"X_API_Key": "nonsense"}, 401, "unknown"),
    ],
)
async def test_a_body_that_is_not_rows_is_refused_as_a_whole(
    pusher: Pusher, conn: Connection, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = await pusher.send(body, **headers)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0


async def test_an_empty_push_is_fine(pusher: Pusher) -> None:
    answer = await pusher.push([])
    assert (answer.status_code, answer.json()["stored"]) == (200, 0)


async def test_a_body_without_an_announced_length_is_bounded_too(pusher: Pusher) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    assert (await pusher.send(endless())).status_code == 413


async def test_the_other_routes_keep_their_small_limit(pusher: Pusher) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    answer = await pusher.client.post("/deployments/trigger", content=body, headers=pusher.headers)
    assert answer.status_code == 413


async def test_only_the_projects_own_key_may_push(
    pusher: Pusher, conn: Connection, vault: Vault
) -> None:
    _, stranger = await projects.create(conn, vault, name="other")
    theirs = await pusher.push([row()], X_API_Key=str(stranger))
    pusher.path = f"/projects/{uuid4()}/samples"
    absent = await pusher.push([row()], X_API_Key=str(stranger))
    assert theirs.status_code == absent.status_code == 404
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0


async def test_pushes_are_limited_per_project(pusher: Pusher) -> None:
    answers = [await pusher.push([]) for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_slow_pushers_hold_no_connection_and_not_more_than_their_places(
    pusher: Pusher, conn: Connection, vault: Vault
) -> None:
    """Twenty projects with four slow bodies each would use up the pool of five... and do not."""
    go = asyncio.Event()
    arrived = 0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal arrived
        arrived += 1
        yield b"["
        await go.wait()
        yield b"]"

    dripping = [asyncio.create_task(pusher.send(slow())) for _ in range(4)]
    async with asyncio.timeout(10):
        while arrived < 4:  # noqa: ASYNC110 - the bodies say when they are being read
            await asyncio.sleep(0.01)
    assert (await pusher.push([])).status_code == 429
    ready = await asyncio.gather(*(pusher.client.get("/readyz") for _ in range(20)))
    assert {answer.status_code for answer in ready} == {200}
    go.set()
    assert {answer.status_code for answer in await asyncio.gather(*dripping)} == {200}
    assert (await pusher.push([])).status_code == 200


async def test_a_body_that_does_not_come_is_given_up(
    settings: Settings, database_url: str, conn: Connection, vault: Vault
) -> None:
    project, key = await projects.create(conn, vault, name="batch")
    app = create_app(settings.model_copy(update={"body_seconds": 0.02}), database_url)

    async def never() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            answer = await Pusher(client, project, str(key)).send(never())
    assert (answer.status_code, answer.headers["Connection"]) == (408, "close")


async def test_a_pusher_that_hangs_up_is_no_error_of_ours(
    settings: Settings, database_url: str, conn: Connection, vault: Vault
) -> None:
    project, key = await projects.create(conn, vault, name="batch")
    app = create_app(settings, database_url)
    heard = [
        {"type": "http.request", "body": b"[", "more_body": True},
        {"type": "http.disconnect"},
    ]
    told: list[Any] = []

    async def receive() -> Any:  # noqa: ANN401 - an ASGI message
        return heard.pop(0)

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        told.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/projects/{project.id}/samples",
        "query_string": b"",
        "headers": [(b"x-api-key", str(key).encode()), (b"content-type", b"application/json")],
    }
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
        reading = await app.state.seqpulse.traffic.read(conn)
    assert told[0]["status"] == 400
    assert (reading.requests_per_sec > 0, reading.error_rate) == (True, 0)


@pytest.fixture
async def english_url(server_url: str) -> AsyncIterator[str]:
    """A database that sorts texts as people do: a before Z."""
    name = f"test_{token_hex(6)}"
    server = await connect(server_url)
    await server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' "
        "LOCALE 'C' ENCODING 'UTF8'"
    )
    try:
        yield named(server_url, name)
    finally:
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()


@pytest.mark.parametrize("count", [2, bulk.COPY_FROM])
async def test_rows_are_inserted_in_one_order_whatever_the_database_sorts_by(
    english_url: str, vault: Vault, count: int
) -> None:
    """Else of two writers of the same rows one would be ended as a deadlock."""
    conn = await connect(english_url)
    await migrate.migrate(conn)
    assert await conn.fetchval("SELECT 'a' < 'Z'")
    project, _ = await projects.create(conn, vault, name="batch")
    numbers = (10.0, 50.5, 0.0, 0.2, 0.3, None)
    rows = [(NOW, env, *numbers) for env in [f"a{number}" for number in range(count - 1)] + ["Z"]]
    frame = pl.DataFrame(rows, schema=bulk.ROWS, orient="row")
    assert await bulk.write(conn, project.id, frame) == count
    assert await conn.fetchval("SELECT env FROM metric_samples ORDER BY ctid LIMIT 1") == "Z"
    await conn.close()


@pytest.mark.parametrize("count", [300, 3 * bulk.COPY_FROM])
async def test_many_pushes_of_the_same_rows_at_once_store_each_row_once(
    pusher: Pusher, conn: Connection, count: int
) -> None:
    rows = [row(number / 60) for number in range(count)]
    parts = [rows, rows[::-1] + rows[:9], rows[: count // 2], rows[count // 3 :]]
    answers = await asyncio.gather(*(pusher.push(part) for part in parts))
    assert sum(answer.json()["stored"] for answer in answers) == count
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == count
