"""`seqpulse search` on a past of which somebody said what did harm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.database import Connection

GENERATE = (Path(__file__).parents[1] / "integration/many_deployments.sql").read_text()
GRID = """
traffic_drop_ratio = [0.5, 0.99]

[thresholds]
latency_p95 = [200, 5]
"""


@pytest.fixture
async def url(database_url: str, conn: Connection) -> str:
    """Eight services with five deployments each; the fifth of each tripled the latency."""
    await conn.execute("SELECT setseed(0.5)")
    await conn.execute(GENERATE.replace(":services", "8").replace(":each", "5"))
    await conn.execute(
        "INSERT INTO feedback (deployment_id, harmful, given_by) "
        "SELECT id, branch = 'v5', 'test' FROM deployments"
    )
    return database_url


def search(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "search", "--policy", "reference-v2", *arguments],
        env={**os.environ, "SEQPULSE_DATABASE_URL": url, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rows(output: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in output.splitlines()
        if line.startswith("│")
    ]


async def test_the_numbers_that_keep_the_target_are_found(url: str, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    done = search(url, "--grid", str(grid))
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert [row[:2] for row in found[:2]] == [["0.5", "200"], ["0.99", "200"]]
    assert re.fullmatch(r"0 of \d+ \(0\.0%\)", found[0][2])
    assert {row[1] for row in found[2:]} == {"5"}
    assert not any(row[2].startswith("0 of") for row in found[2:])
    assert done.stdout.endswith("[rules]\ntraffic_drop_ratio = 0.5\nthresholds.latency_p95 = 200\n")


async def test_the_policy_as_it_is_can_be_measured(url: str) -> None:
    done = search(url, "--since", "2026-03-02T12:00:00", "--env", "prod")
    assert re.match(r"\d+ labelled deployments: \d+ harmless, \d+ harmful\n", done.stdout)
    assert len(rows(done.stdout)) == 1
    assert "[rules]" not in done.stdout


async def test_where_nothing_keeps_the_target_it_says_so(url: str, tmp_path: Path) -> None:
    grid = tmp_path / "grid.json"
    grid.write_text('{"thresholds": {"latency_p95": [5]}}')
    done = search(url, "--grid", str(grid), "--most-false-alarms", "0.1")
    assert done.stdout.endswith("none keeps the false alarms within 10 %\n")


@pytest.mark.parametrize(
    ("text", "arguments", "word"),
    [
        ("no_such = [1]", [], "no_such"),
        ("thresholds = 1", [], "list of values to try"),
        ("not toml", [], "grid.toml"),
        ("", ["--project", "nobody"], "no project nobody"),
        ("", ["--env", "nowhere"], "no deployment is known to be harmless"),
    ],
)
async def test_what_is_wrong_is_one_clear_line(
    url: str, tmp_path: Path, text: str, arguments: list[str], word: str
) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(text)
    done = search(url, "--grid", str(grid), *arguments)
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("seqpulse: ")
    assert word in line
