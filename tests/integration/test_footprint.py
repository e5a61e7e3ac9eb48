"""What `migrate --plan` says of locks, against the locks PostgreSQL takes."""

from __future__ import annotations

import re

import pytest

from core.database import Connection, connect
from sql import footprint, migrate
from sql.footprint import Wait
from sql.migrate import Migration
from sql.scratch import scratch_database
from sql.texts import query

HELD = """
SELECT CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS name,
       l.mode
  FROM pg_locks AS l
  JOIN pg_class AS c ON c.oid = l.relation
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE l.pid = pg_backend_pid() AND c.oid = ANY($1::oid[])
"""
THERE = """
SELECT array_agg(c.oid) FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'v') AND n.nspname IN ('public', 'report')
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
WAITS = {
    "AccessExclusiveLock": Wait.EVERYBODY,
    "ExclusiveLock": Wait.WRITERS,
    "ShareRowExclusiveLock": Wait.WRITERS,
    "ShareLock": Wait.WRITERS,
}


async def apply_and_look(conn: Connection, migration: Migration) -> dict[str, Wait]:
    """Apply a migration; return who would have had to wait for what was there before."""
    there = await conn.fetchval(THERE)
    taken: dict[str, Wait] = {}
    async with conn.transaction():
        await conn.execute(migration.text.replace(", timescaledb.transaction_per_chunk", ""))
        for row in await conn.fetch(HELD, there or []):
            wait = WAITS.get(row["mode"], Wait.NOBODY)
            if wait:
                taken[row["name"]] = max(wait, taken.get(row["name"], Wait.NOBODY))
        dropped = set(there or []) - set(await conn.fetchval(THERE) or [])
        assert len(dropped) < 10  # what was dropped cannot be asked for its name any more
    return taken


async def test_the_plan_names_every_lock_there_is(server_url: str) -> None:
    async with scratch_database(server_url, migrated=False) as url:
        conn = await connect(url)
        await migrate.ensure_extension(conn)
        await conn.execute(query("migrations.create_ledger"))
        seen = 0
        for migration in migrate.shipped():
            says = footprint.read_waits(migration.text)
            taken = await apply_and_look(conn, migration)
            silent = {name: wait for name, wait in taken.items() if says.get(name, 0) < wait}
            assert not silent, migration.name
            seen += len(taken)
        assert seen >= 10
        await conn.close()


@pytest.mark.parametrize("migration", migrate.shipped()[12:], ids=lambda each: each.name)
def test_an_index_is_built_before_a_table_is_closed_to_everybody(migration: Migration) -> None:
    # All locks stay until the end, so who meets the closed one waits for the index.
    text = re.sub(r"--.*", "", migration.text)
    for index in re.finditer(r"CREATE (UNIQUE )?INDEX", text):
        assert Wait.EVERYBODY not in footprint.read_waits(text[: index.start()]).values()


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("CREATE TABLE a (id int); CREATE INDEX i ON a (id)", {}),
        ("-- ALTER TABLE a\nSELECT 1", {}),
        ("ALTER TABLE a ADD COLUMN b int", {"a": Wait.EVERYBODY}),
        ("CREATE INDEX i ON a (id)", {"a": Wait.WRITERS}),
        ("CREATE INDEX CONCURRENTLY i ON a (id)", {}),
        ("CREATE TABLE b (a_id uuid REFERENCES a ON DELETE CASCADE)", {"a": Wait.WRITERS}),
        ("DROP VIEW report.v; CREATE VIEW report.v AS SELECT 1", {"report.v": Wait.EVERYBODY}),
        ("CREATE INDEX i ON a (id); ALTER TABLE a\n  ADD b int", {"a": Wait.EVERYBODY}),
    ],
)
def test_who_waits_is_read_off_the_text(text: str, waits: dict[str, Wait]) -> None:
    assert footprint.read_waits(text) == waits


def test_a_plan_tells_why_and_who_waits() -> None:
    lines = footprint.describe(
        [
            Migration(4, "colour", "-- Doors have\n-- a colour.\n\nALTER TABLE doors ADD c text"),
            Migration(
                5, "index", f"{migrate.NO_TRANSACTION}\n-- Fast.\nCREATE INDEX i ON doors (c)"
            ),
            Migration(6, "new", "-- New.\nCREATE TABLE gates ()"),
        ]
    )
    assert lines == [
        "0004_colour, in one transaction: Doors have a colour.",
        "    doors: who reads or writes waits",
        "0005_index, piece by piece: Fast.",
        "    doors: who writes waits",
        "0006_new, in one transaction: New.",
        "    nobody waits",
    ]
