"""What the docs promise must be what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from typer.main import get_command

import seqpulse_gate
from analytics.catalogue import CATALOGUE
from analytics.reasons import ReasonCode
from api import afterwards, deployments, events, lookups, problems, verdicts
from core.cli import app
from core.settings import Settings
from core.types import CollectCode

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def documented(page: str) -> set[str]:
    """The code words in the first column of a page's tables."""
    return set(re.findall(r"^\| `([^`]+)`", (DOCS / page).read_text(), re.MULTILINE))


def test_every_setting_is_documented_and_no_other() -> None:
    names = {f"SEQPULSE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in documented("settings.md") if name.startswith("SEQ")} == names


def test_every_option_of_the_gate_is_documented() -> None:
    text = (DOCS / "ci.md").read_text()
    options = seqpulse_gate.parser()._option_string_actions
    assert not [
        name for name in options if f"`{name}`" not in text and name not in ("-h", "--help")
    ]


def test_every_exit_code_of_the_gate_is_documented() -> None:
    text = (DOCS / "ci.md").read_text()
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert sorted(codes) == sorted(seqpulse_gate.Exit)


def test_every_collect_code_is_documented() -> None:
    assert set(CollectCode) <= documented("errors.md")


def test_every_reason_code_is_documented() -> None:
    text = (DOCS / "method.md").read_text()
    assert not [code for code in ReasonCode if f"`{code}`" not in text]


def test_every_hint_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DOCS / "hints.md").read_text(), re.MULTILINE)
    assert {(rule.id, rule.severity or "depends") for rule in CATALOGUE} == set(rows)


def test_every_problem_is_documented_with_its_status_and_no_other() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| (\d+) \|", (DOCS / "problems.md").read_text(), re.MULTILINE
    )
    kinds = {(kind.type.removeprefix(problems.TYPE), str(kind.status)) for kind in problems.Kind}
    assert set(rows) == kinds


def test_every_call_about_deployments_is_documented_and_no_other() -> None:
    rows = re.findall(
        r"^\| `(?:GET|POST) /[^`]+` \| \w+ \|", (DOCS / "api.md").read_text(), re.MULTILINE
    )
    told = {tuple(re.findall(r"`(\w+) ([^`]+)`", row)[0]) for row in rows}
    rooms = (verdicts, deployments, events, afterwards, lookups)
    routes = [route for room in rooms for route in room.router.routes]
    assert told == {(next(iter(route.methods)), route.path) for route in routes}


def commands(page: Path) -> list[list[str]]:
    """What a page tells readers to type, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines()]
    found = [re.search(r"(?:^|/)seqpulse (.*)", line) for line in lines]
    return [shlex.split(match[1].removesuffix("\\")) for match in found if match]


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words begin with, and what is left of them."""
    command: Any = get_command(app)
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    return command, rest


def test_commands_in_the_docs_exist_and_so_do_their_options() -> None:
    wrong, seen = [], 0
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        for words in commands(page):
            command, rest = find_command(words)
            names = {name for each in command.params for name in each.opts}
            names |= (
                set(seqpulse_gate.parser()._option_string_actions) if words[0] == "gate" else set()
            )
            unknown = {word.partition("=")[0] for word in rest if re.match(r"--\w", word)} - names
            incomplete = hasattr(command, "commands") and not command.invoke_without_command
            if incomplete or unknown:
                wrong.append(f"{page.name}: seqpulse {' '.join(words)}")
            seen += 1
    assert not wrong
    assert seen > 30


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    dead = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not dead
