"""The recipes of sql/adhoc, run by an analyst on a past that the real judge has judged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.database import Connection, Pool, connect
from sql import bulk, rollups
from sql.texts import FOLDER
from tests.integration.test_judging import GENERATE, judge_all
from tests.roles import ANALYST, make, url_as

RECIPES = sorted((FOLDER / "adhoc").glob("*.sql"))
LONG_AGO = "timestamptz '2026-03-02 08:00Z'"
LATELY = "date_trunc('minute', now() - interval '13 days')"


def columns(recipe: Path) -> list[str]:
    """What its head says it gives."""
    found = re.search(r"^-- Gives: (.+)$", recipe.read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split(", ")


async def test_every_recipe_gives_what_it_says_to_an_analyst(
    database_url: str, conn: Connection, pool: Pool
) -> None:
    past = GENERATE.replace(LONG_AGO, LATELY).replace(":services", "6").replace(":each", "100")
    assert LATELY in past
    await conn.execute(past)
    await judge_all(conn, pool)
    await conn.execute(
        "INSERT INTO missed_slots (slot_at, project_id, env, code, detail) "
        "SELECT now() - interval '30 hours' + i * interval '1 min', id, 'prod', 'timeout', '' "
        "FROM projects, generate_series(1, 9) AS i ON CONFLICT DO NOTHING"
    )
    # One that was rolled back by hand: the branch before is there again.
    await conn.execute(
        "UPDATE deployments SET branch = 'v3' WHERE branch = 'v5' AND project_id = "
        "(SELECT id FROM projects WHERE name = 'service 1')"
    )
    await rollups.roll(conn, await bulk.read_clock(conn))
    await make(database_url)
    analyst = await connect(url_as(database_url, ANALYST))
    assert len(RECIPES) >= 5
    for recipe in RECIPES:
        statement = await analyst.prepare(recipe.read_text().rstrip().rstrip(";"))
        assert [each.name for each in statement.get_attributes()] == columns(recipe), recipe.name
        rows = await statement.fetch()
        assert rows, recipe.name
        empty = [name for name in columns(recipe) if all(row[name] is None for row in rows)]
        assert not empty, recipe.name
    await analyst.close()


@pytest.mark.parametrize(
    "recipe", [path.read_text() for path in RECIPES], ids=[path.stem for path in RECIPES]
)
async def test_recipes_are_legal_on_an_empty_database(database_url: str, recipe: str) -> None:
    await make(database_url)
    analyst = await connect(url_as(database_url, ANALYST))
    await analyst.fetch(recipe)
    await analyst.close()
