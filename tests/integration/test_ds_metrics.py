"""The API as a target: its numbers, and who may read them how often."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import httpx
import pytest

from api.app import create_app
from api.traffic import Traffic
from core.database import Connection
from core.settings import Settings
from ingest import payload
from ingest.signature import sign

SECRET = "hmac_" + "5" * 64
PATH = "/ds-metrics"


@asynccontextmanager
async def api(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """One API process."""
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with api(settings, database_url) as client:
        yield client


@pytest.fixture
def signed(settings: Settings) -> Settings:
    return Settings(**{**settings.model_dump(), "ds_metrics_secret": SECRET})


def signature(
    secret: str = SECRET, late: float = 0.0, path: str = PATH, nonce: str | None = None
) -> dict[str, str]:
    moment = datetime.now(UTC) - timedelta(seconds=late)
    return sign(secret, "GET", path, UUID(int=0), moment, nonce or secrets.token_urlsafe(16))


async def test_the_numbers_are_those_of_all_processes_in_the_last_minute(
    settings: Settings, database_url: str, conn: Connection
) -> None:
    async with api(settings, database_url) as first, api(settings, database_url) as second:
        await asyncio.gather(*(first.get("/livez") for _ in range(60)))
        await asyncio.gather(*(second.get("/nowhere") for _ in range(30)))
        await second.get(PATH)  # tells what it served
        answer = await first.get(PATH)
        assert answer.headers["content-type"] == "application/json"
        reading = payload.parse(answer.content)
        assert reading.requests_per_sec == 1.5
        assert 0 < reading.latency_p95 < 10_000
        assert reading.error_rate == 0
        assert 0 < reading.memory_usage < 1
        assert 0 <= reading.cpu_usage <= 1
        again = payload.parse((await second.get(PATH)).content)
        assert again.requests_per_sec == 1.5  # nothing is told twice, its own reads do not count
    async with api(settings, database_url) as heir:
        assert payload.parse((await heir.get(PATH)).content).requests_per_sec == 1.5
        await conn.execute("UPDATE api_traffic SET told_at = told_at - interval '61 seconds'")
        later = payload.parse((await heir.get(PATH)).content)
        assert (later.requests_per_sec, later.latency_p95, later.error_rate) == (0, 0, 0)


async def test_what_fails_on_our_side_is_an_error(
    client: httpx.AsyncClient, conn: Connection
) -> None:
    await conn.execute("UPDATE schema_migrations SET checksum = 'another'")
    assert {(await client.get("/readyz")).status_code for _ in range(3)} == {503}
    assert (await client.get("/sdh")).status_code == 401
    assert payload.parse((await client.get(PATH)).content).error_rate == 0.75


async def test_what_could_not_be_told_is_told_later(conn: Connection) -> None:
    traffic = Traffic()
    traffic.count(0.1, error=True)
    await conn.execute("ALTER TABLE api_traffic RENAME TO lost")
    with pytest.raises(asyncpg.UndefinedTableError):
        await traffic.tell(conn)
    await conn.execute("ALTER TABLE lost RENAME TO api_traffic")
    traffic.count(0.1, error=False)
    assert (await traffic.read(conn)).error_rate == 0.5


async def test_a_process_that_stops_tells_what_it_served(
    settings: Settings, database_url: str, conn: Connection
) -> None:
    async with api(settings, database_url) as client:
        await client.get("/livez")
    assert await conn.fetchval("SELECT sum(requests) FROM api_traffic") == 1


async def test_a_signed_read_passes_once_whichever_process_is_asked(
    signed: Settings, database_url: str
) -> None:
    async with api(signed, database_url) as first, api(signed, database_url) as second:
        headers = signature()
        assert (await first.get(PATH, headers=headers)).status_code == 200
        for process in (first, second):
            answer = await process.get(PATH, headers=headers)
            assert (answer.status_code, "nonce" in answer.json()["detail"]) == (401, True)
        answers = await asyncio.gather(
            *(process.get(PATH, headers=signature(nonce="n")) for process in (first, second) * 4)
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


@pytest.mark.parametrize(
    ("arguments", "changes", "says"),
    [
        ({}, {"X-SeqPulse-Signature-Version": None}, "version v2"),
        ({}, {"X-SeqPulse-Signature-Version": "v1"}, "version v2"),
        ({}, {"X-SeqPulse-Timestamp": ""}, "timestamp is missing"),
        ({}, {"X-SeqPulse-Timestamp": "2026-01-01"}, "timestamp is missing"),
        ({}, {"X-SeqPulse-Timestamp": "2026-01-01T00:00:00Z"}, "too old"),
        ({}, {"X-SeqPulse-Nonce": "another"}, "signature is wrong"),
        ({}, {"X-SeqPulse-Signature": ""}, "signature is wrong"),
        ({}, {"X-SeqPulse-Signature": "sha256=\xff"}, "signature is wrong"),
        ({"secret": SECRET[::-1]}, {}, "signature is wrong"),
        ({"path": "/seqpulse-metrics"}, {}, "signature is wrong"),
        ({"nonce": "x" * 129}, {}, "nonce"),
    ],
)
async def test_a_read_that_is_not_signed_right_is_401(
    signed: Settings,
    database_url: str,
    conn: Connection,
    arguments: dict[str, str],
    changes: dict[str, str | None],
    says: str,
) -> None:
    headers = signature(**arguments) | changes  # type: ignore[arg-type]
    raw = [
        (name.encode(), value.encode("latin-1"))
        for name, value in headers.items()
        if value is not None
    ]
    async with api(signed, database_url) as client:
        answer = await client.get(PATH, headers=raw)
    assert (answer.status_code, says in answer.json()["detail"]) == (401, True), answer.text
    assert await conn.fetchval("SELECT count(*) FROM used_nonces") == 0


@pytest.mark.parametrize(
    ("late", "status"), [(290, 200), (310, 401), (-20, 200), (-40, 401), (0, 200)]
)
async def test_a_signature_holds_for_a_while(
    signed: Settings, database_url: str, late: float, status: int
) -> None:
    async with api(signed, database_url) as client:
        assert (await client.get(PATH, headers=signature(late=late))).status_code == status


async def test_used_nonces_are_forgotten_when_no_timestamp_could_bring_them_back(
    signed: Settings, database_url: str, conn: Connection
) -> None:
    async with api(signed, database_url) as client:
        await client.get(PATH, headers=signature())
        await conn.execute("UPDATE used_nonces SET used_at = now() - interval '9 minutes'")
        await client.get(PATH, headers=signature())
        assert await conn.fetchval("SELECT count(*) FROM used_nonces") == 2
        await conn.execute("UPDATE used_nonces SET used_at = now() - interval '11 minutes'")
        await client.get(PATH, headers=signature())
        assert await conn.fetchval("SELECT count(*) FROM used_nonces") == 1


async def test_a_caller_may_read_ten_times_a_minute(client: httpx.AsyncClient) -> None:
    answers = [await client.get(PATH) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
