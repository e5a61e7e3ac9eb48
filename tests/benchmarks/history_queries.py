"""The four questions that matter, asked of a long history: of samples, and of rollups.

    history_queries.py                     # 1,000 projects, 30 days: 43 million rows; an hour
    history_queries.py --projects 100      # a tenth of it

Times are medians of five after one to warm up; ratios are to the same answer from the samples, in
the same run. Bounds: a window costs the same with 7, 30 and 90 days of history; a panel of all days
by the hour and the fleet's percentiles are at least five times as fast as from the samples, and
right to 2 %; the last sample of every project is ten times as fast as the naive way. A panel of a
week by five minutes has no bound: five rows become one, which shows when they come from the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core import logs
from core.database import Connection, connect
from sql import edition, rollups
from sql.retention import Retention
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell

ROUNDS: Final = 5
TURNS: Final = 9
UNTIL: Final = datetime(2026, 5, 4, tzinfo=UTC)
DAY: Final = timedelta(days=1)

PROJECTS: Final = """
INSERT INTO projects (id, name, plan, post_slots)
SELECT md5(i::text)::uuid, 'service ' || i, 'free', 5 FROM generate_series(1, $1::integer) AS i
"""
SAMPLES: Final = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec, latency_p95,
                            error_rate, cpu_usage, memory_usage)
SELECT at + i * interval '57 milliseconds', at, md5(i::text)::uuid, 'prod', 20 + 5 * random(),
       (20 + i % 100) * exp(0.2 * (random() + random() + random() - 1.5)),
       greatest(0, 0.01 * random() - 0.007), 0.3 + 0.05 * random(), 0.5 + 0.03 * random()
  FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 minute', '1 minute') AS at,
       generate_series(1, $1::integer) AS i
"""
WINDOW: Final = """
SELECT * FROM metric_samples
 WHERE project_id = md5('7')::uuid AND env = 'prod' AND slot_at >= $1 AND slot_at < $2
"""
WINDOW_SCAN: Final = """
SELECT * FROM metric_samples
 WHERE project_id::text = md5('7')::uuid::text AND env = 'prod'
   AND slot_at + interval '0' >= $1 AND slot_at + interval '0' < $2
"""
PANEL: Final = """
SELECT bucket_at, latency_p95_mean, latency_p95_max, error_rate_mean FROM report.samples_5m
 WHERE project_id = md5('7')::uuid AND env = 'prod' AND bucket_at >= $1
 ORDER BY bucket_at
"""
PANEL_RAW: Final = """
SELECT time_bucket('5 minutes', slot_at), avg(latency_p95), max(latency_p95), avg(error_rate)
  FROM metric_samples
 WHERE project_id = md5('7')::uuid AND env = 'prod' AND slot_at >= $1
 GROUP BY 1 ORDER BY 1
"""
LONG: Final = """
SELECT bucket_at, latency_p95_mean, latency_p95_max, error_rate_mean FROM report.samples_1h
 WHERE project_id = md5('7')::uuid AND env = 'prod' AND bucket_at >= $1
 ORDER BY bucket_at
"""
LONG_RAW: Final = PANEL_RAW.replace("5 minutes", "1 hour")
FLEET: Final = """
SELECT day, 2 / 2.04::float8
            * 1.04::float8 ^ (min(bin) FILTER (WHERE up_to >= ceil(0.95 * total)) - 2048) AS p95
  FROM (SELECT day, bin, sum(n) OVER (PARTITION BY day ORDER BY bin) AS up_to,
               sum(n) OVER (PARTITION BY day) AS total
          FROM (SELECT time_bucket('1 day', bucket_at) AS day, (element >> 16) & 4095 AS bin,
                       sum(element & 65535) AS n
                  FROM samples_1h, unnest(sketch) AS element
                 WHERE element >> 28 = 1 AND bucket_at >= $1
                 GROUP BY 1, 2) AS bins) AS summed
 GROUP BY day ORDER BY day
"""
FLEET_RAW: Final = """
SELECT time_bucket('1 day', slot_at) AS day,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_p95) AS p95
  FROM metric_samples WHERE slot_at >= $1
 GROUP BY 1 ORDER BY 1
"""
LATEST: Final = """
SELECT p.id, s.*
  FROM projects AS p
 CROSS JOIN LATERAL (
       SELECT * FROM metric_samples AS m
        WHERE m.project_id = p.id AND m.env = 'prod' ORDER BY m.slot_at DESC LIMIT 1) AS s
"""
LATEST_NAIVE: Final = """
SELECT DISTINCT ON (project_id) * FROM metric_samples ORDER BY project_id, slot_at DESC
"""


async def fill(conn: Connection, projects: int, days: int) -> None:
    """Write samples of the last `days` and roll them up."""
    await edition.reconcile(conn, Retention())
    await conn.execute(PROJECTS, projects)
    for day in range(days, 0, -1):
        await conn.execute(SAMPLES, projects, UNTIL - day * DAY, UNTIL - (day - 1) * DAY)
    await rollups.prepare(conn)
    await rollups.roll(conn, UNTIL)
    await conn.execute("VACUUM ANALYZE")
    await conn.execute("RESET ALL")


async def ask(conn: Connection, text: str, *arguments: object) -> tuple[float, list[Any]]:
    """Return the milliseconds a query takes, and its answer."""
    rows, took = await conn.fetch(text, *arguments), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        rows = await conn.fetch(text, *arguments)
        took.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(took), 2), rows


async def measure(url: str, projects: int, days: int) -> tuple[dict[str, Any], dict[str, bool]]:
    """Ask everything of a full history."""
    async with scratch_database(url, prefix="history") as database:
        conn = await connect(database, command_timeout=3600)
        began = time.perf_counter()
        await fill(conn, projects, days)
        tell(
            f"history_queries: {projects} projects, {days} days: filled and rolled up in "
            f"{time.perf_counter() - began:.0f} s"
        )
        figures: dict[str, Any] = {"rows": projects * days * 1440}
        asked = {
            "window": (WINDOW, WINDOW_SCAN, [UNTIL - 3 * DAY, UNTIL - 3 * DAY + DAY / 32]),
            "panel": (PANEL, PANEL_RAW, [UNTIL - 7 * DAY]),
            "panel_1h": (LONG, LONG_RAW, [UNTIL - days * DAY]),
            "fleet": (FLEET, FLEET_RAW, [UNTIL - days * DAY]),
            "latest": (LATEST, LATEST_NAIVE, []),
        }
        for name, (quick, slow, arguments) in asked.items():
            ms, answer = await ask(conn, quick, *arguments)
            slow_ms, exact = await ask(conn, slow, *arguments)
            figures[name] = {"ms": ms, "from_samples_ms": slow_ms, "ratio": round(slow_ms / ms, 2)}
            tell(f"history_queries: {name} {figures[name]}")
            if name == "fleet":
                pairs = zip(answer, exact, strict=True)
                off = max(abs(mine["p95"] / theirs["p95"] - 1) for mine, theirs in pairs)
                figures[name]["off_by"] = round(off, 4)
        await conn.close()
    return figures, {
        "panel_1h_5x": figures["panel_1h"]["ratio"] >= 5,
        "fleet_5x": figures["fleet"]["ratio"] >= 5,
        "fleet_right_to_2_percent": figures["fleet"]["off_by"] <= 0.02,
        "latest_10x": figures["latest"]["ratio"] >= 10,
    }


async def measure_growth(url: str, projects: int) -> tuple[dict[str, Any], dict[str, bool]]:
    """Ask the same with 7, 30 and 90 days of history, in turns."""
    since = UNTIL - 3 * DAY
    async with AsyncExitStack() as stack:
        conns = {}
        for days in (7, 30, 90):
            database = await stack.enter_async_context(scratch_database(url, prefix="history"))
            conns[days] = await connect(database, command_timeout=3600)
            stack.push_async_callback(conns[days].close)
            await fill(conns[days], projects, days)
        took: dict[int, list[float]] = {days: [] for days in conns}
        for _ in range(TURNS):
            for days, conn in conns.items():
                took[days].append((await ask(conn, WINDOW, since, since + DAY / 32))[0])
    figures = {str(days): round(statistics.median(each), 2) for days, each in took.items()}
    tell(f"history_queries: a window after days of history, ms: {figures}")
    flat = max(figures.values()) < 1.5 * min(figures.values())
    return {"window_ms": figures}, {"window_flat": flat}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="questions to a long history")
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    logs.configure("error")
    with server() as url:
        growth, flat = asyncio.run(measure_growth(url, max(10, options.projects // 50)))
        figures, holds = asyncio.run(measure(url, options.projects, options.days))
    report({"benchmark": "history_queries", **figures, "growth": growth}, holds | flat)


if __name__ == "__main__":
    main()
