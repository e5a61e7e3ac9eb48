"""What a scrape of the API and of a worker tells, and whom."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from core.cli import probes
from core.database import Connection
from core.settings import Settings
from scheduler.telemetry import Telemetry
from tests import debian

TOKEN = "metrics-token-of-the-tests"


def read(text: str) -> dict[tuple[str, ...], float]:
    """Every series: its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings.model_copy(update={"pool_size": 4}), database_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


def at(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://worker")


async def test_requests_are_counted_by_route_and_never_by_what_came(
    client: httpx.AsyncClient,
) -> None:
    before = read((await client.get("/metrics")).text)
    for path in ("/livez", "/nowhere", "/wp-admin.php", "/deployments/not-an-id"):
        await client.get(path)
    await client.request("BREW", "/livez")
    text = (await client.get("/metrics")).text
    after = read(text)

    def grew(*series: str) -> float:
        return after[series] - before.get(series, 0)

    name = "seqpulse_http_requests_total"
    assert grew(name, "GET", "/livez", "2xx") == 1
    assert grew(name, "GET", "unmatched", "4xx") == 2
    assert grew(name, "GET", "/deployments/{deployment_id}", "4xx") == 1
    assert grew(name, "other", "/livez", "4xx") == 1
    assert grew("seqpulse_http_request_duration_seconds_count", "GET", "/livez") == 1
    assert "wp-admin" not in text
    assert "BREW" not in text
    assert "not-an-id" not in text


async def test_the_api_tells_of_the_installation(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = read(answer.text)
    assert found["seqpulse_database_up",] == 1
    assert found["seqpulse_database_latency_seconds",] > 0
    assert found["seqpulse_jobs", "planned"] == found["seqpulse_jobs", "due"] == 0
    assert found["seqpulse_workers",] == 0
    assert ("seqpulse_scheduler_heartbeat_age_seconds",) not in found  # nobody there
    assert found["seqpulse_check_status", "heartbeat", "failing"] == 1
    assert found["seqpulse_check_status", "database", "ok"] == 1
    assert found["seqpulse_pool_max_size",] == 4


async def test_both_are_clean_for_promtool(client: httpx.AsyncClient) -> None:
    promtool = debian.command("promtool", "usr/bin/promtool")
    async with at(probes.create_app(Telemetry(), None)) as worker:
        for scrape in (await client.get("/metrics"), await worker.get("/metrics")):
            done = await asyncio.to_thread(check, promtool, scrape.text)
            assert (done.returncode, done.stdout + done.stderr) == (0, "")


def check(promtool: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*promtool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_a_token_is_wanted_where_one_is_set(settings: Settings, database_url: str) -> None:
    closed = Settings(**{**settings.model_dump(), "metrics_token": TOKEN})
    app = create_app(closed, database_url)
    async with (
        app.router.lifespan_context(app),
        at(app) as api,
        at(probes.create_app(Telemetry(), closed.metrics_token)) as worker,
    ):
        for client in (api, worker):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN[:-1]}):
                assert (await client.get("/metrics", headers=headers)).status_code == 401
            right = {"Authorization": f"Bearer {TOKEN}"}
            assert (await client.get("/metrics", headers=right)).status_code == 200
            assert (await client.get("/livez")).status_code == 200


async def test_a_worker_says_whether_it_lives_and_works() -> None:
    counted = Telemetry()
    async with at(probes.create_app(counted, None)) as worker:
        assert (await worker.get("/livez")).status_code == 200
        assert (await worker.get("/readyz")).status_code == 503
        counted.is_connected = True
        assert (await worker.get("/readyz")).status_code == 200
        counted._turned_at -= probes.STUCK_SECONDS
        assert (await worker.get("/livez")).status_code == 503


async def test_a_scrape_costs_the_pool_nothing(client: httpx.AsyncClient, conn: Connection) -> None:
    asked = (
        "SELECT max(state_change) FROM pg_stat_activity "
        "WHERE application_name = 'seqpulse api' AND datname = current_database()"
    )
    before = await conn.fetchval(asked)
    for _ in range(5):
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/health")).status_code in (200, 503)
    assert await conn.fetchval(asked) == before
