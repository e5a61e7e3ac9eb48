"""docs/api.md: every example is run as it stands, and the Argo template does what is said of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ruamel.yaml import YAML

from analytics import policy
from core.database import Connection, Pool
from core.secrets import Vault
from core.types import Scope
from scheduler import judging
from sql import api_keys, deployments
from tests.acceptance.installation import Installation
from tests.integration.test_judging import BASELINE_SECONDS, settle

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
FINISHED = """
UPDATE deployments SET triggered_at = now() - interval '1 hour', state = 'finished',
       finished_at = now() - interval '10 min', post_slots = 5, slot_seconds = 60
"""


def blocks(language: str) -> list[str]:
    """The examples of a language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def run(command: str, env: dict[str, str]) -> str:
    """Run an example in a shell; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", command,
        env={"PATH": os.environ["PATH"], "NO_PROXY": "*", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert process.returncode == 0, f"{command}\n{printed.decode()}"
    return printed.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
async def test_every_example_runs_as_it_stands(
    installation: Installation, conn: Connection, pool: Pool
) -> None:
    await installation.start_api()
    token = installation.env["SEQPULSE_OPERATOR_TOKEN"]
    answer = await installation.http.post(
        f"{installation.api_url}/projects",
        json={"name": "shop"},
        headers={"Authorization": f"Bearer {token}"},
    )
    project = answer.json()
    vault = Vault(installation.env["SEQPULSE_SECRET_KEY"])
    admin, _ = await api_keys.add(conn, vault, UUID(project["id"]), scope=Scope.ADMIN)
    env = {
        "API": installation.api_url,
        "KEY": project["api_key"],
        "ADMIN_KEY": str(admin),
        "DEPLOYMENT": "",
    }
    ran = 0
    for block in blocks("sh"):
        if block.startswith("export"):
            continue
        if "/verdict" in block:  # from here on there is one
            await _judge(conn, pool, UUID(env["DEPLOYMENT"]))
        printed = await run(block, env)
        if "/trigger" in block:
            env["DEPLOYMENT"] = json.loads(printed)["deployment_id"]
        ran += block.count("curl ")
    assert ran == PAGE.count("`GET /") + PAGE.count("`POST /")
    [verdict] = await conn.fetch("SELECT revision, policy FROM verdicts")
    assert tuple(verdict) == (2, "reference-v2")


async def _judge(conn: Connection, pool: Pool, deployment_id: UUID) -> None:
    await conn.execute(FINISHED)
    deployment, _ = await deployments.load(conn, deployment_id)
    await settle(conn, deployment, slowness=8.0)
    policies = judging.Policies(policy.SEQPULSE_V1)
    await judging.judge(pool, policies, BASELINE_SECONDS, [deployment_id])


def measure(metric: dict[str, Any], answer: dict[str, Any]) -> str:
    """What Argo Rollouts makes of an answer: utils/evaluate of its sources, in a few lines."""
    path = metric["provider"]["web"]["jsonPath"]
    member = re.fullmatch(r"\{\$\.(\w+)\}", path)
    assert member
    result = answer[member[1]]

    def holds(condition: str) -> bool:
        wanted = re.fullmatch(r'result == "(\w+)"', condition)
        assert wanted
        return bool(result == wanted[1])

    if holds(metric["failureCondition"]):
        return "Failed"
    return "Successful" if holds(metric["successCondition"]) else "Inconclusive"


def test_the_argo_template_reads_what_the_api_answers() -> None:
    [text] = blocks("yaml")
    [metric] = YAML(typ="safe").load(text)["spec"]["metrics"]
    web = metric["provider"]["web"]
    assert re.search(r"/deployments/\{\{args\.deployment-id\}\}/verdict\?wait=(\d+)", web["url"])
    assert web["timeoutSeconds"] > 60
    assert "inconclusiveLimit" not in metric
    assert metric["count"] == 1
    for verdict, phase in {
        "ok": "Successful",
        "rollback_recommended": "Failed",
        "warning": "Inconclusive",
        None: "Inconclusive",
    }.items():
        assert measure(metric, {"verdict": verdict, "state": "analyzed"}) == phase
