"""What a sample costs to keep: as it is written, compressed, in the archive, rolled up.

    storage.py [--services 100] [--disk-price 0.08] [--store-price 0.023]

A week of samples as services make them (`load/weeks.py`) fills one chunk; sizes are with indexes
and all, divided by the samples, after they came in the order of time. Compressed is what the
Community edition of TimescaleDB makes of the chunk by our settings; on the Apache edition there is
none, and nothing is said of it. Parquet is what `seqpulse archive run` writes. Bounds: compressed
at most a fifth of raw, Parquet at most half of compressed. Prices are dollars for a gigabyte and
month, of a disk and of an object store; costs are those of a year of one service, kept for a year.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from core import logs
from core.database import Connection, connect
from sql import edition, retention, rollups
from sql.archive import expire, manifest
from sql.archive.store import Folder
from sql.edition import Edition
from sql.retention import Retention
from sql.scratch import scratch_database
from tests.benchmarks.load import weeks
from tests.benchmarks.load.ground import report, server, tell
from tests.benchmarks.load.weeks import DAY

SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The first moment of a chunk of seven days."""
UNTIL: Final = SINCE + 7 * DAY
AGES: Final = timedelta(days=36_500)
KEEP: Final = Retention(samples_5m=AGES, samples_1h=AGES, compress_after=AGES, archived=True)
"""The database itself compresses and drops nothing, whatever its clock says."""
NOW: Final = UNTIL + KEEP.samples + DAY
YEAR: Final = 365
MINUTES: Final = 1440

SIZE: Final = "SELECT hypertable_size($1::text::regclass)"
COMPRESS: Final = "SELECT compress_chunk(chunk) FROM show_chunks($1::text::regclass) AS chunk"


async def weigh(conn: Connection, table: str, count: int) -> float:
    """Return the bytes on disk per sample."""
    await conn.execute(f"VACUUM FREEZE {table}")
    size: int = await conn.fetchval(SIZE, table)
    return size / count


async def weigh_tables(conn: Connection, count: int) -> dict[str, float]:
    """Return the bytes per sample of the samples and of each rollup."""
    tables = {"raw": "metric_samples"} | {
        rollup.name: rollup.table for rollup in (*rollups.ROLLUPS, rollups.FLEET)
    }
    return {name: await weigh(conn, table, count) for name, table in tables.items()}


async def archive(conn: Connection, folder: Path, count: int) -> float:
    """Let the archive take the chunk; return its bytes per sample."""
    store = Folder(folder)
    if not await retention.mark(conn, NOW, KEEP):
        raise SystemExit("somebody is writing samples")
    outcomes = await expire.run(conn, store, NOW, KEEP.samples)
    if sum(outcome.written for outcome in outcomes) != count:
        raise SystemExit(f"not archived: {outcomes}")
    return sum(part.bytes for part in manifest.load(store)) / count


async def measure(conn: Connection, services: int, folder: Path) -> dict[str, float]:
    """Fill a chunk and weigh it in every form this edition has."""
    apache = await edition.reconcile(conn, KEEP) is Edition.APACHE
    await weeks.write(conn, services, SINCE, UNTIL)
    count = await conn.fetchval("SELECT count(*) FROM metric_samples")
    await rollups.prepare(conn)
    await rollups.roll(conn, UNTIL + timedelta(hours=1))
    weights = await weigh_tables(conn, count)
    if not apache:
        for table in edition.COMPRESSED:
            await conn.fetch(COMPRESS, table)
        packed = await weigh_tables(conn, count)
        weights |= {f"{name}_compressed": packed[name] for name in packed if name != "fleet_1h"}
    weights["parquet"] = await archive(conn, folder, count)
    return weights


def tell_costs(weights: dict[str, float], disk: float, store: float) -> dict[str, Any]:
    """Return megabytes and dollars of a year of one service, sample a minute, for each form."""
    costs = {}
    for name, weight in weights.items():
        megabytes = weight * MINUTES * YEAR / 1e6
        price = store if name == "parquet" else disk
        costs[name] = {
            "bytes_per_sample": round(weight, 2),
            "mb_per_service_year": round(megabytes, 1),
            "dollars_per_service_year": round(megabytes / 1000 * 12 * price, 4),
        }
        tell(f"storage: {name:16} {costs[name]}")
    return costs


async def run(services: int) -> dict[str, float]:
    """Measure in a database and a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-storage-"))
    try:
        with server() as url:
            async with scratch_database(url, prefix="storage") as database:
                conn = await connect(database, command_timeout=600)
                weights = await measure(conn, services, folder)
                await conn.close()
    finally:
        shutil.rmtree(folder)
    return weights


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="what a sample costs to keep")
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--disk-price", type=float, default=0.08)
    parser.add_argument("--store-price", type=float, default=0.023)
    options = parser.parse_args()
    logs.configure("error")
    weights = asyncio.run(run(options.services))
    costs = tell_costs(weights, options.disk_price, options.store_price)
    holds = {}
    if "raw_compressed" in weights:
        holds = {
            "compression_5x": weights["raw"] >= 5 * weights["raw_compressed"],
            "parquet_half_of_compressed": weights["parquet"] <= 0.5 * weights["raw_compressed"],
        }
    else:
        tell("storage: this is the Apache edition: compression is not measured, nor its bounds")
    report({"benchmark": "storage", **costs}, holds)


if __name__ == "__main__":
    main()
