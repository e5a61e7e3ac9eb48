"""Waiting for verdicts: woken by the commit, whoever is in the way, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from structlog.testing import capture_logs

from api.app import create_app
from api.limits import Places
from api.waiting import Waiting
from core.database import Connection, Pool, connect, create_pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Scope
from sql import api_keys
from tests.integration.test_judging import judge_one, settle

LONG = "?wait=60"
END_WAITING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE application_name = 'seqpulse waiting' AND datname = current_database()
"""


class Served:
    """An API over real connections."""

    def __init__(self, app: FastAPI, server: uvicorn.Server, client: httpx.AsyncClient) -> None:
        self.app = app
        self.server = server
        self.client = client

    @property
    def waiting(self) -> Waiting:
        waiting: Waiting = self.app.state.seqpulse.waiting
        return waiting

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.waiting) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(settings: Settings, url: str) -> AsyncIterator[Served]:
    app = create_app(settings, url)
    config = uvicorn.Config(app, port=0, http="h11", log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    limits = httpx.Limits(max_connections=None)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=90, trust_env=False, limits=limits
        ) as client:
            yield Served(app, server, client)
    finally:
        app.state.seqpulse.waiting.close()
        server.should_exit = True
        await task


@pytest.fixture
async def served(settings: Settings, database_url: str) -> AsyncIterator[Served]:
    slow = settings.model_copy(update={"poll_seconds": 600.0})  # nothing but NOTIFY wakes anybody
    async with serving(slow, database_url) as served:
        yield served


@pytest.fixture
async def key(conn: Connection, vault: Vault, project: Project) -> dict[str, str]:
    key, _ = await api_keys.add(conn, vault, project.id, scope=Scope.ADMIN)
    return {"X-API-Key": str(key)}


def ask(
    served: Served, deployment: Deployment, key: dict[str, str]
) -> asyncio.Task[httpx.Response]:
    path = f"/deployments/{deployment.id}/verdict{LONG}"
    return asyncio.create_task(served.client.get(path, headers=key))


async def test_who_waits_is_woken_by_the_commit(
    served: Served, key: dict[str, str], conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    asked = [ask(served, deployment, key) for _ in range(20)]
    await served.until_waiting(20)
    held = served.app.state.seqpulse.pool
    async with asyncio.timeout(20):
        while held.get_size() != held.get_idle_size():  # noqa: ASYNC110 - nobody keeps one
            await asyncio.sleep(0.005)
    await settle(conn, deployment)
    await judge_one(pool, deployment)
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["etag"] for answer in answers} == {'W/"1"'}
    assert len(served.waiting) == 0
    plain = await served.client.get(f"/deployments/{deployment.id}/verdict", headers=key)
    assert plain.content == answers[0].content


async def test_who_asks_late_does_not_wait(
    served: Served, key: dict[str, str], conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    await judge_one(pool, deployment)
    assert (await ask(served, deployment, key)).status_code == 200


async def test_a_wait_ends_with_202(
    served: Served, key: dict[str, str], deployment: Deployment
) -> None:
    path = f"/deployments/{deployment.id}/verdict?wait=0.05"
    answer = await served.client.get(path, headers=key)
    assert (answer.status_code, answer.json()["state"]) == (202, "finished")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"
    assert len(served.waiting) == 0


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan", "inf", ""])
async def test_a_wait_is_bounded(
    served: Served, key: dict[str, str], deployment: Deployment, wait: str
) -> None:
    path = f"/deployments/{deployment.id}/verdict?wait={wait}"
    assert (await served.client.get(path, headers=key)).status_code == 422


async def test_who_hangs_up_waits_no_longer(
    served: Served, key: dict[str, str], deployment: Deployment
) -> None:
    asked = [ask(served, deployment, key) for _ in range(3)]
    await served.until_waiting(3)
    asked[0].cancel()
    await served.until_waiting(2)
    served.waiting.close()
    answers = await asyncio.gather(*asked[1:])
    assert {answer.status_code for answer in answers} == {202}


async def test_the_end_of_the_process_ends_all_waits_at_once(
    served: Served, key: dict[str, str], deployment: Deployment
) -> None:
    asked = ask(served, deployment, key)
    await served.until_waiting(1)
    served.waiting.close()
    assert (await asked).status_code == 202
    assert (await ask(served, deployment, key)).status_code == 202  # and of those who come then


async def test_what_is_told_while_nobody_listens_is_looked_up(
    served: Served, key: dict[str, str], conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    asked = ask(served, deployment, key)
    await served.until_waiting(1)
    await settle(conn, deployment)
    async with conn.transaction():
        # The verdict is not visible before it ends, and then nobody listens.
        await conn.execute("LOCK TABLE verdicts IN SHARE MODE")
        judging = asyncio.create_task(judge_one(pool, deployment))
        assert await conn.fetchval(END_WAITING) is True
    await judging
    assert (await asked).status_code == 200


async def test_a_pooler_that_swallows_what_is_told_costs_time_only(
    settings: Settings,
    database_url: str,
    key: dict[str, str],
    conn: Connection,
    pool: Pool,
    deployment: Deployment,
) -> None:
    deaf = settings.model_copy(update={"poll_seconds": 0.2})
    async with serving(deaf, database_url) as served:
        asked = ask(served, deployment, key)
        await served.until_waiting(1)
        listener = served.waiting
        listener._hear = lambda *_: None  # type: ignore[method-assign]
        await conn.execute(END_WAITING)
        await settle(conn, deployment)
        await judge_one(pool, deployment)
        assert (await asked).status_code == 200


async def test_there_is_room_for_so_many(
    served: Served, key: dict[str, str], conn: Connection, vault: Vault, deployment: Deployment
) -> None:
    state = served.app.state.seqpulse
    object.__setattr__(state, "waits", Places(overall=3, each=2))
    asked = [ask(served, deployment, key) for _ in range(2)]
    await served.until_waiting(2)
    full = await ask(served, deployment, key)
    assert (full.status_code, int(full.headers["retry-after"])) == (429, 1)
    served.waiting.close()
    await asyncio.gather(*asked)


async def test_waits_survive_an_outage_of_the_database(
    settings: Settings,
    database_url: str,
    key: dict[str, str],
    conn: Connection,
    deployment: Deployment,
) -> None:
    quick = settings.model_copy(update={"poll_seconds": 0.2})
    async with serving(quick, database_url) as served:
        asked = ask(served, deployment, key)
        await served.until_waiting(1)
        name = await conn.fetchval("SELECT current_database()")
        await settle(conn, deployment)
        admin = await connect(database_url.rpartition("/")[0] + "/postgres")
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        with capture_logs() as logs:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = $1 AND application_name LIKE 'seqpulse %'",
                name,
            )
            async with asyncio.timeout(20):
                while not {"waiting_connection_failed", "waiters_not_served"} <= {  # noqa: ASYNC110
                    entry["event"] for entry in logs
                }:
                    await asyncio.sleep(0.005)
        assert len(served.waiting) == 1
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await admin.close()
        async with await create_pool(database_url, 2) as pool:
            await judge_one(pool, deployment)
        assert (await asked).status_code == 200
