"""Alerts speak of metrics, labels and sections of the runbook that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from api.checks import NAMES, Status
from scheduler.jobs import JobKind
from scheduler.jobs import Status as Outcome

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "dashboards" / "prometheus" / "rules.yml"
GROUPS: Final = YAML(typ="safe").load(RULES.read_text())["groups"]
ITEMS: Final[list[dict[str, Any]]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS: Final = [item for item in ITEMS if "alert" in item]
RECORDED: Final = {item["record"]: {"target"} for item in ITEMS if "record" in item}
OF_PROMETHEUS: Final[dict[str, set[str]]] = {"up": set(), "process_start_time_seconds": set()}
VALUES: Final[dict[str, set[str]]] = {
    "check": set(NAMES),
    "check status": set(Status),
    "kind": set(JobKind),
    "outcome": set(Outcome),
    "process": {"api", "worker"},
    "state": {"planned", "due", "running"},
    "target": {"scheduler", "collection", "verdict"},
}
WORDS: Final = {"and", "or", "unless", "bool", "offset", "by", "on", "without"}


def documented() -> dict[str, set[str]]:
    """Names of series that docs/metrics.md promises, with their labels."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    found: dict[str, set[str]] = {}
    for name, kind, cell in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", text, re.MULTILINE):
        labels = set(re.findall(r"`(\w+)`", cell))
        if kind == "histogram":
            found |= {f"{name}_count": labels, f"{name}_sum": labels}
            found[f"{name}_bucket"] = labels | {"le"}
        else:
            found[name] = labels
    return found


def faults(expr: str) -> list[str]:
    """What an expression speaks of that is not there."""
    known = documented() | RECORDED | OF_PROMETHEUS
    bare = re.sub(
        r'"[^"]*"|\[[^]]*\]|\{[^}]*\}|\b(by|on|without) ?\([^)]*\)|(?<!:)\b\d+[smhd]\b', " ", expr
    )
    names = set(re.findall(r"[a-z_][\w:]*(?![\w:]|\s*\()", bare)) - WORDS
    found = [name for name in sorted(names) if name not in known]
    for name, inside in re.findall(r"([a-z_][\w:]*)\{([^}]*)\}", expr):
        for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', inside):
            if label not in known.get(name, set()) | {"job", "instance"}:
                found.append(f"{name}{{{label}}}")
            values = VALUES.get(
                "check status" if "check" in inside and label == "status" else label
            )
            if operator in ("=", "!=") and values is not None and value not in values:
                found.append(f"{label}={value}")
    return found


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.get("alert") or item["record"])
def test_it_speaks_of_what_there_is(item: dict[str, Any]) -> None:
    assert not faults(item["expr"])


@pytest.mark.parametrize(
    "expr",
    [
        "seqpulse_workerz > 0",
        "max(seqpulse_jobs_late) > 0",
        "rate(seqpulse_verdict_latency_seconds[5m]) > 0",
        'seqpulse_jobs{status="due"}',
        'seqpulse_jobs{state="waiting"}',
        'seqpulse_check_status{check="heart", status="ok"}',
        'seqpulse_check_status{check="heartbeat", status="broken"}',
        "seqpulse:bad_ratio:2h > 1",
    ],
)
def test_a_wrong_name_is_found(expr: str) -> None:
    assert faults(expr)


def test_every_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    for each in ALERTS:
        told = each["annotations"]
        path, _, anchor = told["runbook_url"].partition("#")
        assert path == "docs/runbook.md"
        assert anchor == each["alert"].lower()
        assert anchor in anchors
        assert told["summary"]
        assert told["description"]
        assert each["labels"]["severity"] in ("page", "ticket")
        assert each["for"]
    named = {title for title in titles if title.startswith("SeqPulse")}
    assert named == {each["alert"] for each in ALERTS}


def test_sections_that_the_runbook_points_to_exist() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    told = page.partition("## Alerts")[2]
    titles = set(re.findall(r"^#+ (.+)$", page, re.MULTILINE))
    assert set(re.findall(r"\*([A-Z][\w ]+)\*", told)) <= titles
