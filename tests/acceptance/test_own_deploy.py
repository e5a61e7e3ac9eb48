"""SeqPulse watches a deploy of its own API, as it would that of any service."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess

import httpx

from core import processes
from core.database import Connection
from demo.stage import answering, free_port
from tests.acceptance.installation import Installation
from tests.acceptance.test_sdk import verdict_of


class Replica:
    """An API process that is deployed: traffic flows to whichever one runs."""

    def __init__(self, installation: Installation, secret: str) -> None:
        self.installation = installation
        self.env = {**installation.env, "SEQPULSE_DS_METRICS_SECRET": secret}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def metrics_endpoint(self) -> str:
        return f"{self.url}/ds-metrics"

    async def deploy(self) -> None:
        """Replace the process."""
        if self.process is not None:
            await asyncio.to_thread(processes.stop, self.process)
        log = self.installation.stack.enter_context(self.installation.log_path.open("ab"))
        arguments = ["core.cli", "api", "--port", str(self.port)]
        self.process = processes.start(arguments, self.env, log)
        self.installation.stack.callback(processes.stop, self.process)
        await answering(self.installation.http, f"{self.url}/livez", self.installation.log_path)

    async def visit(self) -> None:
        """Send it requests for ever."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await self.installation.get("/sdh")
            await asyncio.sleep(0.02)


async def test_a_deploy_of_our_own_api_gets_a_verdict(
    installation: Installation, conn: Connection
) -> None:
    # No more than ten reads of the endpoint in a minute: a baseline every 30 s, five post slots.
    installation.env["SEQPULSE_BASELINE_INTERVAL_SECONDS"] = "30"
    await installation.start_api()
    installation.start("worker")
    answer = await installation.http.post(
        f"{installation.api_url}/projects",
        json={"name": "seqpulse", "hmac": True},
        headers={"Authorization": f"Bearer {installation.env['SEQPULSE_OPERATOR_TOKEN']}"},
    )
    installation.project = answer.json()
    replica = Replica(installation, installation.project["hmac_secret"])
    await replica.deploy()
    installation.api_url = replica.url
    visiting = asyncio.create_task(replica.visit())
    unsigned = await installation.http.get(replica.metrics_endpoint)
    assert unsigned.status_code == 401
    pipeline = installation.pipeline  # blocks, and the traffic must go on meanwhile
    begun = await asyncio.to_thread(pipeline, "trigger", replica, branch="main")
    assert begun["ok"], begun
    async with asyncio.timeout(20):
        while not await conn.fetchval("SELECT count(*) FROM metric_samples"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await replica.deploy()
    identity = begun["deployment_id"]
    done = await asyncio.to_thread(pipeline, "finish", replica, deployment_id=identity)
    assert done["status"] == "accepted"
    found = await verdict_of(installation, identity)
    visiting.cancel()
    assert found["coverage_ratio"] == 1.0, installation.log[-3000:]
    assert found["verdict"] != "rollback_recommended", found
    rows = await conn.fetch("SELECT * FROM metric_samples WHERE phase = 'post'")
    assert len(rows) == 5
    assert min(row["requests_per_sec"] for row in rows) > 0
    assert min(row["memory_usage"] for row in rows) > 0
    assert {row["error_rate"] for row in rows} == {0.0}
