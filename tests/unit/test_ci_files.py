"""What is copied into other people's pipelines: valid by their schemas, and its shell runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from seqpulse_gate import Exit
from tests.unit.test_gate import ID, KEY, OK, answer, scripted

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "ci" / "github" / "action.yml"
COMPONENT = ROOT / "ci" / "gitlab" / "gate.yml"
PAGE = (ROOT / "docs" / "ci.md").read_text()
BAD = {**OK, "verdict": "rollback_recommended", "reason_code": "severe_regression"}


def read(text: str) -> Any:  # noqa: ANN401 - whatever a file holds
    return YAML(typ="safe").load(text)


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def component(**inputs: str) -> str:
    """The job of the component as GitLab includes it."""
    head, _, body = COMPONENT.read_text().partition("\n---\n")
    known = {name: each["default"] for name, each in read(head)["spec"]["inputs"].items()}
    assert not inputs.keys() - known.keys()
    values = {**known, **inputs}
    return re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda found: str(values[found[1]]), body)


def check(schema: str, text: str, folder: Path, *options: str) -> None:
    path = folder / "checked.yml"
    path.write_text(text)
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*program, *options, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run(script: str, folder: Path, url: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script as runners do: bash that stops at the first error."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "SEQPULSE_API_KEY": KEY,
            "SEQPULSE_BASE_URL": url,
            "SEQPULSE_DEPLOYMENT_ID": ID,
            **env,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_all_are_valid_by_the_schemas_of_those_who_read_them(tmp_path: Path) -> None:
    check("github-actions", ACTION.read_text(), tmp_path)
    workflow, pipeline = examples("yaml")
    check("github-workflows", workflow, tmp_path)
    transform = ("--data-transform", "gitlab-ci")
    check("gitlab-ci", pipeline, tmp_path, *transform)
    check("gitlab-ci", component(), tmp_path, *transform)
    check("gitlab-ci", COMPONENT.read_text().partition("\n---\n")[0], tmp_path, *transform)
    with pytest.raises(AssertionError):
        check("github-actions", ACTION.read_text().replace("composite", "composit"), tmp_path)


def test_the_workflow_asks_the_action_for_what_it_has() -> None:
    action, workflow = read(ACTION.read_text()), read(examples("yaml")[0])
    [used] = [
        step
        for step in workflow["jobs"]["deploy"]["steps"]
        if step.get("uses", "").count("seqpulse")
    ]
    assert used["with"].keys() <= action["inputs"].keys()
    assert {name for name, each in action["inputs"].items() if each.get("required")} <= used[
        "with"
    ].keys()


def test_the_shell_of_the_action_never_holds_a_value() -> None:
    [step] = read(ACTION.read_text())["runs"]["steps"]
    assert "${{" not in step["run"]


@pytest.mark.parametrize("advisory", ["true", "false"])
def test_the_action_runs(tmp_path: Path, advisory: str) -> None:
    action = read(ACTION.read_text())
    [step] = action["runs"]["steps"]
    with scripted(answer(200, BAD)) as server:
        given = {
            "api-key": KEY,
            "deployment": ID,
            "url": server.url,
            "advisory": advisory,
            "accept-inconclusive": "true",
            "junit": "a file.xml",
            "report": "$(touch forged).html",
        }
        inputs = {name: each.get("default", "") for name, each in action["inputs"].items()}
        env = dict(expand(step["env"], {**inputs, **given}, str(ACTION.parent)))
        output = tmp_path / "output"
        done = run(step["run"], tmp_path, "", **env, GITHUB_OUTPUT=str(output))
    assert done.returncode == (0 if advisory == "true" else Exit.ROLLBACK)
    assert {path.name for path in tmp_path.iterdir()} == {
        "output",
        "a file.xml",
        "$(touch forged).html",
    }
    written = set(re.findall(r"^(\w+)<<", output.read_text(), re.MULTILINE))
    asked = re.findall(r"outputs\.(\w+)", str(action["outputs"]))
    assert asked
    assert set(asked) <= written


def expand(env: dict[str, str], inputs: dict[str, str], path: str) -> Iterable[tuple[str, str]]:
    for name, value in env.items():
        found = re.fullmatch(r"\$\{\{ (?:inputs\.([\w-]+)|github\.action_path) \}\}", value)
        assert found, value
        yield name, inputs[found[1]] if found[1] else path


def test_the_component_runs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "seqpulse_gate.py", tmp_path)
    [job] = read(component(timeout="30", options="--accept-inconclusive")).values()
    with scripted(answer(200, BAD)) as server:
        done = run("\n".join(job["script"]), tmp_path, server.url)
    assert done.returncode == Exit.ROLLBACK, done.stderr
    reports = job["artifacts"]["reports"]
    written = {path.name for path in tmp_path.iterdir()}
    assert {*job["artifacts"]["paths"], *reports.values()} <= written
    later = read(examples("yaml")[1])["rollback"]["script"]
    (tmp_path / "rollback.sh").write_text("#!/bin/sh\necho rolled back\n")
    (tmp_path / "rollback.sh").chmod(0o755)
    variables = dict(
        line.split("=", 1) for line in (tmp_path / reports["dotenv"]).read_text().splitlines()
    )
    undone = run("\n".join(later), tmp_path, server.url, **{**variables, "SEQPULSE_BASE_URL": ""})
    assert undone.stdout == "rolled back\n"


def test_the_shell_of_the_jenkins_snippet_runs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "seqpulse_gate.py", tmp_path)
    [snippet] = examples("groovy")
    [script] = re.findall(r"'''(.*?)'''", snippet, re.DOTALL)
    with scripted(answer(200, BAD)) as server:
        done = run(script, tmp_path, server.url, DEPLOYMENT_ID=ID)
    assert done.returncode == Exit.ROLLBACK, done.stderr
    for kept in re.findall(r"(?:testResults|artifacts): '([^']+)'", snippet):
        assert (tmp_path / kept).exists()


CURL = """#!/bin/sh
printf '%s\\n' "$@" > called
echo '{"deployment_id": "the-id"}'
"""


def test_the_shell_of_the_workflow_calls_trigger_and_finish(tmp_path: Path) -> None:
    if not shutil.which("jq"):
        pytest.skip("needs jq")
    steps = read(examples("yaml")[0])["jobs"]["deploy"]["steps"]
    trigger, finish = [step["run"] for step in steps if "curl" in step.get("run", "")]
    (tmp_path / "curl").write_text(CURL)
    (tmp_path / "curl").chmod(0o755)
    output = tmp_path / "output"
    branch = 'x", "env": "$(touch forged)'
    env = {"GITHUB_REF_NAME": branch, "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}
    done = run(trigger, tmp_path, "http://api", GITHUB_OUTPUT=str(output), **env)
    assert (done.returncode, output.read_text()) == (0, "deployment=the-id\n")
    called = (tmp_path / "called").read_text()
    assert "http://api/deployments/trigger" in called
    assert '"env": "prod"' in called
    done = run(finish, tmp_path, "http://api", DEPLOYMENT="the-id", RESULT="failed")
    assert '{"deployment_id": "the-id", "result": "failed"}' in (tmp_path / "called").read_text()
    assert not (tmp_path / "forged").exists()
