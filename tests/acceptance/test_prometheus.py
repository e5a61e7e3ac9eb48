"""A project that has a Prometheus already: a verdict with a full baseline from its first deploy."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from core import processes
from core.database import Connection
from demo.stage import answering, free_port
from tests.acceptance.installation import Installation
from tests.real_prometheus import prometheus

SLOTS = 12
OPTIONS = ["--preset", "fastapi", "--select", 'job="shop"', "--window", "4s"]


@asynccontextmanager
async def service(
    installation: Installation,
) -> AsyncIterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service under steady traffic; its address and its process."""
    port = free_port()
    log = installation.stack.enter_context(installation.log_path.open("ab"))
    process = processes.start(["tests.scraped_service", str(port)], {}, log)
    installation.stack.callback(processes.stop, process)
    await answering(installation.http, f"http://127.0.0.1:{port}/metrics", installation.log_path)

    async def visit() -> None:
        next_at = asyncio.get_running_loop().time()
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await installation.http.get(f"http://127.0.0.1:{port}/work")
            next_at += 0.2
            await asyncio.sleep(next_at - asyncio.get_running_loop().time())

    visitors = [asyncio.create_task(visit()) for _ in range(4)]
    try:
        yield f"127.0.0.1:{port}", process
    finally:
        for visitor in visitors:
            visitor.cancel()
        await asyncio.gather(*visitors, return_exceptions=True)


async def seqpulse(installation: Installation, *arguments: str, credential: str = "") -> str:
    done = await run(installation, *arguments, credential=credential)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def run(
    installation: Installation, *arguments: str, credential: str = ""
) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "core.cli", "projects", *arguments],
        env=installation.env,
        input=f"{credential}\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def scraped(installation: Installation, url: str, times: int) -> None:
    """Wait until Prometheus knows so many moments of the service."""
    async with asyncio.timeout(60):
        while True:
            query = {"query": f"count_over_time(http_requests_total[{2 * times}s]) >= {times}"}
            answer = await installation.http.get(f"{url}/api/v1/query", params=query)
            if answer.json()["data"]["result"]:
                return
            await asyncio.sleep(0.2)


async def died(installation: Installation, identity: str) -> bool:
    """Whether Prometheus has noticed that the service is gone; it must not become zeros."""
    check = await run(installation, "target", "check", identity)
    if check.returncode:
        assert check.stderr.startswith("seqpulse: no_data: ")
    return check.returncode != 0


async def call(installation: Installation, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"X-API-Key": installation.project["api key"]}
    answer = await installation.http.post(installation.api_url + path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_first_deploy_is_judged_against_a_baseline_of_before(
    installation: Installation, conn: Connection
) -> None:
    installation.env["SEQPULSE_BASELINE_WINDOW_SECONDS"] = str(SLOTS)
    await installation.start_api()
    installation.start("worker")
    async with service(installation) as (address, process):
        with prometheus(address) as url:
            created = await seqpulse(installation, "create", "shop")
            installation.project = dict(line.rsplit(" ", 1) for line in created.splitlines())
            await scraped(installation, url, SLOTS + 6)
            identity = installation.project["project"]
            arguments = [identity, url, *OPTIONS, "--memory-bytes", "4000000000"]
            await seqpulse(
                installation, "target", "set", *arguments, "--auth", "bearer", credential="hunter2"
            )
            told = await seqpulse(installation, "target", "check", identity)
            assert told.startswith("requests_per_sec")
            begun = await call(installation, "/deployments/trigger", {"branch": "main"})
            finish = {"deployment_id": begun["deployment_id"], "result": "success"}
            await call(installation, "/deployments/finish", finish)
            verdict = await verdict_of(installation, begun["deployment_id"])
            process.kill()
            async with asyncio.timeout(30):
                while not await died(installation, identity):  # noqa: ASYNC110 - others notice it
                    await asyncio.sleep(0.2)
    assert verdict["coverage_ratio"] == 1.0
    assert (verdict["verdict"], verdict["conclusive"]) == ("ok", True)
    evidence = {row["metric"]: row for row in verdict["evidence"]}
    assert evidence["requests_per_sec"]["baseline_n"] >= SLOTS - 1
    assert 10 < evidence["requests_per_sec"]["expected"] < 100
    assert 2 < evidence["latency_p95"]["expected"] < 100  # milliseconds
    lying = "SELECT count(*) FROM metric_samples s JOIN missed_slots m USING (project_id, slot_at)"
    assert await conn.fetchval(lying) == 0
    dump = await conn.fetchval("SELECT t::text FROM targets AS t")
    assert "hunter2" not in dump + installation.log


async def verdict_of(installation: Installation, deployment_id: str) -> dict[str, Any]:
    headers = {"X-API-Key": installation.project["api key"]}
    url = f"{installation.api_url}/deployments/{deployment_id}/verdict"
    async with asyncio.timeout(60):
        while True:
            answer = await installation.http.get(url, headers=headers)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(0.1)
