"""Runs a query of a board as Grafana's role would, and says what is wrong with what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import asyncpg

from core.database import Connection
from tests.dashboards.grafana import GrafanaError, Query, Range, expand, interpolate

NUMBERS = {"int2", "int4", "int8", "float4", "float8", "numeric"}
TEXTS = {"text", "varchar", "unknown"}
KINDS = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(TEXTS, "text"),
         "timestamptz": "time", "bool": "bool"}  # fmt: skip


class Answer(NamedTuple):
    """What the database says to a query.

    Attributes:
        columns: Kind of each: `time`, `number`, `text`, `bool`, or the type that nothing can draw.
        rows: As they came.
        wrong: What Grafana could not make use of.
    """

    columns: dict[str, str]
    rows: list[asyncpg.Record]
    wrong: list[str]


def render(
    query: Query,
    span: Range,
    chosen: Mapping[str, str | Sequence[str]],
    board: Mapping[str, Any],
    *,
    timescaledb: bool = True,
) -> str:
    """Return the SQL that arrives at the database."""
    text = interpolate(query.text, chosen, board["templating"]["list"])
    return expand(text, query, span, timescaledb=timescaledb)


async def ask(
    conn: Connection,
    query: Query,
    span: Range,
    chosen: Mapping[str, str | Sequence[str]],
    board: Mapping[str, Any],
    *,
    timescaledb: bool = True,
) -> Answer:
    """Run a query and look at what comes back."""
    try:
        text = render(query, span, chosen, board, timescaledb=timescaledb)
        statement = await conn.prepare(text)
        rows = await statement.fetch()
    except (asyncpg.PostgresError, GrafanaError) as error:
        return Answer({}, [], [f"{type(error).__name__}: {error}"])
    attributes = statement.get_attributes()
    columns = {each.name: KINDS.get(each.type.name, each.type.name) for each in attributes}
    wrong = list(_find_wrong(query, columns, rows))
    if len(attributes) != len(columns):
        wrong.append("two columns of one name")
    return Answer(columns, rows, wrong)


def _find_wrong(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    for name, kind in columns.items():
        if kind not in ("time", "number", "text", "bool"):
            yield f"column {name} is {kind}"
    check = {
        "timeseries": _series,
        "stat": _stat,
        "table": _table,
        "barchart": _bars,
        "annotation": _annotation,
        "variable": _variable,
    }[query.kind]
    yield from check(query, columns, rows)


def _series(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    if query.format != "time_series":
        yield "a chart over time asks for a table"
    if next(iter(columns), None) != "time" or columns["time"] not in ("time", "number"):
        yield "the first column is no time"
        return
    texts = [name for name, kind in columns.items() if kind == "text"]
    if len(texts) > 1 or "number" not in list(columns.values())[1:]:
        yield "a series has one name at most, and numbers"
    times = [row["time"] for row in rows]
    if None in times or times != sorted(times):
        yield "time does not ascend"
    keys = [(row["time"], *(row[name] for name in texts)) for row in rows]
    if len(keys) != len(set(keys)):
        yield "two values of one series at one time"
    if any(row[name] is None for row in rows for name in texts):
        yield "a series without a name"


def _stat(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    if list(columns) != ["value"] or columns["value"] not in ("number", "text"):
        yield "a figure is one value"
    if len(rows) > 1:
        yield "a figure has more than one row"


def _table(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    panel = query.owner
    named = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
    hidden = {"deployment_id", "project_id", "from_ms", "to_ms"}
    if missing := named - hidden - columns.keys():
        yield f"properties of columns that are not there: {sorted(missing)}"
    used = set(re.findall(r"__data\.fields\.(\w+)", str(panel["fieldConfig"])))
    if missing := used - columns.keys():
        yield f"links need columns that are not there: {sorted(missing)}"


def _bars(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    by = query.owner["options"]["xField"]
    if columns.get(by) != "text" or set(columns.values()) != {"text", "number"}:
        yield "bars have a name and numbers"
        return
    names = [row[by] for row in rows]
    if len(names) != len(set(names)):
        yield "two bars of one name"


def _annotation(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    wanted = {"time": "time", "timeend": "time", "text": "text", "tags": "text"}
    if not {"time", "text"} <= columns.keys() or any(
        wanted.get(name) != kind for name, kind in columns.items()
    ):
        yield f"a marker has time, timeend, text and tags, not {columns}"
    elif any(row["time"] is None or not row["text"] for row in rows):
        yield "a marker without a time or a text"
    elif any(row.get("timeend") and row["timeend"] < row["time"] for row in rows):
        yield "a marker ends before it begins"


def _variable(query: Query, columns: dict[str, str], rows: list[asyncpg.Record]) -> Iterator[str]:
    if not columns or set(columns.values()) != {"text"}:
        yield "a variable holds texts"
    elif set(columns) != {"__text", "__value"} and len(columns) != 1:
        yield f"a variable is __text and __value, not {list(columns)}"
    elif any(None in row.values() for row in rows):
        yield "a value is missing"
    elif any(one == other for one, other in pairwise(tuple(row.values()) for row in rows)):
        yield "a value is there twice"
