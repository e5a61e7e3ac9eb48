"""Apache Spark on the archive: the same numbers as Polars and DuckDB, and the same verdicts.

    make test-all

Not part of the suite: Spark and what it needs are as large as all the rest, and want Java.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from analytics import policy
from core.database import Connection, Pool
from scheduler.replay import judge_samples, replay
from sql import archive, history, windows
from sql.archive import expire
from sql.archive.layout import KEY, SAMPLES
from sql.archive.store import Folder
from tests.history import KEEP, NOW, SETTLE, fill, stored
from tests.integration.test_judging import generate, judge_all, profile_services

pytestmark = pytest.mark.filterwarnings("default")  # theirs

BASELINE_SECONDS = 1800.0
LATER = datetime.fromisoformat("2026-06-01T00:00:00Z")

SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("seqpulse tests")
    session = builder.config(map=SETTINGS).getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


def read(spark: SparkSession, store: Folder) -> DataFrame:
    return spark.read.parquet(f"{store.root}/samples")


async def test_the_rows_are_the_same(conn: Connection, spark: SparkSession, store: Folder) -> None:
    await fill(conn, [UUID(int=place) for place in range(8)], range(3))
    before = await stored(conn)
    await expire.run(conn, store, NOW, KEEP)
    rows = read(spark, store)
    assert sorted(rows.columns) == sorted([*SAMPLES.schema, "day"])
    told = pl.from_arrow(rows.select(*SAMPLES.schema).toArrow())
    assert isinstance(told, pl.DataFrame)
    assert told.sort(KEY).equals(before)
    assert told.sort(KEY).equals(archive.scan(str(store.root)).collect().sort(KEY))


NOT_JUDGED = (
    *(name for name in history.RECORDED if name != "deployment_id"),
    *("env", "triggered_at", "finished_at"),
)
"""What replay adds from the record."""

NUMBERS = """
SELECT env, count(*) AS n, count(latency_p95) AS known, min(slot_at) AS first,
       max(collected_at) AS last, min(requests_per_sec) AS low, max(requests_per_sec) AS high,
       sum(CAST(floor(1000 * cpu_usage) AS BIGINT)) AS total
  FROM rows
 WHERE day = DATE '2026-03-04' AND phase IS NULL
 GROUP BY env, project_id
 ORDER BY project_id
"""


@pytest.fixture
async def past(conn: Connection, pool: Pool, store: Folder) -> pl.DataFrame:
    """What replay says of a past while all of it is in the database; then all is archived."""
    await generate(conn, services=21, each=80)
    await profile_services(conn, pool)
    await judge_all(conn, pool)
    lots = replay(pool, policy.SEQPULSE_V1, history.Selection(), BASELINE_SECONDS)
    said = pl.concat([lot async for lot in lots])
    await conn.execute(SETTLE)
    await expire.run(conn, store, LATER, timedelta())
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0
    return said


async def outline_projects(conn: Connection) -> dict[str, windows.Outline]:
    """The deployments of every project, for where its samples are."""
    outlines = {}
    for row in await conn.fetch("SELECT id FROM projects"):
        lots = history.walk(conn, history.Selection(project_id=row["id"]), 1_000_000)
        ids = [each async for lot in lots for each in lot]
        outlines[str(row["id"])] = await windows.outline(conn, ids, BASELINE_SECONDS)
    return outlines


Outlines: TypeAlias = dict[str, windows.Outline]


def judge_project(outlines: Outlines, key: tuple[pa.Scalar], rows: pa.Table) -> pa.Table:
    """Judge the deployments of a project by its samples; runs where these are."""
    outline = outlines[key[0].as_py()]
    return as_spark_likes(judge_samples(outline, pl.DataFrame(rows), policy.SEQPULSE_V1))


def judge_projects(
    outlines: Outlines, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Judge the deployments of some projects, all of whose samples come here."""
    first = next(batches, None)
    if first is None:  # no project came here
        return
    rows = pl.DataFrame(pa.Table.from_batches([first, *batches]))
    for (project_id,), samples in rows.group_by("project_id"):
        said = judge_samples(outlines[str(project_id)], samples, policy.SEQPULSE_V1)
        yield from as_spark_likes(said).to_batches()


def as_spark_likes(said: pl.DataFrame) -> pa.Table:
    """Return a table without Arrow's large kinds of texts and lists."""
    plain = {
        pa.large_string(): pa.string(),
        pa.large_list(pa.large_string()): pa.list_(pa.string()),
    }
    table = said.to_arrow()
    return table.cast(
        pa.schema([field.with_type(plain.get(field.type, field.type)) for field in table.schema])
    )


async def test_numbers_and_verdicts_are_the_same(
    conn: Connection, spark: SparkSession, store: Folder, past: pl.DataFrame
) -> None:
    rows = read(spark, store)
    rows.createOrReplaceTempView("rows")
    told = pl.DataFrame(spark.sql(NUMBERS).toArrow())
    ducks = duckdb.connect()
    ducks.execute("SET timezone = 'UTC'")
    ducks.execute(
        "CREATE VIEW rows AS SELECT * FROM read_parquet("
        f"'{store.root}/samples/day=*/part-*.parquet', hive_partitioning = true)"
    )
    assert told.rows() == ducks.execute(NUMBERS).fetchall()
    assert len(told) > 10

    outlines = await outline_projects(conn)
    wanted = past.drop(NOT_JUDGED)
    schema = spark.createDataFrame(as_spark_likes(wanted)).schema
    groups = rows.groupBy("project_id").applyInArrow(
        lambda key, samples: judge_project(outlines, key, samples), schema
    )
    batches = rows.repartition("project_id").mapInArrow(
        lambda samples: judge_projects(outlines, samples), schema
    )
    for said in (groups, batches):
        found = pl.DataFrame(said.toArrow())
        assert found.columns == wanted.columns
        assert found.sort("deployment_id").equals(wanted.sort("deployment_id"))
