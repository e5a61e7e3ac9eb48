"""docs/sql.md is what the database says of itself, and says something of everything."""

from __future__ import annotations

import re

from core.database import Connection
from sql import handbook
from sql.texts import query


async def test_the_page_is_current(conn: Connection) -> None:
    assert handbook.PAGE.read_text() == await handbook.write(conn), "run `make schema`"


async def test_every_view_and_column_says_what_it_means(conn: Connection) -> None:
    rows = await conn.fetch(query("schema.report"))
    assert len(rows) > 300
    assert not [f"{row['view']}.{row['name']}" for row in rows if not row["about"]]
    assert not [row["view"] for row in rows if not row["meaning"]]
    assert not [row for row in await conn.fetch(query("schema.report_functions"))
                if not row["meaning"]]  # fmt: skip


async def test_units_are_said_of_all_measures(conn: Connection) -> None:
    for row in await conn.fetch(query("schema.report")):
        if row["name"].startswith("latency_p95"):
            assert "milliseconds" in row["about"]
        if row["name"].endswith("_ratio"):
            assert "0..1" in row["about"], (row["view"], row["name"])


async def test_a_view_that_says_what_to_filter_on_is_told_so(conn: Connection) -> None:
    said = dict(re.findall(r"\| \[`(\w+)`\].*filter on (\w+)[^|]* \| `(?:\w+)` \|",
                           handbook.PAGE.read_text()))  # fmt: skip
    told = dict(re.findall(r"\| \[`(\w+)`\].* \| `(\w+)` \|", handbook.PAGE.read_text()))
    assert len(said) >= 7
    assert {name: told[name] for name in said} == said
