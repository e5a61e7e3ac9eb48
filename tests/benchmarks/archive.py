"""A chunk into the archive and back: how fast beside a plain COPY, and does memory stay flat?

    python -P tests/benchmarks/archive.py [--quick]

Out: `archive.expire.run` of one chunk, from the first read until it is dropped: written, synced,
read back, compared. Beside it `COPY chunk TO STDOUT` into a file that is synced. Both
on the same chunk, filled anew in the order of time before each round, in turn. In: `restore` of
all its days. Memory: the peak of `seqpulse archive run`, a process of its own, for one chunk and
for one three times as large.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from core import logs
from core.database import Connection, connect
from sql.archive import expire, manifest, restore
from sql.archive.store import Folder
from sql.scratch import scratch_database
from tests.benchmarks.bulk_ingest import peak_megabytes
from tests.benchmarks.load.ground import report, server, tell
from tests.history import SETTLE

SERVICES: Final = 100
DAYS: Final = 7
"""A whole chunk."""
ROUNDS: Final = 5
LARGE: Final = 3
"""How much larger the larger chunk is."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOW: Final = START + timedelta(days=200)
KEEP: Final = timedelta(days=30)

PROJECTS: Final = """
INSERT INTO projects (id, name, plan, post_slots)
SELECT gen_random_uuid(), 'service ' || i, 'pro', 15 FROM generate_series(1, $1::integer) AS i
"""
# A sample a minute of every service, rounded as the SDK does, in the order in which workers write.
# Every 12 hours 15 slots are those of a deployment.
SAMPLES: Final = """
CREATE TABLE pristine AS
SELECT t.at + p.n * interval '0.13 seconds' AS slot_at,
       t.at + p.n * interval '0.13 seconds' + random() * interval '0.3 seconds' AS collected_at,
       p.id AS project_id, 'prod' AS env,
       CASE WHEN t.i % 720 < 15 THEN md5(p.id::text || t.i / 720)::uuid END AS deployment_id,
       CASE WHEN t.i % 720 < 15 THEN 'post' END AS phase,
       CASE WHEN t.i % 720 < 15 THEN (t.i % 720)::smallint END AS sequence_index,
       round((1200 + 300 * random())::integer / 60.0, 3)::float8 AS requests_per_sec,
       round((50 + 5 * random())::numeric, 3)::float8 AS latency_p95,
       CASE WHEN random() < 0.7 THEN 0
            ELSE round((1 + 3 * random())::integer / 1350.0, 6) END::float8 AS error_rate,
       round((0.3 + 0.02 * random())::numeric, 6)::float8 AS cpu_usage,
       round((0.5 + 0.01 * random())::numeric, 6)::float8 AS memory_usage,
       NULL::jsonb AS extra
  FROM (SELECT i, timestamptz '2026-01-01' + i * interval '1 minute' AS at
          FROM generate_series(0, $1::integer * 1440 - 1) AS i) AS t,
       (SELECT id, row_number() OVER (ORDER BY id) AS n FROM projects) AS p
 ORDER BY slot_at
"""


async def make(conn: Connection, services: int, days: int) -> int:
    """Make the rows, beside the table they belong to; return how many."""
    await conn.execute("TRUNCATE projects CASCADE")
    await conn.execute("DROP TABLE IF EXISTS pristine")
    await conn.execute(PROJECTS, services)
    await conn.execute(SAMPLES.replace("$1", str(days)))
    count: int = await conn.fetchval("SELECT count(*) FROM pristine")
    return count


async def refill(conn: Connection) -> str:
    """Put the rows into an empty table; return the name of their chunk."""
    await conn.execute("TRUNCATE metric_samples, restored_days")
    await conn.execute("INSERT INTO metric_samples SELECT * FROM pristine")
    await conn.execute(SETTLE)
    await conn.execute("VACUUM ANALYZE metric_samples")
    await conn.execute("CHECKPOINT")
    [chunk] = await conn.fetch("SELECT show_chunks('metric_samples')::text AS name")
    return str(chunk["name"])


async def copy_out(conn: Connection, chunk: str, path: Path) -> float:
    """Copy the chunk into a file; return seconds."""
    schema, _, name = chunk.partition(".")
    began = time.perf_counter()
    with path.open("wb") as file:
        await conn.copy_from_table(name, schema_name=schema, output=file, timeout=600)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


async def archive_out(conn: Connection, store: Folder, count: int) -> float:
    """Archive and drop the chunk; return seconds."""
    began = time.perf_counter()
    [outcome] = await expire.run(conn, store, NOW, KEEP)
    seconds = time.perf_counter() - began
    if (outcome.fate, outcome.written) != (expire.Fate.DROPPED, count):
        raise SystemExit(f"not archived: {outcome}")
    return seconds


async def archive_in(conn: Connection, store: Folder, count: int) -> float:
    """Bring all days back; return seconds."""
    days = [part.day for part in manifest.load(store)]
    began = time.perf_counter()
    done = await restore.restore(conn, store, min(days), max(days), NOW)
    seconds = time.perf_counter() - began
    if done.stored != count:
        raise SystemExit(f"not restored: {done}")
    return seconds


async def race(conn: Connection, folder: Path, scale: int) -> dict[str, object]:
    """Copy and archive the same chunk in turn; return the figures."""
    count = await make(conn, SERVICES // scale, DAYS)
    copied, out, back, size = [], [], [], 0
    for number in range(ROUNDS):
        chunk = await refill(conn)
        store = Folder(folder / f"archive-{number}")
        copied.append(await copy_out(conn, chunk, folder / "copy"))
        out.append(await archive_out(conn, store, count))
        back.append(await archive_in(conn, store, count))
        size = sum(part.bytes for part in manifest.load(store))
        tell(f"copy {copied[-1]:.2f} s, archive {out[-1]:.2f} s, restore {back[-1]:.2f} s")
    ratios = [copy / own for copy, own in zip(copied, out, strict=True)]
    return {
        "rows": count,
        "copy_rows_per_s": round(count / statistics.median(copied)),
        "out_rows_per_s": round(count / statistics.median(out)),
        "in_rows_per_s": round(count / statistics.median(back)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "bytes_per_row": round(size / count, 2),
    }


def run_process(url: str, store: Path) -> float:
    """Run `seqpulse archive run`; return the peak of its resident memory in MB."""
    command = [sys.executable, "-m", "core.cli", "archive", "run", "--url", str(store)]
    env = {**os.environ, "SEQPULSE_DATABASE_URL": url}
    process = subprocess.Popen(command, env=env, stdout=sys.stderr)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_megabytes(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"archive run failed with {process.returncode}")
    return peak


async def weigh(conn: Connection, url: str, folder: Path, scale: int) -> dict[str, object]:
    """Archive a chunk and a larger one in processes of their own; return the figures."""
    peaks = []
    for times in (1, LARGE):
        await make(conn, SERVICES // scale * times, DAYS)
        await refill(conn)
        peaks.append(await asyncio.to_thread(run_process, url, folder / f"weighed-{times}"))
        tell(f"{times} x: {peaks[-1]:.0f} MB")
    return {
        "peak_mb": round(peaks[0], 1),
        "larger_peak_mb": round(peaks[1], 1),
        "peak_ratio": round(peaks[1] / peaks[0], 3),
    }


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="a chunk into the archive and back")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    scale = 10 if parser.parse_args().quick else 1
    logs.configure("error")
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-archive-"))
    try:
        with server() as server_url:
            async with scratch_database(server_url, prefix="archive") as url:
                conn = await connect(url, command_timeout=600)
                figures = await race(conn, folder, scale)
                figures |= await weigh(conn, url, folder, scale)
                await conn.close()
    finally:
        shutil.rmtree(folder)
    tell(json.dumps(figures))
    holds = {
        "ratio_to_copy_at_least_0_5": float(str(figures["ratio"])) >= 0.5,
        "memory_flat": float(str(figures["peak_ratio"])) <= 1.25,
    }
    report({"benchmark": "archive", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
