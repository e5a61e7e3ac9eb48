"""The demo, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def test_the_demo_ends_with_the_four_expected_verdicts(server_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "demo", "--json"],
        env={**os.environ, "SEQPULSE_DATABASE_URL": server_url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["holds"] is True
    assert [item["verdict"] for item in result["releases"]] == [
        "ok",
        "warning",
        "rollback_recommended",
        "warning",
    ]
    failing = {row["metric"] for row in result["releases"][2]["evidence"] if row["failed"]}
    assert {"requests_per_sec", "error_rate"} <= failing
    assert result["releases"][3]["conclusive"] is False
