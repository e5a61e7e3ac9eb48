"""The four questions that matter, asked of a long history: of samples, and of rollups.

    history_queries.py                                  # 1,000 services, 30 days: 43 million rows
    history_queries.py --projects 100                   # a tenth of it
    history_queries.py --database history --stage fill  # in pieces; what is done is not done again
    history_queries.py --database history --stage ask --questions window,latest

Times are medians of five after one to warm up; ratios are to the same answer from a scan of the
samples, in the same run. Bounds: a window costs the same with 7, 30 and 90 days of history and a
hundredth of a scan; a panel of all days by the hour is five times as fast, the fleet's percentiles
by day are twenty times as fast and right to 2 %, the last sample of every service is ten times as
fast. A panel of a week by five minutes has no bound: five rows become one, which shows when they
come from the disk. Rolling up is compared with the plain aggregates of the same samples, which lack
the distribution and are stored nowhere; no bound either.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from core import logs
from core.database import Connection, connect
from sql import edition, migrate, rollups
from sql.retention import Retention
from sql.scratch import named, scratch_database
from sql.texts import query
from tests.benchmarks.load import weeks
from tests.benchmarks.load.ground import report, server, tell
from tests.benchmarks.load.weeks import DAY

ROUNDS: Final = 5
TURNS: Final = 9
UNTIL: Final = datetime(2026, 5, 4, tzinfo=UTC)
BASELINE_SECONDS: Final = 1800.0

QUESTIONS: Final = ("window", "panel", "panel_1h", "fleet", "latest")
SERVICE: Final = "md5('7')::uuid"
WINDOW_SCAN: Final = """
SELECT m.*
  FROM deployments AS d
  JOIN metric_samples AS m
    ON m.project_id::text = d.project_id::text AND m.env = d.env
   AND m.slot_at + interval '0' BETWEEN $2 AND $3
 WHERE d.id = $1
"""
PANEL: Final = f"""
SELECT bucket_at, latency_p95_mean, latency_p95_max, error_rate_mean FROM report.samples_5m
 WHERE project_id = {SERVICE} AND env = 'prod' AND bucket_at >= $1
 ORDER BY bucket_at
"""
PANEL_RAW: Final = f"""
SELECT time_bucket('5 minutes', slot_at), avg(latency_p95), max(latency_p95), avg(error_rate)
  FROM metric_samples
 WHERE project_id = {SERVICE} AND env = 'prod' AND slot_at >= $1
 GROUP BY 1 ORDER BY 1
"""
LONG: Final = PANEL.replace("samples_5m", "samples_1h")
LONG_RAW: Final = PANEL_RAW.replace("5 minutes", "1 hour")
FLEET: Final = """
SELECT time_bucket('1 day', bucket_at) AS day,
       report.quantile_of(report.merge_sketches(sketch), 'latency_p95', 0.95) AS p95
  FROM report.samples_fleet_1h
 WHERE env = 'prod' AND bucket_at >= $1
 GROUP BY 1 ORDER BY 1
"""
FLEET_RAW: Final = """
SELECT time_bucket('1 day', slot_at) AS day,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_p95) AS p95
  FROM metric_samples
 WHERE env = 'prod' AND slot_at >= $1
 GROUP BY 1 ORDER BY 1
"""
LATEST: Final = "SELECT project_id, last_sample_at, latency_p95 FROM report.service_status"
LATEST_NAIVE: Final = """
SELECT DISTINCT ON (project_id) project_id, slot_at, latency_p95
  FROM metric_samples ORDER BY project_id, slot_at DESC
"""
AGGREGATES: Final = """
SELECT count(*)
  FROM (SELECT time_bucket($1, slot_at), project_id, env, count(*) AS samples,
               avg(requests_per_sec) AS a, min(requests_per_sec) AS b, max(requests_per_sec) AS c,
               avg(latency_p95) AS d, min(latency_p95) AS e, max(latency_p95) AS f,
               avg(error_rate) AS g, min(error_rate) AS h, max(error_rate) AS i,
               avg(cpu_usage) AS j, min(cpu_usage) AS k, max(cpu_usage) AS l,
               avg(memory_usage) AS m, min(memory_usage) AS n, max(memory_usage) AS o
          FROM metric_samples
         WHERE slot_at >= $2 AND slot_at < $3
         GROUP BY 1, 2, 3) AS aggregated
 WHERE a + b + c + d + e + f + g + h + i + j + k + l + m + n + o > -1
"""


async def fill(conn: Connection, services: int, days: int) -> None:
    """Write samples of the last `days` and roll them up, as far as that is not done."""
    await edition.reconcile(conn, Retention())
    await weeks.fill(conn, services, UNTIL - days * DAY, UNTIL)
    await rollups.prepare(conn)
    await rollups.roll(conn, UNTIL + DAY / 24)
    await conn.execute("VACUUM ANALYZE")
    await conn.execute("RESET ALL")


@asynccontextmanager
async def kept_database(url: str, name: str) -> AsyncIterator[str]:
    """A database that is there, or is made, and stays."""
    conn = await connect(url)
    if not await conn.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
        await conn.execute(query("databases.create").format(name=name))
    await conn.close()
    conn = await connect(named(url, name))
    await migrate.migrate(conn)
    await conn.close()
    yield named(url, name)


async def ask(conn: Connection, text: str, *arguments: object) -> tuple[float, list[Any]]:
    """Return the milliseconds a query takes, and its answer."""
    rows, took = await conn.fetch(text, *arguments), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        rows = await conn.fetch(text, *arguments)
        took.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(took), 2), rows


async def find_window(conn: Connection) -> tuple[UUID, datetime, datetime]:
    """Return a deployment of three days ago, and what its window lies between."""
    row = await conn.fetchrow(
        "SELECT id, triggered_at, finished_at + post_slots * slot_seconds * interval '1 second' "
        f"FROM deployments WHERE project_id = {SERVICE}"
    )
    if row is None:
        raise SystemExit("there is no deployment: the database was filled by something else")
    return row[0], row[1] - timedelta(seconds=BASELINE_SECONDS), row[2]


async def compare(conn: Connection, days: int, questions: Sequence[str]) -> dict[str, Any]:
    """Ask questions both ways."""
    one, since, until = await find_window(conn)
    window = [[one], BASELINE_SECONDS, since, until]
    begin = UNTIL - days * DAY
    figures: dict[str, Any] = {"rows": await conn.fetchval("SELECT count(*) FROM metric_samples")}
    for name, quick, arguments, slow, others in (
        ("window", query("windows.samples"), window, WINDOW_SCAN, [one, since, until]),
        ("panel", PANEL, [UNTIL - 7 * DAY], PANEL_RAW, [UNTIL - 7 * DAY]),
        ("panel_1h", LONG, [begin], LONG_RAW, [begin]),
        ("fleet", FLEET, [begin], FLEET_RAW, [begin]),
        ("latest", LATEST, [], LATEST_NAIVE, []),
    ):
        if name not in questions:
            continue
        ms, answer = await ask(conn, quick, *arguments)
        slow_ms, exact = await ask(conn, slow, *others)
        figures[name] = {"ms": ms, "from_samples_ms": slow_ms, "ratio": round(slow_ms / ms, 2)}
        if name == "fleet":
            pairs = zip(answer, exact, strict=True)
            off = max(abs(mine["p95"] / theirs["p95"] - 1) for mine, theirs in pairs)
            figures[name]["off_by"] = round(off, 4)
        if name == "latest" and len(answer) != len(exact):
            raise SystemExit(f"{len(answer)} services have a last sample, not {len(exact)}")
        tell(f"history_queries: {name} {figures[name]}")
    return figures


async def measure(
    url: str, projects: int, days: int, database: str | None, questions: Sequence[str]
) -> dict[str, Any]:
    """Ask questions of a full history."""
    place = kept_database(url, database) if database else scratch_database(url, prefix="history")
    async with place as full:
        conn = await connect(full, command_timeout=3600)
        began = time.perf_counter()
        await fill(conn, projects, days)
        seconds = time.perf_counter() - began
        tell(f"history_queries: {projects} services, {days} days: there after {seconds:.0f} s")
        figures = await compare(conn, days, questions) if questions else {}
        await conn.close()
    return figures


def hold(figures: dict[str, Any]) -> dict[str, bool]:
    """Say which bounds hold, of what was asked."""
    bounds = {"window": 100, "panel_1h": 5, "fleet": 20, "latest": 10}
    holds = {
        f"{name}_{bound}x": figures[name]["ratio"] >= bound
        for name, bound in bounds.items()
        if name in figures
    }
    if "fleet" in figures:
        holds["fleet_right_to_2_percent"] = figures["fleet"]["off_by"] <= 0.02
    return holds


async def measure_growth(url: str, projects: int) -> tuple[dict[str, Any], dict[str, bool]]:
    """Ask for a window after 7, 30 and 90 days of history, in turns; roll the shortest up."""
    async with AsyncExitStack() as stack:
        conns = {}
        for days in (7, 30, 90):
            database = await stack.enter_async_context(scratch_database(url, prefix="history"))
            conns[days] = await connect(database, command_timeout=3600)
            stack.push_async_callback(conns[days].close)
            await edition.reconcile(conns[days], Retention())
            await weeks.fill(conns[days], projects, UNTIL - days * DAY, UNTIL)
        took: dict[int, list[float]] = {days: [] for days in conns}
        for _ in range(TURNS):
            for days, conn in conns.items():
                one, since, until = await find_window(conn)
                window = [[one], BASELINE_SECONDS, since, until]
                took[days].append((await ask(conn, query("windows.samples"), *window))[0])
        rolled = await measure_rolling(conns[7], projects)
    figures = {str(days): round(statistics.median(each), 2) for days, each in took.items()}
    tell(f"history_queries: a window after days of history, ms: {figures}")
    flat = max(figures.values()) < 1.5 * min(figures.values())
    return {"services": projects, "window_ms": figures, "rolling": rolled}, {"window_flat": flat}


async def measure_rolling(conn: Connection, services: int) -> dict[str, Any]:
    """Roll up day after day, beside the plain aggregates of the same day."""
    await rollups.prepare(conn)
    await rollups.roll(conn, UNTIL - 6 * DAY + DAY / 24)
    rolling, plain = [], []
    for day in range(ROUNDS):
        since = UNTIL - (6 - day) * DAY
        began = time.perf_counter()
        for rollup in rollups.ROLLUPS:
            await conn.fetch(AGGREGATES, rollup.width, since, since + DAY)
        plain.append(time.perf_counter() - began)
        began = time.perf_counter()
        await rollups.roll(conn, since + DAY + DAY / 24)
        rolling.append(time.perf_counter() - began)
    ratios = [mine / bare for mine, bare in zip(rolling, plain, strict=True)]
    figures = {
        "s_per_million": round(statistics.median(rolling) / services / 1440 * 1e6, 2),
        "ratio_to_plain_aggregates": round(statistics.median(ratios), 2),
    }
    tell(f"history_queries: rolling up {figures}")
    return figures


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="questions to a long history")
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--database", help="a name; it is made if it is not there, and kept")
    parser.add_argument("--stage", choices=["fill", "ask", "growth", "all"], default="all")
    parser.add_argument("--questions", default=",".join(QUESTIONS))
    options = parser.parse_args()
    questions = [] if options.stage == "fill" else options.questions.split(",")
    logs.configure("error")
    figures: dict[str, Any] = {}
    holds: dict[str, bool] = {}
    with server() as url:
        if options.stage in ("growth", "all"):
            growth, flat = asyncio.run(measure_growth(url, max(10, options.projects // 10)))
            figures, holds = figures | {"growth": growth}, holds | flat
        if options.stage != "growth":
            place = (options.projects, options.days, options.database)
            asked = asyncio.run(measure(url, *place, questions))
            figures, holds = figures | asked, holds | hold(asked)
    report({"benchmark": "history_queries", **figures}, holds)


if __name__ == "__main__":
    main()
