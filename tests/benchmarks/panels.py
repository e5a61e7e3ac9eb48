"""How long does every panel of the boards take after 90 days of 200 services?

    panels.py                                            # 200 services, 90 days, samples of 8
    panels.py --projects 50 --days 30 --raw 3
    panels.py --database boards --stage fill             # in pieces; filled once, kept

Every query of panels, variables and markers, for a day and for all days, all services chosen, as
Grafana's role with the macros expanded: the median of five after one to warm up, and its ratio to a
count of deployments or of hourly rows over the same time, whichever is dearer. Bounds: the worst
below half a second for a day, below a second and a half for 90 days.

Samples reach back `--raw` days only, because no panel of more days reads them (a test says so);
rollups reach back `--days`: those of one day, repeated. What is said of deployments is made up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from core import logs
from core.database import Connection, connect
from sql import bulk, rollups
from sql.scratch import scratch_database
from tests.benchmarks.history_queries import kept_database
from tests.benchmarks.load.ground import report, server, tell
from tests.dashboards.checks import render
from tests.dashboards.grafana import ALL, Query, Range, queries
from tests.roles import GRAFANA, make, url_as

HERE: Final = Path(__file__).parent
BOARDS: Final = ("overview", "deployment", "sdh", "projects", "accuracy")
ROUNDS: Final = 5
BOUNDS: Final = {"day": 500.0, "all": 1500.0}
DAY: Final = timedelta(days=1)
COUNTS: Final = (
    "SELECT count(*) FROM report.deployment_overview WHERE finished_at BETWEEN $1 AND $2",
    "SELECT count(*) FROM report.samples_1h WHERE bucket_at BETWEEN $1 AND $2",
)


async def fill(url: str, services: int, days: int, raw: int) -> None:
    """Fill a database, unless that is done."""
    conn = await connect(url, command_timeout=3600)
    if not await conn.fetchval("SELECT count(*) FROM projects"):
        text = (HERE / "panels.sql").read_text()
        for name, value in (("services", services), ("days", days), ("raw", raw)):
            text = text.replace(f":{name}", str(value))
        for statement in filter(str.strip, text.split(";\n")):
            await conn.execute(statement)
        now = await bulk.read_clock(conn)
        await rollups.prepare(conn)
        await rollups.roll(conn, now)
        day = datetime(now.year, now.month, now.day, tzinfo=UTC) - (raw - 1) * DAY
        before = (HERE / "panels_before.sql").read_text()
        for table in ("samples_5m", "samples_1h"):
            await conn.execute(before.format(table=table), days - raw + 1, day)
        await conn.execute(
            "INSERT INTO samples_fleet_1h SELECT bucket_at - i * interval '1 day', env, services, "
            "samples, missed, sketch FROM samples_fleet_1h, generate_series(1, $1::integer) AS i "
            "WHERE bucket_at >= $2 AND bucket_at < $2 + interval '1 day' ON CONFLICT DO NOTHING",
            days - raw + 1,
            day,
        )
        await conn.execute("VACUUM ANALYZE")
    await conn.close()
    await make(url)


async def take(conn: Connection, text: str, *arguments: object) -> float:
    """Return the milliseconds of a query."""
    await conn.fetch(text, *arguments)
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await conn.fetch(text, *arguments)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


async def ask(conn: Connection, span: Range) -> dict[str, Any]:
    """Ask every query of every board."""
    deployment = await conn.fetchval(
        "SELECT deployment_id::text FROM report.deployment_overview "
        "ORDER BY finished_at DESC LIMIT 1"
    )
    chosen = dict.fromkeys(("project", "env", "severity", "rule"), ALL) | {"deployment": deployment}
    count = max([await take(conn, text, span.since, span.until) for text in COUNTS])
    took: dict[str, float] = {}
    for name in BOARDS:
        board = json.loads((HERE.parents[1] / f"dashboards/grafana/{name}.json").read_text())
        query: Query
        for query in queries(board):
            took[query.name] = await take(conn, render(query, span, chosen, board))
    worst = sorted(took.items(), key=lambda item: -item[1])
    return {
        "queries": len(took),
        "count_ms": round(count, 1),
        "median_ms": round(statistics.median(took.values()), 1),
        "worst_ms": round(worst[0][1], 1),
        "median_ratio": round(statistics.median(took.values()) / count, 2),
        "worst": {name: [round(ms, 1), round(ms / count, 2)] for name, ms in worst[:8]},
    }


@asynccontextmanager
async def database(url: str, name: str | None) -> AsyncIterator[str]:
    """The database of that name, or one for now."""
    place = kept_database(url, name) if name else scratch_database(url, prefix="panels")
    async with place as found:
        yield found


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Fill, and ask for a day and for all days."""
    figures: dict[str, Any] = {"services": options.projects, "days": options.days}
    with server() as url:
        async with database(url, options.database) as place:
            began = time.perf_counter()
            await fill(place, options.projects, options.days, options.raw)
            tell(f"panels: filled after {time.perf_counter() - began:.0f} s")
            if options.stage == "fill":
                return figures
            conn = await connect(place)
            for table in ("metric_samples", "samples_5m", "samples_1h", "deployments"):
                figures[table] = await conn.fetchval(f"SELECT count(*) FROM {table}")
            await conn.close()
            conn = await connect(url_as(place, GRAFANA))
            until = datetime.now(UTC)
            for name, days in (("day", 1), ("all", options.days)):
                figures[name] = await ask(conn, Range.ending(until, days=days))
                tell(f"panels: {name} {figures[name]}")
            await conn.close()
    return figures


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="every panel of every board")
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--raw", type=int, default=8)
    parser.add_argument("--database", help="a name; it is made if it is not there, and kept")
    parser.add_argument("--stage", choices=["fill", "all"], default="all")
    options = parser.parse_args()
    logs.configure("error")
    figures = asyncio.run(measure(options))
    holds = {
        f"worst_{name}_below_{bound:.0f}_ms": figures[name]["worst_ms"] < bound
        for name, bound in BOUNDS.items()
        if name in figures
    }
    report({"benchmark": "panels", **figures}, holds)


if __name__ == "__main__":
    main()
