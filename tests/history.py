"""Rows for the archive, of every kind the tables can hold, and ways to look at them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl

from core.database import Connection
from sql import archive
from sql.archive.layout import KEY, SAMPLES, Table

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The first moment of a chunk of seven days."""
NOW = START + timedelta(days=37)
"""That chunk is 30 days old."""
KEEP = timedelta(days=30)

SETTLE = """
UPDATE history_edges SET samples_since = '2030-01-01', rolled_5m_until = '2030-01-01',
                         rolled_1h_until = '2030-01-01', rolled_fleet_1h_until = '2030-01-01'
"""

ENVS = ("prod", "", 'a "quoted", one\nwith a line break \\ and é')
EXTRAS = ({"queue_depth": 3.5}, {"a": 1, "b": None}, {"text": 'a "quote", \\ and é'})
NUMBERS = (0.0, -0.0, 0.1 + 0.2, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"), None)


def sample(chance: random.Random, project: UUID, env: str, slot_at: datetime) -> tuple[Any, ...]:
    """A row of metric_samples as a worker, a push or a bug might leave it."""
    numbers = [
        chance.choice(NUMBERS) if chance.random() < 0.3 else chance.random() for _ in "12345"
    ]
    return (slot_at, slot_at + timedelta(seconds=chance.random()), *_slot(chance, project, env),
            *numbers, chance.choice(EXTRAS) if chance.random() < 0.2 else None)  # fmt: skip


def missed(chance: random.Random, project: UUID, env: str, slot_at: datetime) -> tuple[Any, ...]:
    """A row of missed_slots."""
    return (slot_at, slot_at + timedelta(seconds=chance.random()), *_slot(chance, project, env),
            chance.choice(["timeout", "dns"]), chance.choice(["", "HTTP", ENVS[2]]))  # fmt: skip


def _slot(chance: random.Random, project: UUID, env: str) -> tuple[Any, ...]:
    deployment, phase, index = UUID(int=chance.getrandbits(128)), "post", chance.randrange(15)
    some = chance.random()
    if some < 0.7:
        return project, env, None, None, None
    return (project, env, *((deployment, phase, index) if some < 0.9 else (deployment, None, None)))


async def fill(
    conn: Connection,
    projects: Iterable[UUID],
    days: Iterable[float],
    *,
    slots: int = 20,
    seed: int = 1,
    settled: bool = True,
) -> None:
    """Store rows of the given days after `START`, in the order of time; again: nothing new.

    Unless told otherwise, they count as rolled up and final.
    """
    chance = random.Random(seed)
    if settled:
        await conn.execute(SETTLE)
    for make, table in ((sample, "metric_samples"), (missed, "missed_slots")):
        rows = [
            make(chance, project, env, START + timedelta(days=day, hours=slot, microseconds=slot))
            for day in days
            for slot in range(slots)
            for project in projects
            for env in ENVS
        ]
        places = ", ".join(f"${place}" for place in range(1, len(rows[0]) + 1))
        await conn.executemany(
            f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO NOTHING", rows
        )


async def stored(conn: Connection, table: Table = SAMPLES) -> pl.DataFrame:
    """All rows of a table, sorted by their key, read without anything of the archive's code."""
    texts = {"project_id", "deployment_id", "extra"}
    columns = ", ".join(f"{name}::text" if name in texts else name for name in table.schema)
    rows = await conn.fetch(f"SELECT {columns} FROM {table.name}")
    return pl.DataFrame([tuple(row) for row in rows], table.schema, orient="row").sort(KEY)


def archived(place: Path | str, table: Table = SAMPLES) -> pl.DataFrame:
    """All rows of an archive, sorted by their key."""
    return archive.scan(str(place), table).collect().sort(KEY)
