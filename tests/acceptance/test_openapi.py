"""The API by its own description: everything it says is true, whatever is sent to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.installation import Installation

CONFIG = Path(__file__).with_name("schemathesis.toml")
PLENTY = dict.fromkeys(
    (f"SEQPULSE_{name}_PER_MINUTE" for name in ("READS", "CHANGES", "FAILURES")), "1000000"
)


async def test_schemathesis_finds_nothing(installation: Installation, tmp_path: Path) -> None:
    installation.env.update(PLENTY)
    await installation.start_api()
    token = installation.env["SEQPULSE_OPERATOR_TOKEN"]

    async def create(path: str, api_key: str = "", **body: str) -> dict[str, str]:
        headers = {"X-API-Key": api_key} if api_key else {"Authorization": f"Bearer {token}"}
        answer = await installation.http.post(
            f"{installation.api_url}{path}", json=body, headers=headers
        )
        found: dict[str, str] = answer.json()
        return found

    project, other = [await create("/projects", name=name) for name in ("shop", "other")]
    key = await create(f"/projects/{project['id']}/keys", scope="admin")
    begun = await create(
        "/deployments/trigger", key["api_key"], metrics_endpoint="http://shop.example/m"
    )
    place = f"/projects/{project['id']}/channels"
    hook = "https://hooks.example.com/x"
    channel = await create(place, key["api_key"], kind="webhook", name="ops", url=hook)
    given = {
        "SEQPULSE_TEST_API_KEY": key["api_key"],
        "SEQPULSE_TEST_DEPLOYMENT": begun["deployment_id"],
        "SEQPULSE_TEST_TOKEN": token,
        "SEQPULSE_TEST_PROJECT": project["id"],
        "SEQPULSE_TEST_CHANNEL": channel["id"],
        "SEQPULSE_TEST_OTHER_PROJECT": other["id"],
        "SEQPULSE_TEST_HOOKS": str(CONFIG.with_name("schemathesis_hooks.py")),
    }
    words = ["run", f"{installation.api_url}/openapi.json", "--checks", "all", "--no-color"]
    done = await asyncio.to_thread(schemathesis, words, given, tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "only 401/403" not in done.stdout
    assert "request_crashed" not in installation.log


def schemathesis(
    words: list[str], env: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the program; with SEED set, by hand, on other cases and more of them."""
    config = CONFIG
    if seed := os.environ.get("SEED"):
        config = folder / "schemathesis.toml"
        text = CONFIG.read_text().replace("deterministic = true", "")
        config.write_text(text.replace("max-examples = 10", "max-examples = 100"))
        words = [*words, "--seed", seed]
    return subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "--config-file", config, *words],
        env={"PATH": os.environ["PATH"], **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
