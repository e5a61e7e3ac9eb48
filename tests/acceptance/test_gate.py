"""The gate against a live API: every exit code, on a terminal and off it."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

import seqpulse_gate
from core.database import Connection
from core.ids import new_id
from core.judgement import Evidence, Judgement
from core.types import Attribution, DeploymentResult, Hint, Metric, Severity, Verdict
from seqpulse_gate import Exit
from sql import deployments, verdicts
from tests.acceptance.installation import Installation

COPIED = (sys.executable, "-P", seqpulse_gate.__file__)
PACKAGED = (sys.executable, "-m", "core.cli", "gate")

SLOW = Evidence(
    Metric.LATENCY_P95,
    "baseline",
    30,
    5,
    100.0,
    250.0,
    130.0,
    1.0,
    0.6,
    True,
    Attribution.INTRODUCED,
)
HINT = Hint("slow", Severity.WARNING, "It got slow", "p95 went up.", ("Look.",), (SLOW.metric,))


async def finish(conn: Connection, project_id: UUID, branch: str) -> UUID:
    """A deployment that is watched."""
    created, _ = await deployments.create(
        conn, project_id, env="prod", branch=branch, idempotency_key=branch, abandoned_seconds=3600
    )
    await deployments.mark_finished(
        conn,
        created.id,
        project_id,
        result=DeploymentResult.SUCCESS,
        post_slots=5,
        slot_seconds=1,
    )
    return created.id


async def decide(
    conn: Connection, deployment_id: UUID, verdict: Verdict, reason: str, *, conclusive: bool = True
) -> None:
    deployment, as_of = await deployments.load(conn, deployment_id)
    slow = replace(SLOW, failed=verdict is not Verdict.OK and conclusive)
    said = Judgement(
        deployment.id, "seqpulse-v1", verdict, conclusive, reason, 0.9, 1.0, (slow,), as_of
    )
    await verdicts.save(conn, [(said, [HINT])])


@pytest.fixture
async def project_id(installation: Installation) -> UUID:
    await installation.start_api()
    answer = await installation.http.post(
        f"{installation.api_url}/projects",
        json={"name": "shop"},
        headers={"Authorization": f"Bearer {installation.env['SEQPULSE_OPERATOR_TOKEN']}"},
    )
    installation.project = answer.json()
    return UUID(installation.project["id"])


def environment(installation: Installation, **changes: str) -> dict[str, str]:
    return {
        "SEQPULSE_BASE_URL": installation.api_url,
        "SEQPULSE_API_KEY": installation.project["api_key"],
        "TERM": "xterm",
        **changes,
    }


async def run(
    env: dict[str, str], *arguments: str, program: tuple[str, ...] = COPIED, terminal: bool = False
) -> tuple[int, str]:
    """Run the gate; return its exit code and what it printed."""
    if not terminal:
        done = await asyncio.create_subprocess_exec(
            *program, *arguments, env=env, stdout=subprocess.PIPE
        )
        printed, _ = await done.communicate()
        return done.returncode or 0, printed.decode()
    ours, theirs = pty.openpty()
    try:
        done = await asyncio.create_subprocess_exec(*program, *arguments, env=env, stdout=theirs)
        code = await done.wait()
        return code, os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_every_exit_code_with_and_without_a_terminal(
    installation: Installation, conn: Connection, project_id: UUID
) -> None:
    good, slow, bad, blind, open_ = [
        str(await finish(conn, project_id, branch)) for branch in ("a", "b", "c", "d", "e")
    ]
    await decide(conn, UUID(good), Verdict.OK, "no_regression")
    await decide(conn, UUID(slow), Verdict.WARNING, "regression")
    await decide(conn, UUID(bad), Verdict.ROLLBACK_RECOMMENDED, "severe_regression")
    await decide(conn, UUID(blind), Verdict.WARNING, "no_post_samples", conclusive=False)
    env = environment(installation)
    nobody = {**env, "SEQPULSE_API_KEY": f"sp_{new_id()}_nonsense"}
    nowhere = {**env, "SEQPULSE_BASE_URL": "http://127.0.0.1:9"}
    cases: list[tuple[dict[str, str], tuple[str, ...], Exit]] = [
        (env, (good,), Exit.OK),
        (env, (slow,), Exit.OK),
        (env, (slow, "--fail-on", "warning"), Exit.WARNING),
        (env, (bad,), Exit.ROLLBACK),
        (env, (bad, "--accept-inconclusive", "--fail-on", "rollback"), Exit.ROLLBACK),
        (env, (blind,), Exit.INCONCLUSIVE),
        (env, (blind, "--fail-on", "warning"), Exit.INCONCLUSIVE),
        (env, (blind, "--accept-inconclusive"), Exit.OK),
        (env, (blind, "--accept-inconclusive", "--fail-on", "warning"), Exit.WARNING),
        (env, (open_, "--timeout", "1"), Exit.TIMEOUT),
        (env, ("nonsense",), Exit.USAGE),
        (env, (str(new_id()),), Exit.REFUSED),
        (nobody, (good,), Exit.REFUSED),
        (nowhere, (good, "--timeout", "1"), Exit.UNREACHABLE),
    ]
    for given, arguments, code in cases:
        plain, coloured, decent, advised = await asyncio.gather(
            run(given, *arguments),
            run(given, *arguments, terminal=True),
            run({**given, "NO_COLOR": "1"}, *arguments, terminal=True),
            run(given, *arguments, "--advisory"),
        )
        assert plain[0] == coloured[0] == decent[0] == code, arguments
        assert plain[1].endswith(f"(exit {int(code)})\n")
        assert (
            coloured[1] == f"\x1b[{seqpulse_gate.COLOURS.get(code, 31)}m{plain[1][:-1]}\x1b[0m\r\n"
        )
        assert decent[1] == f"{plain[1][:-1]}\r\n"
        assert advised == (0, plain[1].replace("(exit", "(advisory: would be exit"))
    assert {code for _, _, code in cases} == set(Exit)


async def test_a_verdict_that_comes_while_it_is_awaited_is_told_in_every_form(
    installation: Installation, conn: Connection, project_id: UUID, tmp_path: Path
) -> None:
    deployment = await finish(conn, project_id, "main")
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    env = environment(
        installation, GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(tmp_path / "output")
    )
    gate = await asyncio.create_subprocess_exec(
        *PACKAGED,
        *(str(deployment), f"--junit={junit}"),
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert gate.stdout is not None
    assert gate.stderr is not None
    if b"waiting" not in await gate.stderr.readline():
        raise AssertionError("it did not wait")
    await decide(conn, deployment, Verdict.ROLLBACK_RECOMMENDED, "severe_regression")
    assert (await gate.stdout.read()).decode() == (
        "seqpulse: rollback_recommended: severe regression - latency p95 250 ms against 100 ms "
        "before (exit 20)\n"
    )
    assert await gate.wait() == Exit.ROLLBACK
    assert [case.get("name") for case in ET.parse(junit).iter("testcase")] == [
        "verdict",
        "latency p95",
    ]
    assert "Deployment of `main` to `prod`." in summary.read_text()
    assert "| **latency p95** | 100 ms | 250 ms | introduced |" in summary.read_text()
    assert "rollback" in (tmp_path / "output").read_text()
