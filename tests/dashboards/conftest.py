"""The boards as committed, and databases to ask for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import dashboards
from core.database import Connection, connect
from sql.scratch import scratch_database
from tests.dashboards.seeded import seed
from tests.roles import GRAFANA, make, url_as

FOLDER = Path(dashboards.__file__).parent / "grafana"
DATABASE = ("overview", "deployment", "sdh", "projects", "accuracy")
BOARDS: dict[str, dict[str, Any]] = {
    name: json.loads((FOLDER / f"{name}.json").read_text()) for name in DATABASE
}


@pytest.fixture(scope="module")
def seeded_url(server_url: str) -> Iterator[str]:
    """A database with a past."""
    with asyncio.Runner() as runner:
        database = scratch_database(server_url, prefix="boards")
        url = runner.run(database.__aenter__())
        try:
            runner.run(seed(url))
            yield url
        finally:
            runner.run(database.__aexit__(None, None, None))


@pytest.fixture
async def grafana(seeded_url: str) -> AsyncIterator[Connection]:
    """A connection of Grafana's role to the same."""
    conn = await connect(url_as(seeded_url, GRAFANA))
    yield conn
    await conn.close()


@pytest.fixture
async def on_empty(database_url: str) -> AsyncIterator[Connection]:
    """A connection of Grafana's role to a database in which nothing has happened."""
    await make(database_url)
    conn = await connect(url_as(database_url, GRAFANA))
    yield conn
    await conn.close()
