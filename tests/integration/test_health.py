"""How the installation says it feels: with a worker, without one, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from api.app import create_app
from api.lookout import Lookout
from core.database import Connection, Pool, create_pool
from core.settings import Settings
from core.types import Project
from scheduler import queue, worker
from scheduler.jobs import Job, NewJob, Outcome, Status
from sql import edition
from tests.chaos.proxy import Proxy, proxied
from tests.integration.test_worker import until

DEAD_PORT = 9


@asynccontextmanager
async def api(settings: Settings, url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with api(settings, database_url) as client:
        yield client


async def see(client: httpx.AsyncClient, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until /health says so, and return what it said."""
    async with asyncio.timeout(30):
        while True:
            answer = await client.get("/health")
            body: dict[str, Any] = answer.json()
            assert answer.status_code == (503 if body["status"] == "failing" else 200)
            if is_so(body["checks"] | {"": body["status"]}):
                return body
            await asyncio.sleep(0.02)


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    async def handle(_job: Job) -> Outcome:
        return Outcome(Status.COMPLETED)

    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(url, handle, worker.Options(), stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def test_without_a_worker_nothing_is_collected_and_that_is_failing(
    client: httpx.AsyncClient, database_url: str, conn: Connection
) -> None:
    body = (await client.get("/health")).json()
    assert (body["status"], body["checks"]["heartbeat"]["status"]) == ("failing", "failing")
    assert body["checks"]["heartbeat"]["detail"] == "no worker is running"
    assert body["checks"]["timescaledb"]["value"] == await edition.find(conn)
    alone_since = datetime.fromisoformat(body["checks"]["heartbeat"]["since"])
    async with working(database_url):
        body = await see(client, lambda checks: checks["heartbeat"]["status"] == "ok")
        heartbeat = body["checks"]["heartbeat"]
        assert body["status"] == "ok"
        assert 0 <= heartbeat["value"] <= heartbeat["limit"] == 30
        assert datetime.fromisoformat(heartbeat["since"]) > alone_since
        again = (await client.get("/health")).json()["checks"]["heartbeat"]
        assert again["since"] == heartbeat["since"]  # it has not changed since


async def test_the_queue_is_counted_and_overdue_or_stuck_jobs_are_told(
    client: httpx.AsyncClient, conn: Connection, project: Project
) -> None:
    now = datetime.fromisoformat((await client.get("/health")).json()["looked_at"])
    await queue.enqueue(conn, [NewJob("noop", project.id, "prod", now) for _ in range(6)])
    await conn.execute(
        "WITH j AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM scheduled_jobs) "
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' * (n <= 3)::integer "
        "- interval '1 minute' * (n > 4)::integer, attempt = CASE n WHEN 6 THEN 9 ELSE 0 END, "
        "last_error = 'again' FROM j WHERE j.id = scheduled_jobs.id"
    )
    body = await see(client, lambda checks: checks["overdue"]["value"] == 2)
    checks = body["checks"]
    assert checks["pending"]["value"] == 6
    assert checks["stuck"]["value"] == 1
    assert checks["overdue"]["status"] == checks["stuck"]["status"] == "degraded"


async def test_a_wrong_schema_is_failing(client: httpx.AsyncClient, conn: Connection) -> None:
    await conn.execute("DELETE FROM schema_migrations WHERE version = 1")
    body = await see(client, lambda checks: checks["schema"]["status"] == "failing")
    assert "seqpulse migrate" in body["checks"]["schema"]["detail"]


def lose(proxy: Proxy) -> int:
    """The server is gone: what is open breaks, nothing more can be opened."""
    port, proxy.port = proxy.port, DEAD_PORT
    proxy.cut(frozen=False)
    return port


async def test_a_database_that_is_gone_and_comes_back(
    settings: Settings, database_url: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with proxied(database_url) as proxy, api(settings, proxy.url) as client:
            port = lose(proxy)
            body = await see(client, lambda checks: checks["database"]["status"] == "failing")
            assert body["status"] == "failing"
            others = {key: c["status"] for key, c in body["checks"].items() if key != "database"}
            assert set(others.values()) == {"unknown", "ok"}
            assert others["pool"] == "ok"
            assert body["checks"]["database"]["value"] is None
            lost_since = body["checks"]["database"]["since"]
            looked_at = body["looked_at"]
            await see_later(client, looked_at)
            body = (await client.get("/health")).json()
            assert body["checks"]["database"]["since"] == lost_since
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
            scrape = (await client.get("/metrics")).text
            assert "seqpulse_database_up 0.0" in scrape
            assert "\nseqpulse_jobs{" not in scrape
            proxy.port = port
            await see(client, lambda checks: checks["database"]["status"] == "ok")
            assert (await client.get("/readyz")).status_code == 200
            scrape = (await client.get("/metrics")).text
            assert '\nseqpulse_jobs{state="due"} 0.0' in scrape
    said = [log["event"] for log in logs if log.get("who") == "api"]
    assert said == ["database_lost", "database_back"]


async def see_later(client: httpx.AsyncClient, looked_at: str) -> None:
    """Wait for three more looks."""
    for _ in range(3):
        async with asyncio.timeout(30):
            body = (await client.get("/health")).json()
            while body["looked_at"] == looked_at:
                await asyncio.sleep(0.02)
                body = (await client.get("/health")).json()
        looked_at = body["looked_at"]


async def test_a_database_that_says_nothing_any_more(settings: Settings, database_url: str) -> None:
    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with silent, proxied(database_url) as proxy, api(settings, proxy.url) as client:
        port = proxy.port
        proxy.freeze()
        proxy.port = silent.sockets[0].getsockname()[1]
        body = await see(client, lambda checks: checks["database"]["status"] == "failing")
        assert body["checks"]["database"]["detail"] == "it does not answer"
        assert (await client.get("/readyz")).status_code == 503
        scrape = await client.get("/metrics")
        assert "seqpulse_database_up 0.0" in scrape.text
        # Whoever wants something is turned away without waiting for what will not come.
        await see_turned_away(client)
        proxy.port = port
        proxy.cut(frozen=True)
        await see(client, lambda checks: checks["database"]["status"] == "ok")
        ready = await client.get("/readyz")
        assert ready.status_code == 200


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass
    writer.close()


async def see_turned_away(client: httpx.AsyncClient) -> None:
    headers = {"X-API-Key": "sp_0123456789ab_" + "0" * 64}
    async with asyncio.timeout(30):
        while True:
            answer = await client.get("/sdh", headers=headers)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            if "cannot be reached" in answer.json()["detail"]:
                return
            await asyncio.sleep(0.02)


async def test_a_full_pool_is_told(database_url: str) -> None:
    async with await create_pool(database_url, 2) as pool:
        lookout = Lookout(database_url, pool)
        for _ in range(5):
            await lookout.look()
        assert lookout.view.checks["pool"].status == "ok"
        async with pool.acquire(), pool.acquire():
            for _ in range(4):
                await lookout.look()
            assert lookout.view.checks["pool"].status == "ok"  # not for long enough
            await lookout.look()
            assert lookout.view.checks["pool"].status == "degraded"
        await lookout.look()
        assert lookout.view.checks["pool"].status == "ok"
        lookout._leave()


async def test_a_question_that_takes_too_long_is_unknown_and_the_rest_is_not(
    pool: Pool, database_url: str, conn: Connection
) -> None:
    lookout = Lookout(database_url, pool)
    async with conn.transaction():
        await conn.execute("LOCK TABLE scheduled_jobs IN ACCESS EXCLUSIVE MODE")
        await lookout.look()
        assert lookout.view.checks["overdue"].status == "unknown"
        assert lookout.view.checks["database"].status == "ok"
    await until(lambda: answered(lookout))
    lookout._leave()


async def answered(lookout: Lookout) -> bool:
    await lookout.look()
    return lookout.view.checks["overdue"].status == "ok"


async def test_the_statements_of_the_runbook_run(conn: Connection) -> None:
    page = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
    section = page.partition("## A check of `/health`")[2].partition("\n## ")[0]
    statements = section.partition("```sql\n")[2].partition("```")[0].split(";")[:-1]
    assert len(statements) == 4
    for statement in statements:
        await conn.fetch(statement)
