"""History through `seqpulse import`: how fast beside psql's own \\copy, and does memory stay flat?

    python -P tests/benchmarks/bulk_ingest.py [--quick]

Import: a Parquet file of 1.44 million rows (1,000 days of a minute each), a tenth of them twice.
psql: `\\copy` of a CSV file with the same new rows, sorted, into the same hypertable, in one
transaction. Both are whole processes, from start to exit, into an emptied table after a
checkpoint, in turn. What counts are the rows that are new; the duplicates are ours to carry.
Memory: the peak of the resident memory of an import of ten million rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from core import logs
from core import settings as configuration
from core.database import Connection, connect
from core.secrets import Vault
from core.types import METRICS, Project
from sql import projects
from sql.embedded.install import find_installation, program
from sql.embedded.psql import connect_with
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell

DISTINCT: Final = 1_296_000
DUPLICATES: Final = 144_000
MANY: Final = 10_000_000
ROUNDS: Final = 5
START: Final = datetime(2023, 1, 1, tzinfo=UTC)
KEPT: Final = {f"SEQPULSE_KEEP_SAMPLES_{name}DAYS": "36500" for name in ("", "5M_", "1H_")}
COLUMNS: Final = ("slot_at", "project_id", "env", *METRICS)


def samples(count: int, step: timedelta) -> pl.DataFrame:
    """Return rows of one service, one every `step`."""
    chance = np.random.default_rng(7)
    moments = pl.datetime_range(START, START + (count - 1) * step, step, time_unit="us", eager=True)
    numbers = {name: chance.random(count).round(4) for name in METRICS}
    return pl.DataFrame({"slot_at": moments, "env": ["prod"] * count, **numbers})


def with_duplicates(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return `rows` with `count` of them a second time, spread over all of the file."""
    again = rows.sample(count, seed=7)
    return pl.concat([rows, again]).sort("slot_at")


def import_file(url: str, project: Project, path: Path) -> tuple[float, float]:
    """Run `seqpulse import`; return seconds and peak of resident memory in MB."""
    command = [sys.executable, "-m", "core.cli", "import", str(path), "--project", str(project.id)]
    env = {**os.environ, **KEPT, "SEQPULSE_DATABASE_URL": url}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=sys.stderr, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_megabytes(process.pid))
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the import failed with {process.returncode}")
    return seconds, peak


def peak_megabytes(pid: int) -> float:
    """Return the most resident memory of a process since it began, 0 if it is gone.

    Not `ru_maxrss`: that one counts what its parent had when it forked.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def copy_file(url: str, path: Path) -> float:
    """Run psql's \\copy; return seconds."""
    root = find_installation(configuration.load().cache_dir)
    psql = str(program(root, "psql")) if root else shutil.which("psql")
    if psql is None:
        raise SystemExit("there is no psql to compare with")
    database, password = connect_with(url)
    order = f"\\copy metric_samples ({', '.join(COLUMNS)}) FROM '{path}' (FORMAT csv)"
    began = time.perf_counter()
    subprocess.run(
        [psql, "-X", "-q", database, "-c", order], env={**os.environ, **password}, check=True
    )
    return time.perf_counter() - began


async def empty(conn: Connection) -> None:
    """Make both start alike."""
    await conn.execute("TRUNCATE metric_samples")
    await conn.execute("UPDATE history_edges SET closed_until = now()")  # as while workers run
    await conn.execute("CHECKPOINT")


async def expect(conn: Connection, count: int) -> None:
    """Make sure that all rows are there."""
    found = await conn.fetchval("SELECT count(*) FROM metric_samples")
    if found != count:
        raise SystemExit(f"{found} rows instead of {count}")


async def race(url: str, folder: Path, scale: int) -> dict[str, object]:
    """Import and copy the same new rows in turn; return the figures."""
    distinct, duplicates = DISTINCT // scale, DUPLICATES // scale
    rows = samples(distinct, timedelta(minutes=1))
    with_duplicates(rows, duplicates).write_parquet(folder / "history.parquet")
    conn = await connect(url, command_timeout=600)
    project, _ = await projects.create(conn, Vault(secrets.token_hex(32)), name="service")
    new = rows.with_columns(project_id=pl.lit(str(project.id))).select(COLUMNS)
    new.write_csv(folder / "new.csv", include_header=False, datetime_format="%FT%T%.6fZ")
    ours, theirs = [], []
    for number in range(ROUNDS):
        await empty(conn)
        ours.append(
            (await asyncio.to_thread(import_file, url, project, folder / "history.parquet"))[0]
        )
        await expect(conn, distinct)
        await empty(conn)
        theirs.append(await asyncio.to_thread(copy_file, url, folder / "new.csv"))
        await expect(conn, distinct)
        tell(f"round {number + 1}: import {ours[-1]:.1f} s, \\copy {theirs[-1]:.1f} s")
    ratios = [copy / own for own, copy in zip(ours, theirs, strict=True)]
    return {
        "rows": distinct + duplicates,
        "new_rows": distinct,
        "import_rows_per_s": round(distinct / statistics.median(ours)),
        "copy_rows_per_s": round(distinct / statistics.median(theirs)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


async def fill(url: str, folder: Path, scale: int) -> dict[str, object]:
    """Import ten million rows; return the figures."""
    count = MANY // scale
    path = folder / "many.parquet"
    samples(count, timedelta(seconds=5)).write_parquet(path)
    conn = await connect(url, command_timeout=600)
    await empty(conn)
    project, _ = await projects.create(conn, Vault(secrets.token_hex(32)), name="large service")
    seconds, megabytes = await asyncio.to_thread(import_file, url, project, path)
    await expect(conn, count)
    return {
        "many_rows": count,
        "many_rows_per_s": round(count / seconds),
        "many_peak_mb": round(megabytes, 1),
    }


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="history through seqpulse import")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    scale = 10 if parser.parse_args().quick else 1
    logs.configure("error")
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-bulk-"))
    try:
        with server() as server_url:
            async with scratch_database(server_url, prefix="bulk") as url:
                figures = {**await race(url, folder, scale), **await fill(url, folder, scale)}
    finally:
        shutil.rmtree(folder)
    tell(json.dumps(figures))
    holds = {
        "ratio_to_copy_at_least_0_6": float(str(figures["ratio"])) >= 0.6,
        "peak_memory_below_300_mb": float(str(figures["many_peak_mb"])) < 300,
    }
    report({"benchmark": "bulk_ingest", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
