"""A project without a target: its samples are pushed, and its deployments are judged by them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core.database import Connection
from demo.releases import SLOT_SECONDS
from tests.acceptance.installation import Installation

GOOD = {
    "requests_per_sec": 50,
    "latency_p95": 40,
    "error_rate": 0.001,
    "cpu_usage": 0.2,
    "memory_usage": 0.3,
}
BAD = {**GOOD, "error_rate": 0.4}


class Service:
    """Pushes what it measures."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    async def call(self, path: str, body: object) -> httpx.Response:
        headers = {"X-API-Key": self.installation.project["api_key"]}
        url = self.installation.api_url + path
        return await self.installation.http.post(url, json=body, headers=headers)

    async def push(self, *moments: datetime, metrics: dict[str, Any]) -> None:
        rows = [{"slot_at": moment.isoformat(), "metrics": metrics} for moment in moments]
        path = f"/projects/{self.installation.project['id']}/samples"
        answer = await self.call(path, rows)
        assert answer.json()["stored"] == len(rows), answer.text

    async def deploy(self, metrics: dict[str, Any], slots: int) -> dict[str, Any]:
        """Trigger, finish, push in so many slots of the post window, return the verdict."""
        begun = (await self.call("/deployments/trigger", {"branch": "main"})).json()
        identity = begun["deployment_id"]
        finish = {"deployment_id": identity, "result": "success"}
        assert (await self.call("/deployments/finish", finish)).json()["status"] == "accepted"
        shown = (await self.installation.get(f"/deployments/{identity}")).json()
        finished_at = datetime.fromisoformat(shown["finished_at"])
        for slot in range(slots):
            middle = finished_at + timedelta(seconds=(slot + 0.5) * SLOT_SECONDS)
            await asyncio.sleep((middle - datetime.now(UTC)).total_seconds())
            await self.push(middle, metrics=metrics)
        async with asyncio.timeout(30):
            while True:
                answer = await self.installation.get(f"/deployments/{identity}/verdict")
                if answer.status_code == 200:
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.1)


@pytest.fixture
async def service(installation: Installation) -> Service:
    await installation.start_api()
    installation.start("worker")
    answer = await installation.http.post(
        f"{installation.api_url}/projects",
        json={"name": "batch"},
        headers={"Authorization": f"Bearer {installation.env['SEQPULSE_OPERATOR_TOKEN']}"},
    )
    installation.project = answer.json()
    return Service(installation)


async def test_deployments_of_a_project_that_pushes_get_verdicts(
    service: Service, conn: Connection
) -> None:
    refused = await service.call("/deployments/trigger", {"branch": "main"})
    assert refused.status_code == 422
    assert "nothing was pushed" in refused.json()["detail"]
    now = datetime.now(UTC)
    await service.push(*(now - timedelta(seconds=5 + n) for n in range(30)), metrics=GOOD)
    good = await service.deploy(GOOD, slots=5)
    assert (good["verdict"], good["conclusive"], good["coverage_ratio"]) == ("ok", True, 1.0)
    assert {item["baseline_source"] for item in good["evidence"]} == {"baseline"}
    bad = await service.deploy(BAD, slots=5)
    assert (bad["verdict"], bad["coverage_ratio"]) == ("rollback_recommended", 1.0)
    silent = await service.deploy(GOOD, slots=1)
    assert (silent["verdict"], silent["conclusive"]) == ("warning", False)
    assert silent["coverage_ratio"] == pytest.approx(0.2)
    assert [hint["title"] for hint in silent["hints"]] == ["The metrics stopped with this deploy"]
    codes = await conn.fetch("SELECT code, detail FROM missed_slots WHERE phase = 'post'")
    assert [row["code"] for row in codes] == ["not_pushed"] * 4
    post = await conn.fetchval("SELECT count(*) FROM metric_samples WHERE phase = 'post'")
    assert post + len(codes) == 15
    pushed = await conn.fetchval("SELECT count(*) FROM metric_samples WHERE phase IS NULL")
    assert pushed == 30 + 5 + 5 + 1
