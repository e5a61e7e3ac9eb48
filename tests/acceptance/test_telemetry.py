"""What a deployment leaves in the metrics and in the logs of the processes that handled it."""

from __future__ import annotations

import json
from typing import Any

from core.database import Connection
from demo.stage import answering, free_port
from tests.acceptance.installation import Installation
from tests.acceptance.test_crash import until
from tests.integration.test_metrics import read


async def deploy(installation: Installation) -> str:
    """Ship the shop once and return the deployment's id when its verdict is stored."""
    shop = await installation.start_shop()
    identity = str(installation.pipeline("trigger", shop)["deployment_id"])
    installation.pipeline("finish", shop, deployment_id=identity)
    await installation.logged("verdict_saved")
    return identity


async def test_a_deployment_in_the_metrics(installation: Installation, conn: Connection) -> None:
    port = free_port()
    installation.env |= {"SEQPULSE_METRICS_PORT": str(port), "SEQPULSE_LOG_LEVEL": "info"}
    await installation.start_api()
    installation.start("worker")
    worker = f"http://127.0.0.1:{port}"
    await answering(installation.http, f"{worker}/readyz", installation.log_path)
    await deploy(installation)

    found: dict[tuple[str, ...], float] = {}

    async def settled() -> bool:
        found.update(read((await installation.http.get(f"{worker}/metrics")).text))
        return found["seqpulse_job_attempts_total", "judge", "completed"] == 1

    await until(settled)
    assert found["seqpulse_metrics_collected_total",] >= 6  # pre, five post slots, and baseline
    verdict = await conn.fetchval("SELECT verdict FROM verdicts")
    conclusive = str(await conn.fetchval("SELECT conclusive FROM verdicts")).lower()
    assert found["seqpulse_verdicts_total", conclusive, verdict] == 1
    assert found["seqpulse_verdict_latency_seconds_count",] == 1
    assert 0 < found["seqpulse_verdict_latency_seconds_sum",] < 30
    assert found["seqpulse_analysis_duration_seconds_count",] >= 1
    hints = await conn.fetch("SELECT rule FROM hints")
    assert all(found["seqpulse_hints_total", row["rule"]] == 1 for row in hints)
    assert found["seqpulse_job_start_delay_seconds_count",] >= 7
    assert found["seqpulse_worker_connected",] == 1
    api = read((await installation.http.get(f"{installation.api_url}/metrics")).text)
    for route in ("trigger", "finish"):
        assert api["seqpulse_http_requests_total", "POST", f"/deployments/{route}", "2xx"] == 1


async def test_a_deployment_is_followed_from_end_to_end_by_one_grep(
    installation: Installation,
) -> None:
    installation.env |= {"SEQPULSE_LOG_FORMAT": "json", "SEQPULSE_LOG_LEVEL": "info"}
    await installation.start_api()
    installation.start("worker")
    identity = await deploy(installation)
    await installation.get(f"/deployments/{identity}/verdict")
    lines = [line for line in installation.log.splitlines() if identity in line]
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert {event["deployment_id"] for event in events} == {identity}
    names = [event["event"] for event in events]
    story = [name for name in names if name != "request_served"]
    assert (story[0], story[-1]) == ("deployment_triggered", "verdict_saved")
    assert {"slot_collected", "deployment_finished"} < set(story)
    assert {
        (event["phase"], event["sequence_index"])
        for event in events
        if event["event"] == "slot_collected"
    } == {("pre", None), *(("post", index) for index in range(5))}
    assert all("job_id" in event for event in events if event["event"] == "slot_collected")
    assert {event["project_id"] for event in events if "project_id" in event} == {
        installation.project["id"]
    }
    served = [event["route"] for event in events if event["event"] == "request_served"]
    assert served == [
        "/deployments/trigger",
        "/deployments/finish",
        "/deployments/{deployment_id}/verdict",
    ]
