"""`seqpulse sql`: answers in every format, errors in a line, and nothing is ever changed."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from core.database import Connection

ODD = """
SELECT 1 AS n, NULL::text AS nothing, '' AS empty, 'a "b", c' || chr(10) || 'd' AS odd,
       'NaN'::float8 AS nan, '-Infinity'::float8 AS low, 0.1::float8 AS tenth,
       1.50::numeric AS exact, true AS yes, timestamptz '2026-01-02 03:04:05.6Z' AS at,
       'infinity'::timestamptz AS never, date '2026-01-02' AS day,
       interval '1 month 2 days' AS span,
       ARRAY['x', NULL, 'y,"z'] AS texts, ARRAY[1.5::float8, 'NaN'] AS floats,
       '{"a": [1, null]}'::jsonb AS doc, '{"b": 1}'::json AS text_doc,
       '\\xdead'::bytea AS bytes, 'ü€'::text AS wide,
       '00000000-0000-0000-0000-000000000001'::uuid AS id,
       '[1,5)'::int4range AS some, ROW(1, 'x') AS pair
"""


def ask(url: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "sql", *arguments],
        env={**os.environ, "SEQPULSE_DATABASE_URL": url, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_csv_is_what_a_reader_of_csv_expects(database_url: str) -> None:
    done = ask(database_url, "-c", ODD, "--format", "csv")
    assert done.returncode == 0, done.stderr
    [row] = list(csv.DictReader(io.StringIO(done.stdout)))
    assert row["odd"] == 'a "b", c\nd'
    assert (row["nan"], row["low"], row["tenth"], row["exact"]) == (
        "NaN",
        "-Infinity",
        "0.1",
        "1.50",
    )
    assert (row["yes"], row["day"], row["bytes"], row["wide"]) == (
        "true",
        "2026-01-02",
        "\\xdead",
        "ü€",
    )
    assert row["at"] == "2026-01-02 03:04:05.600000+00:00"
    assert (row["never"], row["span"]) == ("infinity", "1 mon 2 days")
    assert json.loads(row["texts"]) == ["x", None, 'y,"z']
    assert json.loads(row["doc"]) == {"a": [1, None]}
    assert '1,,"",' in done.stdout.splitlines()[1]  # nothing, and an empty text


def test_json_tells_null_numbers_and_documents_apart(database_url: str) -> None:
    done = ask(database_url, "-c", ODD, "--format", "json")
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)
    assert row["nothing"] is None
    assert (row["empty"], row["exact"], row["yes"], row["n"]) == ("", 1.5, True, 1)
    assert (row["nan"], row["low"], row["floats"]) == ("NaN", "-Infinity", [1.5, "NaN"])
    assert (row["doc"], row["text_doc"]) == ({"a": [1, None]}, {"b": 1})
    assert (row["at"], row["never"]) == ("2026-01-02T03:04:05.600000Z", "infinity")
    assert (
        json.loads(ask(database_url, "-c", "SELECT 1 AS n LIMIT 0", "--format", "json").stdout)
        == []
    )


def test_parquet_keeps_types(database_url: str, tmp_path: Path) -> None:
    out = tmp_path / "odd.parquet"
    done = ask(database_url, "-c", ODD, "-o", str(out))
    assert done.returncode == 0, done.stderr
    frame = pl.read_parquet(out)
    row = frame.row(0, named=True)
    assert row["nothing"] is None
    assert row["at"] == datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    assert row["texts"] == ["x", None, 'y,"z']
    assert frame.schema["floats"] == pl.List(pl.Float64)
    assert frame.schema["n"] == pl.Int32
    assert row["nan"] != row["nan"]
    assert json.loads(row["doc"]) == {"a": [1, None]}
    empty = tmp_path / "empty.parquet"
    assert ask(database_url, "-c", f"{ODD} LIMIT 0", "-o", str(empty)).returncode == 0
    assert pl.read_parquet(empty).schema == frame.schema
    assert "ends in .parquet" in ask(database_url, "-c", ODD, "--format", "parquet").stderr


def test_a_table_is_for_people(database_url: str) -> None:
    text = "SELECT v AS name, length(v) AS n FROM unnest(ARRAY['a', 'ü€x', E'b\\x1b[31m\\n']) AS v"
    done = ask(database_url, "-c", text)
    assert done.stdout.splitlines() == [
        "name        | n",
        "------------+--",
        "a           | 1",
        "ü€x         | 3",
        "b\\x1b[31m\\n | 7",
    ]


def test_many_rows_are_streamed_and_a_closed_pipe_is_no_matter(database_url: str) -> None:
    text = "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 3000000) AS i"
    with subprocess.Popen(
        [sys.executable, "-m", "core.cli", "sql", "-c", text, "--format", "csv"],
        env={**os.environ, "SEQPULSE_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asking:
        assert asking.stdout is not None
        assert asking.stderr is not None
        assert asking.stdout.readline() == b"i,x\n"
        assert asking.stdout.readline().startswith(b"1,xxx")
        asking.stdout.close()
        assert asking.stderr.read() == b""
        assert asking.wait(30) == 141


def test_values_are_bound_and_typed(database_url: str, tmp_path: Path) -> None:
    query = tmp_path / "q.sql"
    query.write_text(
        "-- How much?\n-- Values: n = 2, who =\nSELECT :'n'::integer * 2 AS n, :'who' AS who;\n"
    )
    evil = "x'; DROP TABLE projects; --"
    done = ask(database_url, str(query), "--param", f"who={evil}", "--format", "json")
    assert json.loads(done.stdout) == [{"n": 4, "who": evil}]
    assert "give a value, who=" in ask(database_url, str(query)).stderr
    wrong = ask(database_url, str(query), "--param", "who=", "--param", "n=many")
    assert wrong.stderr == 'seqpulse: q.sql: invalid input syntax for type integer: "many"\n'
    twice = ask(database_url, str(query), "--param", "who=a", "--param", "who=b")
    assert "each name once" in twice.stderr


def test_an_error_is_a_line_that_says_where(database_url: str, tmp_path: Path) -> None:
    query = tmp_path / "bad.sql"
    query.write_text(
        "-- Values: d = 1\nSELECT :'d'::integer AS d,\n       wrong_column\n  FROM report.hints\n"
    )
    done = ask(database_url, str(query))
    assert done.returncode == 1
    assert (
        done.stderr == 'seqpulse: bad.sql, line 3, column 8: column "wrong_column" does not exist\n'
    )
    assert "no recipe and no file" in ask(database_url, "nothing").stderr
    for arguments in ((), ("late_jobs", "-c", "SELECT 1")):
        assert "--list tells more" in ask(database_url, *arguments).stderr
    slow = ask(database_url, "-c", "SELECT pg_sleep(20)", "--timeout", "0.2")
    assert slow.stderr == "seqpulse: -c: canceling statement due to statement timeout\n"


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO late_hours VALUES (gen_random_uuid(), 'x', now()) RETURNING env",
        "WITH d AS (DELETE FROM installation RETURNING 1) SELECT count(*) FROM d",
        "SELECT nextval(pg_get_serial_sequence('scheduled_jobs', 'id'))",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DROP TABLE projects",
        "COMMIT",
    ],
)
async def test_nothing_is_changed(database_url: str, conn: Connection, text: str) -> None:
    done = ask(database_url, "-c", text)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert await conn.fetchval("SELECT count(*) FROM late_hours") == 0


def test_a_file_is_whole_or_as_it_was(database_url: str, tmp_path: Path) -> None:
    out = tmp_path / "answer.csv"
    out.write_text("before")
    text = "SELECT 1 / (i - 2500) AS x FROM generate_series(1, 9000) AS i"
    assert "division by zero" in ask(database_url, "-c", text, "-o", str(out)).stderr
    assert out.read_text() == "before"
    assert ask(database_url, "-c", "SELECT 7 AS x", "-o", str(out)).returncode == 0
    assert out.read_text() == "x\n7\n"
    assert list(tmp_path.iterdir()) == [out]


def test_the_list_names_every_recipe(database_url: str) -> None:
    done = ask(database_url, "--list")
    assert "worst_deploys " in done.stdout
    assert "[days=90]" in done.stdout
    assert ask(database_url, "late_jobs").returncode == 0


def test_the_analyst_is_asked_where_one_is_configured(database_url: str) -> None:
    gone = "postgresql://seqpulse_analyst@127.0.0.1:9/nowhere"
    done = ask(database_url, "-c", "SELECT 1", SEQPULSE_ANALYST_URL=gone)
    assert "127.0.0.1:9/nowhere" in done.stderr
