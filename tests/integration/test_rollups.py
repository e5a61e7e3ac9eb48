"""Rollups: equal to the samples whatever comes late, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from core.database import Connection, connect
from core.secrets import Vault
from core.types import METRICS, Project, Reading, Sample, Slot
from scheduler import removal
from sql import backfill, bulk, projects, rollups, samples
from sql.rollups import ROLLUPS, Rollup
from tests.integration.ledger import Ledger, assert_same, minutes, read, read_fleet

NOW = datetime(2026, 5, 20, 12, 34, 56, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(conn: Connection) -> Ledger:
    return Ledger(conn)


async def assert_rolled(ledger: Ledger, now: datetime = NOW) -> None:
    """Both tables hold exactly what was accepted, up to their edges; and the views all of it."""
    conn = ledger.conn
    edges = await rollups.read_edges(conn)
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for rollup in ROLLUPS:
        until = edges.rolled_until(rollup)
        found = await read(conn, rollup.table, first, now + HOUR)
        assert_same(found, ledger.roll(rollup, first, until))
        seen = await read(conn, f"report.{rollup.table}", first, now + HOUR)
        assert_same(seen, ledger.roll(rollup, first, now + HOUR))
    wanted = ledger.roll_fleet(first, edges.rolled_fleet_1h_until)
    assert_frame_equal(await read_fleet(conn), wanted)


async def test_rollups_equal_the_samples(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    await ledger.add(project.id, minutes(NOW - 30 * HOUR, 30 * 60))
    await ledger.add(project.id, minutes(NOW - 2 * HOUR, 300, 0.37), "eu")
    await ledger.miss(project.id, minutes(NOW - 40 * HOUR, 50, 30.5))
    await assert_rolled(ledger)  # nothing is rolled up yet: the views say it all the same
    await rollups.roll(conn, NOW)
    edges = await rollups.read_edges(conn)
    assert edges.rolled_5m_until == datetime(2026, 5, 20, 12, 20, tzinfo=UTC)
    assert edges.rolled_1h_until == datetime(2026, 5, 20, 12, tzinfo=UTC)
    assert edges.rolled_fleet_1h_until == edges.rolled_1h_until
    await assert_rolled(ledger)
    await rollups.roll(conn, NOW + timedelta(minutes=47))
    await assert_rolled(ledger)


async def test_an_empty_database_is_rolled_up_at_once(conn: Connection) -> None:
    await rollups.roll(conn, NOW)
    edges = await rollups.read_edges(conn)
    assert edges.rolled_5m_until == edges.closed_until
    assert edges.rolled_1h_until == datetime(2026, 5, 20, 12, tzinfo=UTC)


async def test_edges_never_move_back(conn: Connection) -> None:
    await rollups.roll(conn, NOW)
    before = await rollups.read_edges(conn)
    await rollups.roll(conn, NOW - 5 * HOUR)
    assert await rollups.read_edges(conn) == before


READING = Reading(1.0, 2.0, 0.5, 0.25, 0.125)


async def push(conn: Connection, ledger: Ledger, project_id: UUID, slot_at: datetime) -> None:
    assert await ledger.add(project_id, [slot_at]) == 1


async def import_many(
    conn: Connection, ledger: Ledger, project_id: UUID, slot_at: datetime
) -> None:
    moments = minutes(slot_at, bulk.COPY_FROM, 0.01)
    assert await ledger.add(project_id, moments) == len(moments)


async def import_again(
    conn: Connection, ledger: Ledger, project_id: UUID, slot_at: datetime
) -> None:
    await import_many(conn, ledger, project_id, slot_at)
    assert await ledger.add(project_id, minutes(slot_at, bulk.COPY_FROM + 90, 0.01)) == 90


async def collect(conn: Connection, ledger: Ledger, project_id: UUID, slot_at: datetime) -> None:
    await samples.insert(conn, [Sample(Slot(project_id, "prod", slot_at), READING)])
    note(ledger, project_id, slot_at)


async def fill_in(conn: Connection, ledger: Ledger, project_id: UUID, slot_at: datetime) -> None:
    await backfill.insert(conn, project_id, "prod", {slot_at: READING})
    note(ledger, project_id, slot_at)


async def miss(conn: Connection, ledger: Ledger, project_id: UUID, slot_at: datetime) -> None:
    await ledger.miss(project_id, [slot_at])


def note(ledger: Ledger, project_id: UUID, slot_at: datetime) -> None:
    """Enter what was not written by the ledger itself."""
    numbers = {name: [getattr(READING, name)] for name in METRICS}
    row = {"slot_at": [slot_at], "env": ["prod"], **numbers, "extra": [None]}
    frame = pl.DataFrame(row, schema=bulk.ROWS)
    ledger.frames.append(frame.with_columns(project_id=pl.lit(str(project_id))))


@pytest.mark.parametrize("write", [push, import_many, import_again, collect, fill_in, miss])
async def test_what_comes_late_is_rolled_up_again(
    conn: Connection,
    ledger: Ledger,
    project: Project,
    write: Callable[[Connection, Ledger, UUID, datetime], Awaitable[None]],
) -> None:
    await ledger.add(project.id, minutes(NOW - 30 * HOUR, 30 * 60))
    await rollups.roll(conn, NOW)
    for slot_at in (NOW - 20 * HOUR, NOW - 19 * HOUR, NOW - timedelta(minutes=30)):
        await write(conn, ledger, project.id, slot_at + timedelta(seconds=7))
    assert await conn.fetchval("SELECT count(*) FROM late_hours") > 0
    await rollups.roll(conn, NOW)
    assert await conn.fetchval("SELECT count(*) FROM late_hours") == 0
    await assert_rolled(ledger)


async def test_a_slot_that_was_missed_and_filled_in_later_counts_once(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    await ledger.add(project.id, minutes(NOW - 5 * HOUR, 60))
    slot_at = NOW - 5 * HOUR + timedelta(seconds=30)
    await ledger.miss(project.id, [slot_at])
    await rollups.roll(conn, NOW)
    await fill_in(conn, ledger, project.id, slot_at)
    ledger.missed.clear()
    await rollups.roll(conn, NOW)
    await assert_rolled(ledger)


async def test_who_is_writing_is_waited_for_and_nobody_is_lost(
    conn: Connection,
    database_url: str,
    ledger: Ledger,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await ledger.add(project.id, minutes(NOW - 3 * HOUR, 60))
    other = await connect(database_url)
    slow = Ledger(other)
    async with other.transaction():
        await slow.add(project.id, [NOW - 2 * HOUR])
        # It has not noted an hour: when it wrote, nothing was closed.
        assert await other.fetchval("SELECT count(*) FROM late_hours") == 0
        rolling = asyncio.create_task(rollups.roll(conn, NOW))
        await asyncio.wait([rolling], timeout=0.3)
        assert not rolling.done()
    await rolling
    await other.close()
    ledger.frames += slow.frames
    await assert_rolled(ledger)


async def test_who_writes_for_too_long_only_delays_the_roll_up(
    conn: Connection,
    database_url: str,
    ledger: Ledger,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await connect(database_url)
    slow = Ledger(other)
    outlast = rollups.outlast_writers
    monkeypatch.setattr(rollups, "outlast_writers", lambda conn: outlast(conn, 0.05))
    await ledger.add(project.id, [NOW - 3 * HOUR])  # or who comes second waits for the chunk
    async with other.transaction():
        await slow.add(project.id, [NOW - 2 * HOUR])
        await rollups.roll(conn, NOW)
        edges = await rollups.read_edges(conn)
        assert edges.rolled_5m_until < edges.closed_until
        await ledger.add(project.id, [NOW - 1 * HOUR])  # nobody else waits
    await rollups.roll(conn, NOW)
    await other.close()
    ledger.frames += slow.frames
    await assert_rolled(ledger)


async def test_a_note_that_is_taken_is_of_samples_that_are_seen(
    conn: Connection, database_url: str, ledger: Ledger, project: Project
) -> None:
    """Two late rows of one hour, one committed and one not: the second stays noted."""
    await rollups.roll(conn, NOW)
    await ledger.add(project.id, [NOW - 2 * HOUR])
    other = await connect(database_url)
    slow = Ledger(other)
    async with other.transaction():
        await slow.add(project.id, [NOW - 2 * HOUR + timedelta(seconds=1)])
        await rollups.roll(conn, NOW)
        await assert_rolled(ledger)
    await other.close()
    ledger.frames += slow.frames
    await rollups.roll(conn, NOW)
    await assert_rolled(ledger)


async def test_numbers_beyond_all_reason_do_not_stop_the_roll_up(
    conn: Connection, project: Project
) -> None:
    wild = [1e308, 1.7e308, 5e-324, 0.0, 1e-40, 1e39]
    for place, number in enumerate(wild):
        slot = Slot(project.id, "prod", NOW - HOUR + timedelta(seconds=place))
        await samples.insert(conn, [Sample(slot, Reading(number, number, 0, 0, 1))])
    await rollups.roll(conn, NOW)
    row = await conn.fetchrow("SELECT samples, latency_p95_max, latency_p95_min FROM samples_1h")
    assert row is not None
    assert row["samples"] == len(wild)
    assert row["latency_p95_max"] == pytest.approx(1e37)
    assert row["latency_p95_min"] == 0


@pytest.mark.parametrize("q", [0.0, 0.01, 0.5, 0.9, 0.95, 0.999, 1.0])
@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda rollup: rollup.name)
async def test_a_quantile_of_merged_sketches_is_right_to_two_percent(
    conn: Connection, ledger: Ledger, project: Project, rollup: Rollup, q: float
) -> None:
    await ledger.add(project.id, minutes(NOW - 20 * HOUR, 17 * 60))
    await rollups.roll(conn, NOW)
    for metric in METRICS:
        values = np.sort(ledger.accepted()[metric].to_numpy())
        exact = values[max(0, int(np.ceil(q * len(values))) - 1)]
        found = await conn.fetchval(
            f"SELECT report.quantile_of(report.merge_sketches(sketch), $1, $2) FROM {rollup.table}",
            metric,
            q,
        )
        assert found == pytest.approx(exact, rel=0.0197)


async def test_quantiles_know_zero_and_counts_without_end(conn: Connection) -> None:
    sketch = "array_cat(array_fill(sketch_value(1, 0), ARRAY[100000]), ARRAY[sketch_value(1, 50)])"
    compact = await conn.fetchval(f"SELECT compact_sketch({sketch})")
    assert [element & 65_535 for element in compact] == [65_535, 100_000 - 65_535, 1]
    ask = "SELECT report.quantile_of($1::integer[], $2, $3)"
    assert await conn.fetchval(ask, compact, "latency_p95", 0.99) == 0
    assert await conn.fetchval(ask, compact, "latency_p95", 1) == pytest.approx(50, rel=0.02)
    assert await conn.fetchval(ask, compact, "error_rate", 0.5) is None
    assert await conn.fetchval(ask, compact, "nonsense", 0.5) is None


async def test_the_fleet_is_all_services_together(
    conn: Connection, vault: Vault, ledger: Ledger, project: Project
) -> None:
    for name in ("other", "third"):
        other, _ = await projects.create(conn, vault, name=name)
        await ledger.add(other.id, minutes(NOW - 30 * HOUR, 28 * 60))
    await ledger.add(project.id, minutes(NOW - 20 * HOUR, 18 * 60))
    await ledger.add(project.id, minutes(NOW - 20 * HOUR, 60), "eu")
    await ledger.miss(project.id, [NOW - 25 * HOUR])
    await rollups.roll(conn, NOW)
    await assert_rolled(ledger)
    values = np.sort(ledger.accepted().filter(pl.col("env") == "prod")["latency_p95"].to_numpy())
    found = await conn.fetchval(
        "SELECT report.quantile_of(report.merge_sketches(sketch), 'latency_p95', 0.95) "
        "FROM report.samples_fleet_1h WHERE env = 'prod'"
    )
    assert found == pytest.approx(values[int(np.ceil(0.95 * len(values))) - 1], rel=0.0197)


async def test_sketches_count_beyond_what_one_element_holds(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    hour_at = rollups.floor(NOW - 3 * HOUR, HOUR)
    await ledger.add(project.id, minutes(hour_at, 70_000, 1 / 1500))
    await conn.execute("UPDATE metric_samples SET error_rate = 0")
    await rollups.roll(conn, NOW)
    for table in ("samples_1h", "samples_fleet_1h"):
        row = await conn.fetchrow(
            "SELECT sum(e & 65535) FILTER (WHERE e >> 28 = 2) AS errors, sum(e & 65535) AS every "
            f"FROM {table}, unnest(sketch) AS e"
        )
        assert row is not None
        assert tuple(row) == (70_000, 350_000)


async def test_hours_from_before_there_was_a_fleet_become_part_of_it(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    await ledger.add(project.id, minutes(NOW - 30 * HOUR, 30 * 60))
    await rollups.roll(conn, NOW)
    await conn.execute("UPDATE history_edges SET rolled_fleet_1h_until = '-infinity'")
    await conn.execute("DELETE FROM samples_fleet_1h")
    await rollups.roll(conn, NOW + timedelta(minutes=5))
    await assert_rolled(ledger)


async def test_a_deleted_project_leaves_nothing_rolled_up(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    await ledger.add(project.id, minutes(NOW - 200 * HOUR, 400, 30))
    await rollups.roll(conn, NOW)
    await ledger.add(project.id, [NOW - 100 * HOUR + timedelta(seconds=1)])
    of_fleet = await read_fleet(conn)
    await removal.delete(conn, project.id)
    for since, until in await samples.list_chunks(conn):
        await samples.remove(conn, project.id, since, until)
    await rollups.remove(conn, project.id)
    await rollups.roll(conn, NOW + HOUR)
    for table in ("samples_5m", "samples_1h", "late_hours"):
        assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert_frame_equal(await read_fleet(conn), of_fleet)  # whose number it is nobody can tell
