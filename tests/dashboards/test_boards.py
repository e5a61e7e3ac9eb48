"""The committed boards: as the code builds them, nothing the SDK would lose, well laid out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import build
from dashboards.frame import Board
from tests.dashboards.conftest import BOARDS, FOLDER
from tests.dashboards.grafana import Query, queries

UIDS = {"overview", "deployment", "sdh", "projects", "accuracy"}
EVERY = [query for board in BOARDS.values() for query in queries(board)]
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]


@pytest.mark.parametrize("board", build.BOARDS, ids=lambda board: board.name)
def test_what_is_committed_is_what_the_code_builds(board: Board) -> None:
    """If not: `make dashboards`."""
    assert (FOLDER / f"{board.name}.json").read_text() == build.write(board)


def test_another_process_builds_the_same(tmp_path: Path) -> None:
    """Whatever order its sets are in."""
    script = (
        "import pathlib, sys\nfrom dashboards import build\n"
        "build.FOLDER = pathlib.Path(sys.argv[1])\nbuild.main()"
    )
    subprocess.run([sys.executable, "-P", "-c", script, tmp_path], check=True)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == len(build.BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_the_sdk_knows_everything_in_a_board(name: str) -> None:
    """What it does not know it would lose, and so would a Grafana of its schema."""
    board = Dashboard.from_json(json.loads(json.dumps(BOARDS[name])))
    for annotation in board.annotations.list_val or []:
        annotation.placement = None  # type: ignore[assignment]  # the SDK reads none and writes one
    assert json.loads(json.dumps(board, cls=JSONEncoder)) == BOARDS[name]


def test_uids_are_pinned() -> None:
    """Links of others lead to them: never rename one."""
    assert {board["uid"] for board in BOARDS.values()} == {f"seqpulse-{name}" for name in UIDS}


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_a_number_each_and_lie_beside_each_other(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["w"] >= 4
        assert place["h"] >= 4
        assert place["x"] + place["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=lambda each: str(each)[:20])
def test_every_panel_explains_itself(name: str, panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert panel["targets"]
    for mapping in defaults.get("mappings", []):
        assert all(option["text"] for option in mapping["options"].values())
    assert len({p["title"] for n, p in PANELS if n == name}) == len(BOARDS[name]["panels"])


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_asks_the_chosen_database(name: str) -> None:
    """dashboard-linter: template-datasource-rule, panel-datasource-rule, target-...; for SQL."""
    board = BOARDS[name]
    wanted = {"type": "grafana-postgresql-datasource", "uid": "${DS}"}
    [source] = [each for each in board["templating"]["list"] if each["type"] == "datasource"]
    assert source["name"] == "DS"
    assert source["query"] == wanted["type"]
    asked = [each for each in board["templating"]["list"] if each["type"] == "query"]
    asked += board["annotations"]["list"]
    asked += board["panels"]
    asked += [target for panel in board["panels"] for target in panel["targets"]]
    assert all(each["datasource"] == wanted for each in asked)


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_is_used_and_there_is_no_other(name: str) -> None:
    board = BOARDS[name]
    defined = [each["name"] for each in board["templating"]["list"]]
    assert len(set(defined)) == len(defined)
    text = json.dumps(board)
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", text)) - {"__url_time_range"}
    assert used == set(defined)


@pytest.mark.parametrize("query", EVERY, ids=lambda query: query.name)
def test_a_query_is_safe_and_lean(query: Query) -> None:
    text = query.text
    assert not re.search(r"\$\{\w+\}|\$(?!\{|__)\w", text), "a variable without quotes"
    assert all(each == "sqlstring" for each in re.findall(r"\$\{\w+:(\w+)\}", text))
    assert not re.search(r"SELECT\s+(\w+\.)?\*|, *\w+\.\*", text), "columns by name"
    assert "--" not in text
    assert not re.search(r"\{(?!\w+:sqlstring\})", text), "a fragment that was not filled in"
    assert ";" not in text.replace("'; '", "")
    assert not re.search(r"\$__\w+\([^)]*\(", text), "an argument ends at the first parenthesis"
    tables = set(re.findall(r"\b(?:FROM|JOIN)\s+(?!LATERAL)([a-z]\w*(?:\.\w+)?)", text))
    ctes = set(re.findall(r"(?:WITH|,)\s+(\w+) AS \(", text))
    clauses = {"o", "d", "j"}  # extract(epoch FROM o.x)
    outside = {t for t in tables - ctes if not t.startswith("report.")}
    assert not {t for t in outside if t.split(".")[0] not in clauses}


@pytest.mark.parametrize("name", BOARDS)
def test_deploys_are_marked_and_boards_lead_to_each_other(name: str) -> None:
    board = BOARDS[name]
    assert board["annotations"]["list"][0]["name"] == "Deploys"
    assert all(each["enable"] and "placement" not in each for each in board["annotations"]["list"])
    [link] = board["links"]
    assert (link["type"], link["tags"]) == ("dashboards", ["seqpulse"])
    assert "seqpulse" in board["tags"]
    linked = set(re.findall(r"/d/seqpulse-(\w+)\?", json.dumps(board)))
    assert linked <= UIDS
    assert linked
    if name != "projects":
        assert "/deployments/${__data.fields.deployment_id}/report" in json.dumps(board)
