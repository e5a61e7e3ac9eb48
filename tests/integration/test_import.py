"""`seqpulse import` as a user types it: CSV and Parquet, good rows and bad ones, twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from core.cli import app, history
from core.database import Connection
from core.errors import InvalidInputError, NotFoundError
from core.types import METRICS, Project
from ingest import files

START = datetime(2025, 3, 1, tzinfo=UTC)
HEADER = "slot_at,env,requests_per_sec,latency_p95,error_rate,cpu_usage,memory_usage"
Import = Callable[..., Awaitable[Result]]
LONG = {
    f"SEQPULSE_KEEP_SAMPLES_{name}DAYS": "36500" for name in ("", "5M_", "1H_")
}  # or what is imported would be too old


@pytest.fixture
def load(database_url: str, project: Project) -> Import:
    """Run `seqpulse import FILE`; an error of ours is raised."""

    async def run(path: Path, *arguments: str) -> Result:
        command = ["import", str(path), "--project", str(project.id), *arguments]
        env = {"SEQPULSE_DATABASE_URL": database_url, "COLUMNS": "200", **LONG}
        done = await asyncio.to_thread(CliRunner().invoke, app, command, env=env)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


def frame(count: int, **columns: pl.Series) -> pl.DataFrame:
    last = START + timedelta(minutes=count - 1)
    moments = pl.datetime_range(START, last, "1m", time_unit="us", eager=True)
    numbers = {name: pl.Series([0.25 + place / 1024] * count) for place, name in enumerate(METRICS)}
    return pl.DataFrame({"slot_at": moments, "env": ["prod"] * count, **numbers, **columns})


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([HEADER, *lines]))
    return path


async def stored(conn: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in await conn.fetch("SELECT * FROM metric_samples ORDER BY slot_at")]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
async def test_a_file_lands_once_however_often_it_is_imported(
    load: Import, conn: Connection, project: Project, tmp_path: Path, suffix: str
) -> None:
    count = 45_000  # several batches, by both writers
    depth = pl.Series([None if place % 2 else place / 3 for place in range(count)])
    table = frame(count, queue_depth=depth, note=pl.Series(["x"] * count))
    path = tmp_path / f"history{suffix}"
    if suffix == ".parquet":
        table.write_parquet(path, row_group_size=7_000)
    else:
        table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%z")
    first = await load(path)
    assert (first.exit_code, first.stdout) == (0, f"stored {count}, known 0, refused 0\n")
    assert ("ignored columns: note" in first.stderr) == (suffix == ".parquet")
    again = await load(path)
    assert (again.exit_code, again.stdout) == (0, f"stored 0, known {count}, refused 0\n")
    rows = await stored(conn)
    assert [row["slot_at"] for row in rows] == table["slot_at"].to_list()
    assert {row["project_id"] for row in rows} == {project.id}
    assert {(row["phase"], row["env"]) for row in rows} == {(None, "prod")}
    assert {tuple(row[name] for name in METRICS) for row in rows} == set(
        table.select(METRICS).unique().rows()
    )
    assert [row["extra"] for row in rows[:3]] == [
        {"queue_depth": 0.0},
        None,
        {"queue_depth": 2 / 3},
    ]


async def test_each_bad_line_is_told_with_its_number_and_the_others_land(
    load: Import, conn: Connection, tmp_path: Path
) -> None:
    good = "2025-03-01T00:0{}:00Z,prod,1,2,0.3,0.4,0.5"
    path = write(
        tmp_path / "history.csv",
        good.format(1),
        "2025-03-01T00:00:00Z,prod,1,2,3,0.4,0.5",
        "",
        "2025-03-01T00:00:00Z,prod,1,2,0.3,0.4",
        "2025-03-01T00:00:00Z,prod,1,2,0.3,0.4,0.5,9",
        "2025-03-01T00:00:00Z,prod,one,2,0.3,0.4,0.5",
        "2025-03-01T00:00:00Z,prod,nan,2,0.3,0.4,0.5",
        '"2025-03-01 00:02:00+00:00","prod","1","2","0.3","0.4","0.5"\r',
        '"2025-03-01T00:00:00Z,prod,1,2,0.3,0.4,0.5',
        "2025-03-01T00:00:00,prod,1,2,0.3,0.4,0.5",
        "1999-03-01T00:00:00Z,prod,1,2,0.3,0.4,0.5",
        "2999-03-01T00:00:00Z,prod,1,2,0.3,0.4,0.5",
        "2025-03-01T00:00:00Z,\xff,1,2,0.3,0.4,0.5",
        "2025-03-01T00:03:00Z,,1,2,0.3,0.4,0.5",
    )
    done = await load(path, "--env", "eu")
    assert done.exit_code == history.SOME_REFUSED
    assert done.stdout == "stored 4, known 0, refused 10\n"
    told = [line for line in done.stderr.splitlines() if line.startswith("line")]
    assert told == [
        "line 3: error_rate is above 1, it must be a share in 0..1",
        "line 4: slot_at is missing",
        "line 5: memory_usage is missing",
        "line 6: slot_at is missing",
        "line 7: requests_per_sec is not a number",
        "line 8: requests_per_sec is not finite",
        "line 11: slot_at has no offset from UTC",
        "line 12: slot_at is before 2000-01-01, the oldest we take",
        "line 13: slot_at is in the future",
        "line 14: env is not the name of an environment",
    ]
    assert [(row["slot_at"].minute, row["env"]) for row in await stored(conn)] == [
        (0, "prod"),
        (1, "prod"),
        (2, "prod"),
        (3, "eu"),
    ]


async def test_the_report_is_bounded(load: Import, tmp_path: Path) -> None:
    path = write(tmp_path / "history.csv", *["nonsense"] * 5_000)
    done = await load(path)
    assert done.stdout == "stored 0, known 0, refused 5000\n"
    assert "line 21: slot_at is not a moment like 2026-01-31T12:00:00Z" in done.stderr
    assert "... and 4,980 more; in all:" in done.stderr
    assert "5,000  slot_at is not a moment" in done.stderr
    assert len(done.stderr.splitlines()) < 30


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"", "no column slot_at"),
        ("x.csv", HEADER.replace("latency_p95", "latency").encode(), "no column latency_p95"),
        ("x.csv", (HEADER + ",env").encode(), "same name"),
        ("x.csv", b"\x00" * 100_000, "no column slot_at"),
        ("x.parquet", b"no parquet at all", "cannot be read as Parquet"),
        ("x.parquet", frame(5).drop("cpu_usage"), "no column cpu_usage"),
        ("x.parquet", frame(5, cpu_usage=pl.Series(["a"] * 5)), "cpu_usage is String"),
        ("x.parquet", frame(5, cpu_usage=pl.Series([True] * 5)), "cpu_usage is Boolean"),
        ("x.parquet", frame(5, env=pl.Series([1] * 5)), "env is Int64"),
        ("x.parquet", frame(5).cast({"slot_at": pl.Datetime("us")}), "not a timestamp with a time"),
        ("x.parquet", frame(5, slot_at=pl.Series([1] * 5)), "slot_at is Int64"),
    ],
)
async def test_a_file_that_is_not_one_is_refused_as_a_whole(
    load: Import, tmp_path: Path, name: str, content: bytes | pl.DataFrame, says: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.write_parquet(path)
    with pytest.raises(InvalidInputError, match=says):
        await load(path)


async def test_a_file_that_is_cut_off_says_so_and_keeps_what_was_read(
    load: Import, conn: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "cut.parquet"
    frame(300_000).write_parquet(path, row_group_size=50_000, compression="uncompressed")
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[-len(whole) // 3 : -50_000] = b"\xff" * len(broken[-len(whole) // 3 : -50_000])
    path.write_bytes(broken)
    with pytest.raises(InvalidInputError, match="cannot be read as Parquet"):
        await load(path)
    path.write_bytes(whole)
    kept = await conn.fetchval("SELECT count(*) FROM metric_samples")
    assert 0 < kept < 300_000
    assert (await load(path)).stdout == f"stored {300_000 - kept}, known {kept}, refused 0\n"


async def test_parquet_may_name_other_units_and_zones(
    load: Import, conn: Connection, tmp_path: Path
) -> None:
    table = frame(3).cast({"slot_at": pl.Datetime("ns", "UTC"), "requests_per_sec": pl.Float32})
    moved = table.with_columns(pl.col("slot_at").dt.convert_time_zone("Asia/Tokyo"))
    moved.drop("env").write_parquet(tmp_path / "x.parquet")
    await load(tmp_path / "x.parquet", "--env", "eu")
    rows = await stored(conn)
    assert [row["slot_at"] for row in rows] == frame(3)["slot_at"].to_list()
    assert {(row["env"], row["requests_per_sec"]) for row in rows} == {("eu", 0.25)}


async def test_an_unknown_project_or_a_strange_environment_is_refused(
    load: Import, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.csv", "2025-03-01T00:00:00Z,prod,1,2,0.3,0.4,0.5")
    with pytest.raises(NotFoundError, match="no project"):
        await load(path, "--project", str(uuid4()))
    with pytest.raises(InvalidInputError, match="--env"):
        await load(path, "--env", "no spaces")


def test_what_is_kept_beside_the_five_is_bounded(tmp_path: Path) -> None:
    extra = {f"extra_{place:02}": pl.Series([1.0] * 3) for place in range(40)}
    frame(3, **extra).write_parquet(tmp_path / "x.parquet")
    table = files.open_table(tmp_path / "x.parquet")
    assert (len(table.extra), len(table.ignored)) == (32, 8)
