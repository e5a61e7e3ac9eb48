"""docs/sql.md, made of the comments in the database and the heads of the recipes.

`python -m sql.handbook` prints it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias

import asyncpg

from core import logs
from core.database import Connection, connect
from sql import recipes
from sql.recipes import Recipe
from sql.schema import private_server
from sql.scratch import scratch_database
from sql.texts import FOLDER, query

TEMPLATE: Final = FOLDER / "handbook.md"
PAGE: Final = FOLDER.parent / "docs" / "sql.md"
TIMES: Final = ("finished_at", "slot_at", "bucket_at", "day", "week", "minute", "created_at")
"""Columns to filter on, the best of those a view has first."""
SMALL: Final = ("targets", "service_status")
"""A row per service: nothing to filter."""
KEYS: Final = ("project_id", "env", "deployment_id")
TYPES: Final = {"timestamp with time zone": "timestamptz", "double precision": "float8"}

Columns: TypeAlias = Sequence[asyncpg.Record]


async def write(conn: Connection) -> str:
    """Return the page about the views of a database."""
    rows = await conn.fetch(query("schema.report"))
    views = {name: list(group) for name, group in groupby(rows, key=lambda row: row["view"])}
    functions = await conn.fetch(query("schema.report_functions"))
    parts = {
        "index": _index(views),
        "picture": _draw(views),
        "functions": "\n".join(_function(row) for row in functions),
        "views": "\n\n".join(_view(name, columns) for name, columns in views.items()),
        "recipes": "\n\n".join(_recipe(each) for each in recipes.shipped()),
    }
    text = TEMPLATE.read_text()
    for name, part in parts.items():
        text = text.replace(f"{{{{{name}}}}}", part)
    return text


def find_time(columns: Columns) -> str | None:
    """Return the column of a view to filter on, None if it has no time."""
    names = {row["name"] for row in columns if row["view"] not in SMALL}
    return next((name for name in TIMES if name in names), None)


def _index(views: Mapping[str, Columns]) -> str:
    lines = ["| view | a row | filter on |", "|---|---|---|"]
    for name, columns in views.items():
        time = find_time(columns)
        filtered = f"`{time}`" if time else ""
        lines.append(f"| [`{name}`](#{name}) | {_cell(columns[0]['meaning'])} | {filtered} |")
    return "\n".join(lines)


def _draw(views: Mapping[str, Columns]) -> str:
    """Return the keys of all views and what they point to, as Mermaid takes it."""
    lines = ["erDiagram"]
    for name, columns in views.items():
        keys = [row for row in columns if row["name"] in KEYS]
        inside = " ".join(f"{_type(row['type'])} {row['name']}" for row in keys)
        lines.append(f"    {name} {{ {inside} }}" if keys else f"    {name}")
    for name, columns in views.items():
        names = {row["name"] for row in columns}
        if name not in ("deployment_overview", "service_status"):
            if "deployment_id" in names:
                lines.append(f"    deployment_overview ||--o{{ {name} : deployment_id")
            elif {"project_id", "env"} <= names:
                lines.append(f'    service_status ||--o{{ {name} : "project_id, env"')
    lines.append('    service_status ||--o{ deployment_overview : "project_id, env"')
    return "\n".join(lines)


def _function(row: asyncpg.Record) -> str:
    result = TYPES.get(row["result"], row["result"])
    return f"- `report.{row['name']}({row['arguments']})` → `{result}`: {row['meaning']}."


def _view(name: str, columns: Columns) -> str:
    time = find_time(columns)
    lines = [
        f"### {name}",
        "",
        f"{columns[0]['meaning']}.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
    ]
    for row in columns:
        mark = " **Filter on it.**" if row["name"] == time else ""
        lines.append(
            f"| `{row['name']}` | {_type(row['type'])} | {_cell(row['about'] or '')}{mark} |"
        )
    return "\n".join(lines)


def _recipe(recipe: Recipe) -> str:
    values = ", ".join(f"{name} = {value}" for name, value in recipe.values.items())
    head = " ".join(recipe.head.split())
    gives = ", ".join(f"`{name}`" for name in recipe.gives)
    return f"### {recipe.name}\n\n{head}\n\nValues: {values}. Gives: {gives}."


def _type(name: str) -> str:
    return TYPES.get(name, name)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


async def _write_fresh(server_url: str) -> str:
    async with scratch_database(server_url) as url:
        conn = await connect(url)
        try:
            return await write(conn)
        finally:
            await conn.close()


def main() -> None:
    """Print the page that the migrations make on a private server."""
    logs.configure("warning")
    with private_server() as url:
        sys.stdout.write(asyncio.run(_write_fresh(url)))


if __name__ == "__main__":
    main()
