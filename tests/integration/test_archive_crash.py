"""kill -9 at every step of a run: nothing is lost, and nothing is in the archive twice."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl

from core.database import Connection
from core.types import Project
from sql.archive import expire, manifest, restore, verify
from sql.archive.layout import KEY, SAMPLES, TABLES, Table
from sql.archive.store import Folder
from tests.history import KEEP, NOW, START, archived, fill, stored

SCRIPT = Path(__file__).with_name("archive_process.py")


async def run_until_killed(url: str, place: Path, steps: Sequence[str]) -> tuple[int, str]:
    """Return the exit code of a run that is killed at a step that is new, and that step."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), url, str(place), *steps,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def known(place: Path, table: Table) -> pl.DataFrame:
    """The rows of the archive, none if it has not begun."""
    return (
        archived(place, table) if (place / manifest.MANIFEST).exists() else table.schema.to_frame()
    )


def everything(hot: pl.DataFrame, cold: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table and of the archive, those that are in both once."""
    both = hot.join(cold, on=hot.columns, how="semi", nulls_equal=True)
    assert len(both) == len(hot.join(cold, on=KEY, how="semi"))
    return pl.concat([cold, hot.join(cold, on=KEY, how="anti")]).sort(KEY)


async def test_a_run_may_die_at_any_step(
    conn: Connection, database_url: str, project: Project, tmp_path: Path
) -> None:
    place = tmp_path / "archive"
    await fill(conn, [project.id], [0], slots=4)
    steps: list[str] = []
    accepted: dict[str, pl.DataFrame] = {}
    code = -9
    while code == -9:
        for table in TABLES:
            accepted[table.folder] = everything(await stored(conn, table), known(place, table))
        code, step = await run_until_killed(database_url, place, steps)
        for table in TABLES:
            cold = known(place, table)
            assert cold.n_unique(KEY) == len(cold)
            assert everything(await stored(conn, table), cold).equals(accepted[table.folder])
        steps.append(step)
        if len(steps) == 8:  # nothing that comes late may be lost either
            await fill(conn, [UUID(int=8)], [0, 3], slots=1)
    assert code == 0
    for kind in ("open", "os.rename", "os.remove", "-- Against", "INSERT", "SELECT drop", "COMMIT"):
        assert any(each.startswith(kind) for each in steps), (kind, steps)
    for table in TABLES:
        assert (await stored(conn, table)).is_empty()
        assert archived(place, table).equals(accepted[table.folder])
    store = Folder(place)
    assert verify.find_strays(store, manifest.load(store)) == []


async def test_weeks_of_runs_late_rows_and_restored_days_lose_and_double_nothing(
    conn: Connection, project: Project, tmp_path: Path
) -> None:
    """What is accepted is only added to; the archive and the table together always are that."""
    chance = random.Random(11)
    store = Folder(tmp_path / "archive")
    now = NOW
    accepted = SAMPLES.schema.to_frame()
    for round_ in range(12):
        first = (now - KEEP - START).days
        days = [first + chance.uniform(-1, 20) for _ in range(3)]
        await fill(conn, [project.id], [day for day in days if day >= first], slots=3, seed=round_)
        hot = await stored(conn)
        accepted = everything(hot, accepted)
        await expire.run(conn, store, now, KEEP)
        assert everything(await stored(conn), archived(store.root)).equals(accepted)
        parts = manifest.load(store)
        if parts and chance.random() < 0.5:
            day = chance.choice(parts).day
            await restore.restore(conn, store, day, day, now + timedelta(days=3))
            assert everything(await stored(conn), archived(store.root)).equals(accepted)
        now += timedelta(days=chance.uniform(2, 6))
    await expire.run(conn, store, now + timedelta(days=90), KEEP)
    assert (await stored(conn)).is_empty()
    cold = archived(store.root)
    assert cold.n_unique(KEY) == len(cold)
    assert cold.equals(accepted)
    assert len(cold) > 200
