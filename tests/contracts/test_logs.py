"""One event name per fact: always the same level and values, and a line in docs/logs.md."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ROOMS = ("analytics", "api", "core", "ingest", "scheduler", "sql")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
FOREIGN = ("library_said", "any")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|", re.MULTILINE)
VERB = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]")


class Said(NamedTuple):
    place: str
    event: str | None
    level: str
    values: frozenset[str | None]


def calls() -> list[Said]:
    """Every call of a module's `log`; without an event if that is not written out."""
    found = []
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=arguments,
                    keywords=keywords,
                ) if level in LEVELS:
                    first = arguments[0] if arguments else None
                    event = str(first.value) if isinstance(first, ast.Constant) else None
                    values = frozenset(keyword.arg for keyword in keywords)
                    found.append(Said(f"{path.name}:{node.lineno}", event, level, values))
    return found


def test_every_event_is_written_out_and_always_the_same() -> None:
    said = calls()
    assert len(said) > 30
    assert not [each for each in said if each.event is None or not VERB.fullmatch(each.event)]
    shapes = Counter(event for event, *_ in {each[1:] for each in said})
    assert not [each for each in said if shapes[each.event] > 1]


def test_nobody_logs_in_another_way() -> None:
    """No `log` under another name, no level chosen at run time, no `logging.getLogger`."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        text = path.read_text()
        assert not re.search(r"\blog\.(log|msg|bind)\(|= log\.\w+\b(?!\()", text), path
        if path.name != "logs.py":
            assert "logging.getLogger" not in text, path


def test_every_event_is_documented_and_no_other() -> None:
    level = {"exception": "error"}
    said = {(each.event, level.get(each.level, each.level)) for each in calls()}
    rows = ROW.findall((ROOT / "docs" / "logs.md").read_text())
    assert set(rows) == said | {FOREIGN}
    assert len(rows) == len(set(rows))
