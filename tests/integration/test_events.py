"""Server-sent events over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.limits import Places
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Scope
from sql import api_keys, projects
from tests.integration.test_judging import judge_one, settle
from tests.integration.test_waiting import Served, serving


@pytest.fixture
async def served(settings: Settings, database_url: str) -> AsyncIterator[Served]:
    async with serving(settings, database_url) as served:
        yield served


@pytest.fixture
async def key(conn: Connection, vault: Vault, project: Project) -> dict[str, str]:
    key, _ = await api_keys.add(conn, vault, project.id, scope=Scope.ADMIN)
    return {"X-API-Key": str(key)}


def parse(block: str) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
    if "data" in fields:
        fields["data"] = json.loads(fields["data"])
    return fields


class Listener:
    """Hears a stream event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._text = answer.aiter_text()
        self._left = ""

    async def hear(self) -> dict[str, Any] | None:
        """Return the next event, None at the end."""
        async with asyncio.timeout(20):
            while True:
                block, end, rest = self._left.partition("\n\n")
                if end:
                    self._left = rest
                    if (event := parse(block)).get("event"):
                        return event
                    continue
                try:
                    self._left += await anext(self._text)
                except StopAsyncIteration:
                    return None

    async def hear_all(self) -> list[dict[str, Any]]:
        """Return what is still to come."""
        heard = []
        while (event := await self.hear()) is not None:
            heard.append(event)
        return heard


def path(deployment: Deployment) -> str:
    return f"/deployments/{deployment.id}/events"


async def test_a_deployment_is_told_until_its_verdict(
    served: Served, key: dict[str, str], conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    async with served.client.stream("GET", path(deployment), headers=key) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        listener = Listener(answer)
        heard = [await listener.hear() for _ in range(3)]
        assert [event and event["data"]["state"] for event in heard] == [
            "pending",
            "running",
            "finished",
        ]
        await settle(conn, deployment, slowness=8.0)
        slots = [await listener.hear() for _ in range(5)]
        assert [event and event["data"]["sequence_index"] for event in slots] == [0, 1, 2, 3, 4]
        await judge_one(pool, deployment)
        rest = await listener.hear_all()
    assert [event["event"] for event in rest] == ["state", "verdict"]
    assert rest[-1]["data"]["verdict"] == "warning"
    assert rest[-1]["id"] == "4-3e-1"
    last = {**key, "Last-Event-ID": rest[-1]["id"]}
    again = await served.client.get(path(deployment), headers=last)
    assert (again.status_code, again.content) == (204, b"")
    some = {**key, "Last-Event-ID": str(slots[1] and slots[1]["id"])}
    async with served.client.stream("GET", path(deployment), headers=some) as answer:
        events = await Listener(answer).hear_all()
    assert [event["event"] for event in events] == ["slot"] * 3 + ["state", "verdict"]


async def test_a_missed_slot_is_told_with_its_code(
    served: Served, key: dict[str, str], conn: Connection, deployment: Deployment
) -> None:
    await conn.execute(
        "INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index, "
        "code, detail) SELECT finished_at, project_id, env, id, 'post', 0, 'timeout', 'x' "
        "FROM deployments"
    )
    async with served.client.stream("GET", path(deployment), headers=key) as answer:
        listener = Listener(answer)
        *_, last = [await listener.hear() for _ in range(4)]
    assert last
    assert (last["data"]["collected"], last["data"]["code"]) == (False, "timeout")


async def test_who_hangs_up_is_forgotten_and_the_end_of_the_process_ends_streams(
    served: Served, key: dict[str, str], deployment: Deployment
) -> None:
    state = served.app.state.seqpulse
    async with served.client.stream("GET", path(deployment), headers=key) as answer:
        listener = Listener(answer)
        for _ in range(3):
            await listener.hear()
        assert len(state.feed) == 1
    async with asyncio.timeout(20):
        while len(state.feed):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    async with served.client.stream("GET", path(deployment), headers=key) as answer:
        listener = Listener(answer)
        for _ in range(3):
            await listener.hear()
        state.let_go()
        assert await listener.hear_all() == []


async def test_the_stream_of_a_deployment_that_is_deleted_ends(
    served: Served, key: dict[str, str], conn: Connection, deployment: Deployment
) -> None:
    async with served.client.stream("GET", path(deployment), headers=key) as answer:
        listener = Listener(answer)
        for _ in range(3):
            await listener.hear()
        await conn.execute("DELETE FROM deployments")
        assert await listener.hear_all() == []


async def test_a_silent_stream_shows_that_it_lives(
    served: Served,
    key: dict[str, str],
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.events.HEARTBEAT_SECONDS", 0.05)
    async with served.client.stream("GET", path(deployment), headers=key) as answer:
        async with asyncio.timeout(20):
            async for text in answer.aiter_text():
                if ": still here" in text:
                    break


async def test_there_is_room_for_so_many_streams(
    served: Served, key: dict[str, str], deployment: Deployment
) -> None:
    object.__setattr__(served.app.state.seqpulse, "streams", Places(overall=1, each=1))
    async with served.client.stream("GET", path(deployment), headers=key):
        full = await served.client.get(path(deployment), headers=key)
        assert full.status_code == 429
        assert full.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("last", ["x", "9-0-0", "1-zz-0", "1-0", "", "1-0-0\u0660"])
async def test_who_comes_with_an_odd_id_hears_everything(
    served: Served, key: dict[str, str], deployment: Deployment, last: str
) -> None:
    headers = [(b"X-API-Key", key["X-API-Key"].encode()), (b"Last-Event-ID", last.encode())]
    async with served.client.stream("GET", path(deployment), headers=headers) as answer:
        event = await Listener(answer).hear()
    assert event
    assert event["id"] == "1-0-0"


async def test_streams_are_for_who_may_see_it(
    served: Served, key: dict[str, str], conn: Connection, vault: Vault, deployment: Deployment
) -> None:
    _, other = await projects.create(conn, vault, name="other")
    assert (await served.client.get(path(deployment))).status_code == 401
    theirs = await served.client.get(path(deployment), headers={"X-API-Key": str(other)})
    absent = await served.client.get(f"/deployments/{uuid4()}/events", headers=key)
    assert (theirs.status_code, absent.status_code) == (404, 404)
