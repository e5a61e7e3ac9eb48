"""The database is killed under load and started again: nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import settings as configuration
from core.database import connect
from demo.stage import environment
from sql import embedded
from sql.scratch import scratch_database
from tests.acceptance.installation import Installation
from tests.acceptance.test_crash import until

TEST_DSN = "SEQPULSE_TEST_DSN"
READING = {
    "requests_per_sec": 50,
    "latency_p95": 40,
    "error_rate": 0.001,
    "cpu_usage": 0.2,
    "memory_usage": 0.3,
}
REQUEST_SECONDS = 25.0
"""No request may hang for longer: see `api.app.STATEMENT_SECONDS`, `api.lookout.BREAK_SECONDS`."""


def kill_family(folder: Path) -> None:
    [pid_file] = folder.rglob("postmaster.pid")
    postmaster = int(pid_file.read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def make_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-killed-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    return folder


@dataclass
class Server:
    """A private server of our own, to be killed."""

    url: str
    folder: Path

    async def kill(self) -> None:
        """End the postmaster and all of its children at once, as the out-of-memory killer does."""
        await asyncio.to_thread(kill_family, self.folder)

    async def start(self) -> None:
        cache = configuration.load().cache_dir
        server = await asyncio.to_thread(embedded.start, self.folder, cache, stay=False)
        assert str(server.port) in self.url


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    if os.environ.get(TEST_DSN):
        pytest.skip("the server is not ours to kill")
    folder = make_folder()
    cache = configuration.load().cache_dir
    try:
        started = await asyncio.to_thread(embedded.start, folder, cache, stay=False)
        async with scratch_database(started.url, prefix="killed") as url:
            yield Server(url, folder)
    finally:
        await asyncio.to_thread(embedded.stop, folder, cache)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def installation(server: Server, tmp_path: Path) -> AsyncIterator[Installation]:
    async with httpx.AsyncClient(trust_env=False, timeout=REQUEST_SECONDS) as http:
        with contextlib.ExitStack() as stack:
            env = environment(server.url) | {"SEQPULSE_CHANGES_PER_MINUTE": "1000000"}
            yield Installation(env, tmp_path / "processes.log", http, stack)


@dataclass
class Pipeline:
    """Calls the API without a pause, and keeps what was accepted."""

    installation: Installation
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    pushed: set[datetime] = field(default_factory=set)
    triggered: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)

    async def call(self, path: str, body: object) -> dict[str, Any]:
        """Return what was accepted, {} for what was not."""
        answer = await self.installation.http.post(
            self.installation.api_url + path,
            json=body,
            headers={"X-API-Key": self.installation.project["api_key"]},
        )
        self.answers[answer.status_code] += 1
        if answer.status_code < 300:
            found: dict[str, Any] = answer.json()
            return found
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        return {}

    async def push(self) -> None:
        path = f"/projects/{self.installation.project['id']}/samples"
        slot_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=12)
        while not self.stop.is_set():
            slot_at += timedelta(seconds=1)
            row = {"slot_at": slot_at.isoformat(), "env": "pushed", "metrics": READING}
            if (await self.call(path, [row])).get("stored"):
                self.pushed.add(slot_at)
            await asyncio.sleep(0.01)

    async def ship(self, env: str) -> None:
        body = {"env": env, "metrics_endpoint": "http://127.0.0.1:9/metrics"}
        while not self.stop.is_set():
            begun = await self.call("/deployments/trigger", body)
            identity = begun.get("deployment_id")
            if identity:
                self.triggered.add(identity)
                finish = {"deployment_id": identity, "result": "success"}
                done = await self.call("/deployments/finish", finish)
                if done.get("status") == "accepted":
                    self.finished.add(identity)
            await asyncio.sleep(0.02)


async def health(installation: Installation) -> tuple[int, str]:
    answer = await installation.http.get(f"{installation.api_url}/health")
    return answer.status_code, answer.json()["checks"]["database"]["status"]


async def test_nothing_that_was_accepted_is_lost(
    server: Server, installation: Installation
) -> None:
    await installation.start_api()
    installation.start("worker")
    await installation.logged("worker_started")  # one that cannot reach the database does not start
    answer = await installation.http.post(
        f"{installation.api_url}/projects",
        json={"name": "shop"},
        headers={"Authorization": f"Bearer {installation.env['SEQPULSE_OPERATOR_TOKEN']}"},
    )
    installation.project = answer.json()
    pipeline = Pipeline(installation)
    load = [
        asyncio.create_task(work)
        for work in (pipeline.push(), *(pipeline.ship(f"env{n}") for n in range(3)))
    ]

    async def accepted(many: int) -> bool:
        assert not any(task.done() for task in load), [task for task in load if task.done()]
        return min(len(pipeline.pushed), len(pipeline.finished)) >= many

    async def lost() -> bool:
        return await health(installation) == (503, "failing")

    async def back() -> bool:
        return (await health(installation))[1] == "ok"

    await until(lambda: accepted(10))
    await server.kill()
    await until(lost)
    refused = pipeline.answers[503]

    async def refused_more() -> bool:
        return pipeline.answers[503] >= refused + 20

    await until(refused_more)
    assert (await installation.http.get(f"{installation.api_url}/livez")).status_code == 200
    assert (await installation.http.get(f"{installation.api_url}/readyz")).status_code == 503
    await server.start()
    await until(back)
    before = min(len(pipeline.pushed), len(pipeline.finished))
    await until(lambda: accepted(before + 10))
    pipeline.stop.set()
    await asyncio.gather(*load)

    conn = await connect(server.url)
    try:
        rows = await conn.fetch("SELECT slot_at FROM metric_samples WHERE env = 'pushed'")
        assert pipeline.pushed <= {row["slot_at"] for row in rows}
        rows = await conn.fetch("SELECT id, finished_at FROM deployments")
        known = {str(row["id"]): row["finished_at"] for row in rows}
        assert pipeline.triggered <= known.keys()
        assert all(known[identity] is not None for identity in pipeline.finished)

        async def judged() -> bool:
            count = "SELECT count(DISTINCT deployment_id) FROM verdicts"
            return bool(await conn.fetchval(count) >= len(pipeline.finished))

        await until(judged, 60)
        twice = "SELECT count(*) FROM metric_samples GROUP BY project_id, env, slot_at"
        assert {row[0] for row in await conn.fetch(twice)} <= {1}
    finally:
        await conn.close()
    assert installation.log.count("database_lost") == installation.log.count("database_back")
