"""Every query of every board, run by Grafana's role with its macros expanded as Grafana does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from core.database import Connection, connect
from tests.dashboards import checks
from tests.dashboards.conftest import BOARDS
from tests.dashboards.grafana import ALL, Query, Range, queries
from tests.dashboards.seeded import pick

EVERY = [query for board in BOARDS.values() for query in queries(board)]
HOSTILE = """'; DROP TABLE projects; -- "\\ $$ ) ${env} %s"""


class Past(NamedTuple):
    """What is there to be chosen.

    Attributes:
        deployment: One with something on every panel.
        hour: Around it.
        projects, envs: All.
    """

    deployment: UUID
    hour: Range
    projects: list[str]
    envs: list[str]


@pytest.fixture(scope="module")
def past(seeded_url: str) -> Past:
    async def look() -> Past:
        deployment, hour = await pick(seeded_url)
        conn = await connect(seeded_url)
        rows = await conn.fetch(
            "SELECT project_id::text AS id, env FROM report.services ORDER BY 1"
        )
        await conn.close()
        ids, envs = ({row[name] for row in rows} for name in ("id", "env"))
        return Past(deployment, hour, sorted(ids), sorted(envs))

    return asyncio.run(look())


def choices(past: Past) -> dict[str, dict[str, Any]]:
    """What readers choose: one of everything, several, all, and what nobody expects."""
    deployment = str(past.deployment)
    return {
        "all": {"project": ALL, "env": ALL, "severity": ALL, "rule": ALL, "deployment": deployment},
        "several": {
            "project": past.projects[:3],
            "env": past.envs,
            "severity": ["warning", "critical"],
            "rule": ["a'b", "x"],
            "deployment": deployment,
        },
        "one": {
            "project": past.projects[0],
            "env": past.envs[0],
            "severity": "critical",
            "rule": "x",
            "deployment": deployment,
        },
        "odd": {
            "project": ALL,
            "env": ["o'brien\"s", HOSTILE],
            "severity": [HOSTILE],
            "rule": [HOSTILE],
            "deployment": "",
        },
    }


@pytest.mark.parametrize("name", BOARDS)
async def test_every_query_gives_what_its_panel_can_draw(
    grafana: Connection, past: Past, name: str
) -> None:
    now = datetime.now(UTC)
    spans = [past.hour, *(Range.ending(now, **each) for each in ({"days": 1}, {"days": 90}))]
    wrong, asked = [], 0
    for query in (each for each in EVERY if each.board == name):
        for label, chosen in choices(past).items():
            for span, timescaledb in product(spans, (True, False)):
                answer = await checks.ask(
                    grafana, query, span, chosen, BOARDS[name], timescaledb=timescaledb
                )
                asked += 1
                wrong += [f"{query.name} ({label}): {each}" for each in answer.wrong]
    assert not wrong
    assert asked >= 24 * 5


@pytest.mark.parametrize("query", EVERY, ids=lambda query: query.name)
async def test_nothing_is_empty_where_something_happened(
    grafana: Connection, past: Past, query: Query
) -> None:
    """Neither a panel nor a column of one; in one hour a board has less to say than in months."""
    long = Range.ending(datetime.now(UTC) + timedelta(hours=1), days=90)
    seen: set[str] = set()
    columns: set[str] = set()
    for span in (past.hour, long):
        answer = await checks.ask(grafana, query, span, choices(past)["all"], BOARDS[query.board])
        assert not answer.wrong
        columns |= answer.columns.keys()
        seen |= {n for row in answer.rows for n, value in row.items() if value is not None}
    assert columns
    assert seen == columns


@pytest.mark.parametrize("name", BOARDS)
async def test_on_an_empty_database_every_query_is_legal(on_empty: Connection, name: str) -> None:
    """Nothing to choose from: All stays chosen, and a variable for one value is empty."""
    chosen = {"project": ALL, "env": ALL, "severity": ALL, "rule": ALL, "deployment": ""}
    span = Range.ending(datetime.now(UTC), days=90)
    for query in (each for each in EVERY if each.board == name):
        answer = await checks.ask(on_empty, query, span, chosen, BOARDS[name])
        assert not answer.wrong, query.name
        if query.kind != "stat":
            assert not answer.rows, query.name


CHART = """SELECT $__timeGroupAlias(o.finished_at, $__interval), o.env AS metric, count(*) AS value
  FROM report.deployment_overview AS o WHERE $__timeFilter(o.finished_at)
   AND o.env IN (${env:sqlstring}) GROUP BY 1, 2 ORDER BY 1"""
DEFECTS = {
    "wrong column": ("timeseries", ("o.env AS", "o.enviroment AS"), "UndefinedColumn"),
    "unsorted": ("timeseries", ("ORDER BY 1", "ORDER BY 1 DESC"), "does not ascend"),
    "unquoted variable": ("timeseries", ("${env:sqlstring}", "${env}"), "Error"),
    "quoted twice": ("timeseries", ("${env:sqlstring}", "'${env:sqlstring}'"), "Error"),
    "interval column": (
        "timeseries",
        ("count(*)", "max(o.finished_at - o.triggered_at)"),
        "interval",
    ),
    "array column": ("timeseries", ("count(*)", "max(o.failed_metrics)"), "text[]"),
    "unknown macro": ("timeseries", ("$__timeFilter", "$__timefilter"), "unknown macro"),
    "a call inside a macro": ("timeseries", ("(o.finished_at,", "(now(),"), "Error"),
    "no time": ("timeseries", ("$__timeGroupAlias", "$__timeGroup"), ""),
    "a series twice": ("timeseries", ("GROUP BY 1, 2", "GROUP BY 1, 2, o.project"), "two values"),
    "base table": ("timeseries", ("report.deployment_overview", "deployments"), "Privilege"),
    "two figures": ("stat", ("count(*) AS value", "count(*) AS number"), "one value"),
    "no bars": ("barchart", ("count(*) AS value", "'x' AS value"), "bars"),
    "marker": ("annotation", ("count(*) AS value", "count(*) AS n"), "marker"),
    "variable": ("variable", ("count(*) AS value", "count(*) AS n"), "variable"),
    "link": ("table", ("o.env AS metric", "o.env"), "links need"),
    "property": ("table", ("o.env AS metric", "o.env"), "properties"),
}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_planted_defect_is_caught(grafana: Connection, past: Past, defect: str) -> None:
    kind, (good, bad), said = DEFECTS[defect]
    owner = {
        "options": {"xField": "metric"},
        "fieldConfig": {
            "defaults": {"links": [{"url": "?x=${__data.fields.metric}"}]},
            "overrides": [{"matcher": {"id": "byName", "options": "metric"}, "properties": []}],
        },
    }
    whole = Query("overview", "planted", "timeseries", CHART, "time_series", 100, "1m", owner)
    assert good in CHART
    broken = replace(whole, kind=kind, text=CHART.replace(good, bad))
    span = Range.ending(datetime.now(UTC), days=90)
    chosen = choices(past)["several"]
    assert not (await checks.ask(grafana, whole, span, chosen, BOARDS["overview"])).wrong
    found = (await checks.ask(grafana, broken, span, chosen, BOARDS["overview"])).wrong
    if defect == "no time":  # Grafana takes a group before a comma for the one with a name
        assert not found
    else:
        assert said in " ".join(found)
        assert found
