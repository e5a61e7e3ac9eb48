"""The snapshot of the schema is what the migrations make."""

from __future__ import annotations

import pytest

from core.database import Connection
from sql import schema


async def test_the_snapshot_is_current(conn: Connection) -> None:
    version = int(await conn.fetchval("SHOW server_version_num"))
    if version // 10_000 != schema.MAJOR:
        pytest.skip(f"the snapshot is written by PostgreSQL {schema.MAJOR}")
    assert await schema.describe(conn) == schema.SNAPSHOT.read_text(), "run `make schema`"


async def test_it_sees_every_kind_of_change(conn: Connection) -> None:
    before = await schema.describe(conn)
    for change in (
        "ALTER TABLE targets ADD COLUMN colour text",
        "ALTER TABLE targets ALTER COLUMN colour SET DEFAULT 'red'",
        "ALTER TABLE targets ADD CHECK (colour <> 'blue')",
        "CREATE INDEX later ON targets (colour)",
        "COMMENT ON COLUMN targets.colour IS 'Of the door'",
        "CREATE VIEW report.colours AS SELECT colour FROM targets",
        "CREATE OR REPLACE VIEW report.colours AS SELECT 'x' || colour AS colour FROM targets",
        "CREATE FUNCTION later() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE OR REPLACE FUNCTION later() RETURNS int LANGUAGE sql RETURN 2",
        "CREATE TABLE gates (at timestamptz NOT NULL)",
        "SELECT create_hypertable('gates', 'at')",
    ):
        await conn.execute(change)
        after = await schema.describe(conn)
        assert after != before, change
        before = after
