"""Dockerfile, compose.yaml and the Kubernetes files: valid, and true to the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from api import health
from core.cli import probes
from core.settings import Settings
from scheduler.telemetry import Telemetry
from scheduler.worker import Options
from tests import debian
from tests.contracts.test_docs import find_command

ROOT = Path(__file__).parents[2]
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
FILES = [ROOT / "Dockerfile", ROOT / "compose.yaml", ROOT / "deploy" / "example.env", *KUBERNETES]
ROLES = {f"SEQPULSE_{role}_PASSWORD" for role in ("APP", "GRAFANA", "ANALYST")}
OF_COMPOSE = {"SEQPULSE_OWNER_PASSWORD"}
"""Only compose knows it, and puts it into a database URL."""
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY$|DATABASE_URL")
ENDS_REQUESTS_SECONDS = 10
"""As `core.cli.serve` tells uvicorn."""


def load(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path.read_text()))


def compose() -> dict[str, Any]:
    document: dict[str, Any] = load(ROOT / "compose.yaml")[0]
    return document


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in KUBERNETES:
        for each in load(path):
            if each["kind"] in ("Deployment", "Job"):
                yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_kubernetes_would_take_it(path: Path) -> None:
    done = run("kubernetes_validate", "--strict", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_would_take_it() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    done = run("check_jsonschema", *schema, str(ROOT / "compose.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_would_take_its_configuration(tmp_path: Path) -> None:
    content = re.sub(r"\$\{\w+:\?\}", "x", compose()["configs"]["prometheus"]["content"])
    (tmp_path / "prometheus.yml").write_text(content)
    promtool = debian.command("promtool", "usr/bin/promtool")
    done = subprocess.run(
        [*promtool, "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_one_that_somebody_reads(path: Path) -> None:
    known = {f"SEQPULSE_{name.upper()}" for name in Settings.model_fields} | ROLES | OF_COMPOSE
    assert set(re.findall(r"\bSEQPULSE_[A-Z0-9_]+", path.read_text())) <= known


def test_every_command_exists() -> None:
    ours = [each for each in compose()["services"].values() if "seqpulse" in each["image"]]
    commands = [each["command"] for each in ours]
    commands += [pod["containers"][0]["args"] for _, pod in pods()]
    dockerfile = (ROOT / "Dockerfile").read_text()
    commands.append(json.loads(dockerfile.rpartition("\nCMD ")[2]))
    assert len(commands) == 8
    for words in commands:
        command, rest = find_command(list(words))
        assert not rest
        assert not hasattr(command, "commands"), words


def test_probes_ask_for_paths_that_exist() -> None:
    paths = {route.path for route in health.router.routes if hasattr(route, "path")}
    worker = probes.create_app(Telemetry(), None)
    ours = {"api": paths, "worker": {route.path for route in worker.routes}}  # type: ignore[attr-defined]
    for _, pod in pods():
        [container] = pod["containers"]
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if container["args"] != ["migrate"]:
                assert container[kind]["httpGet"]["path"] in ours[container["args"][0]]
                assert container[kind]["httpGet"]["port"] == container["ports"][0]["name"]


def test_a_stop_leaves_time_for_what_is_under_way() -> None:
    waits = {"api": float(ENDS_REQUESTS_SECONDS), "worker": Options().grace_seconds}
    for name, pod in pods():
        [container] = pod["containers"]
        if container["args"] == ["migrate"]:
            continue
        before = (
            container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        )
        needed = before + waits[container["args"][0]]
        assert pod["terminationGracePeriodSeconds"] >= needed + 10, name
    for name, seconds_needed in waits.items():
        assert seconds(compose()["services"][name]["stop_grace_period"]) >= seconds_needed + 10


def test_nothing_runs_as_root_or_writes_to_its_image() -> None:
    for _, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        [container] = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"]
    assert re.search(r"^USER \d+:\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name in ("migrate", "roles", "api", "worker"):
        assert compose()["services"][name]["read_only"] is True


def test_no_secret_has_a_default() -> None:
    for name, service in compose()["services"].items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert re.search(r"\$\{\w+:\?\}", value), (name, variable)
    for name, pod in pods():
        for variable in pod["containers"][0]["env"]:
            if SECRET.search(variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], (name, variable)
    example = (ROOT / "deploy" / "example.env").read_text()
    given = dict(line.split("=") for line in example.splitlines() if line[:1].isupper())
    assert set(given.values()) == {""}
    wanted = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text()))
    assert set(given) == wanted


def pinned(path: str) -> dict[str, set[str]]:
    """What a lock says: each pinned package, with the hashes it may have."""
    block = re.compile(r"^(\S+==[^\n]*?)[\s\\]*\n((?:    --hash=[^\n]*\n?)+)", re.MULTILINE)
    found = block.findall((ROOT / path).read_text())
    return {name: set(re.findall(r"sha256:\w+", hashes)) for name, hashes in found}


def test_the_image_has_what_was_tested() -> None:
    image, everything = pinned("requirements-image.lock"), pinned("requirements.lock")
    assert len(image) > 30
    assert image.items() <= everything.items()
    needed = {re.split(r"[=>;\[ ]", each)[0] for each in project()["project"]["dependencies"]}
    assert needed <= {name.partition("==")[0] for name in image}


def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def test_the_image_is_built_from_all_that_belongs_to_the_wheel() -> None:
    wheel = set(project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    wanted = wheel | {"pyproject.toml", "README.md", "LICENSE", "requirements-image.lock"}
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == wanted
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(sent) == wanted
