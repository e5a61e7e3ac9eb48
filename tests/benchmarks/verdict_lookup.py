"""Verdict lookups: how fast beside a bare route, and how soon thousands who wait are woken.

    python -P tests/benchmarks/verdict_lookup.py [--quick]

Lookup: 64 connections ask one `seqpulse api` process for verdicts of 100,000 deployments, one
request after the other on each; in turn with it a bare FastAPI process does one fetchrow of the
same row (load/bare.py), same HTTP server, same size of pool. Waiting: 2,000 requests wait at one
process, for one verdict and then for 2,000 that are committed at once; late is from the moment the
commit returned to the answer's arrival. The pool is looked at while they wait and are woken.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx

from core import logs, processes
from core.database import Connection, connect
from core.secrets import Vault
from core.types import Project
from demo.stage import answering, environment, free_port
from sql import projects
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell
from tests.benchmarks.load.http import drive, get, lines, percentile

DEPLOYMENTS: Final = 100_000
CONNECTIONS: Final = 64
WAITERS: Final = 2_000
ROUNDS: Final = 5
SECONDS: Final = 4.0
POOL: Final = 10
PLENTY: Final = "1000000"

FILL: Final = """
INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, finished_at,
                         post_slots, slot_seconds)
SELECT gen_random_uuid(), $1, 'prod', 'main', $3, 'success', at, at + interval '2 min', 15, 60
  FROM (SELECT now() - i * interval '5 min' AS at FROM generate_series(1, $2::int) AS i) AS m
RETURNING id
"""
VERDICTS: Final = """
INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,
                      coverage_ratio, as_of, policy_digest)
SELECT id, 'seqpulse-v1', 'warning', true, 'regression', 0.97, 1, now(), '336c4b15e1053aa5'
  FROM deployments
"""
EVIDENCE: Final = """
INSERT INTO evidence
SELECT id, metric, 'baseline', 30, 15, 52.7325, 81.5437, 60.1204, 1, 0.2, true, 'introduced', true,
       'worse', 'step', 0.5463, 0.5101, 0.5822, 0.05, 0.0213, 'trimmed_t', 31.2214, 3.2e-14, 0.2,
       -0.4963, NULL
  FROM deployments,
       unnest('{requests_per_sec,latency_p95,error_rate,cpu_usage,memory_usage}'::text[]) AS metric
"""
HINTS: Final = """
INSERT INTO hints
SELECT id, 'latency_regression', 0, 'warning', 'Latency rose with this deploy',
       'p95 latency is 54.6 % above its level before the deploy, in 15 of 15 slots.',
       '{"Compare traces of the slowest route before and after.","Roll back if users notice."}',
       '{latency_p95}'
  FROM deployments
"""
SAVE: Final = """
WITH verdict AS (
    INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,
                          coverage_ratio, as_of)
    SELECT id, 'seqpulse-v1', 'ok', true, 'no_regression', 0.97, 1, now()
      FROM unnest($1::uuid[]) AS id
    RETURNING deployment_id
)
SELECT pg_notify('seqpulse_verdicts', deployment_id::text) FROM verdict
"""
IN_USE: Final = """
SELECT count(*) FILTER (WHERE application_name = 'seqpulse api' AND state <> 'idle')
       + count(*) FILTER (WHERE application_name = 'seqpulse waiting')
  FROM pg_stat_activity
 WHERE datname = current_database()
"""


@dataclass(frozen=True)
class Ground:
    """Two processes over one database.

    Attributes:
        url: The database.
        conn: A connection of ours.
        project: Whose deployments these are.
        key: Its API key.
        ids: Deployments with a verdict.
        api: Port of the API.
        bare: Port of the bare route.
    """

    url: str
    conn: Connection
    project: Project
    key: str
    ids: list[UUID]
    api: int
    bare: int


@asynccontextmanager
async def ground(url: str, folder: Path, deployments: int) -> AsyncIterator[Ground]:
    """Fill the database and start both processes."""
    env = {**environment(url), "SEQPULSE_POOL_SIZE": str(POOL), "SEQPULSE_READS_PER_MINUTE": PLENTY}
    async with AsyncExitStack() as stack:
        conn = await connect(url, command_timeout=None)
        stack.push_async_callback(conn.close)
        vault = Vault(env["SEQPULSE_SECRET_KEY"])
        project, key = await projects.create(conn, vault, name="shop", plan="pro")
        ids = [row[0] for row in await conn.fetch(FILL, project.id, deployments, "analyzed")]
        for text in (VERDICTS, EVIDENCE, HINTS, "VACUUM ANALYZE", "CHECKPOINT"):
            await conn.execute(text)
        api, bare = free_port(), free_port()
        log = stack.enter_context((folder / "log").open("wb"))
        script = str(Path(__file__).parent / "load" / "bare.py")
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-P", script, str(bare), url, str(POOL), stdout=log, stderr=log
        )
        stack.callback(started.terminate)
        ours = processes.start(["core.cli", "api", "--port", str(api)], env, log)
        stack.callback(processes.stop, ours)
        async with httpx.AsyncClient(trust_env=False) as client:
            await answering(client, f"http://127.0.0.1:{api}/readyz", folder / "log")
            await answering(client, f"http://127.0.0.1:{bare}/openapi.json", folder / "log")
        yield Ground(url, conn, project, str(key), ids, api, bare)


async def look_up(stage: Ground, seconds: float) -> dict[str, object]:
    """Ask both processes in turn; return speeds, their ratios, and how long ours took."""
    some = stage.ids[:: max(1, len(stage.ids) // 20_000)]
    ways = {
        "bare": (stage.bare, [get(f"/verdicts/{each}", stage.key) for each in some]),
        "ours": (stage.api, [get(f"/deployments/{each}/verdict", stage.key) for each in some]),
    }
    speeds: dict[str, list[float]] = {"bare": [], "ours": []}
    shapes: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(lines(port, CONNECTIONS))
            for name, (port, _) in ways.items()
        }
        for number in range(ROUNDS + 1):
            for name, (_, requests) in ways.items():
                speed, took = await drive(opened[name], requests, seconds if number else 1.0)
                if number:  # the first one warms up
                    speeds[name].append(speed)
                    shapes[name].append((percentile(took, 0.5), percentile(took, 0.99)))
                    mid, high = shapes[name][-1]
                    tell(f"round {number}, {name}: {speed:,.0f}/s, {mid:.1f} ms, p99 {high:.1f} ms")
    ratios = [ours / bare for ours, bare in zip(speeds["ours"], speeds["bare"], strict=True)]
    return {
        "lookups_per_s": round(statistics.median(speeds["ours"])),
        "bare_per_s": round(statistics.median(speeds["bare"])),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(each, 3) for each in ratios],
        "p50_ms": round(statistics.median(shape[0] for shape in shapes["ours"]), 2),
        "p99_ms": round(statistics.median(shape[1] for shape in shapes["ours"]), 2),
        "p99_to_p50": round(statistics.median(high / mid for mid, high in shapes["ours"]), 2),
        "bare_p99_to_p50": round(statistics.median(high / mid for mid, high in shapes["bare"]), 2),
    }


async def wake(stage: Ground, verdicts: int) -> tuple[float, float, int]:
    """Let all wait for so many verdicts and commit these.

    Returns:
        Half and 99 % of them were woken within so many ms after the commit; and how many
        connections of the process were in use at most, the listening one among them.
    """
    rows = await stage.conn.fetch(FILL, stage.project.id, verdicts, "finished")
    wanted = [row[0] for row in rows]
    woken: list[float] = []
    most = 0
    async with lines(stage.api, WAITERS) as opened:

        async def ask(place: int) -> None:
            path = f"/deployments/{wanted[place % verdicts]}/verdict?wait=60"
            status, _ = await opened[place].ask(get(path, stage.key))
            woken.append(time.perf_counter())
            if status != 200:
                raise SystemExit(f"woken with {status}")

        asked = [asyncio.create_task(ask(place)) for place in range(WAITERS)]
        await asyncio.sleep(4)  # all of them have asked, and the process is quiet again
        if woken:
            raise SystemExit("somebody was answered too early")
        watch = asyncio.create_task(_watch(stage.url, asked))
        await stage.conn.fetch(SAVE, wanted)
        committed = time.perf_counter()
        await asyncio.gather(*asked)
        most = await watch
    late = [(moment - committed) * 1000 for moment in woken]
    return percentile(late, 0.5), percentile(late, 0.99), most


async def _watch(url: str, asked: list[asyncio.Task[None]]) -> int:
    """Return how many connections of the process were in use at most, looking all the time."""
    conn = await connect(url)
    most = 0
    try:
        while not all(task.done() for task in asked):
            most = max(most, await conn.fetchval(IN_USE))
            await asyncio.sleep(0.02)
    finally:
        await conn.close()
    return most


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="verdict lookups")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything but waiters")
    part = 0.1 if parser.parse_args().quick else 1.0
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="seqpulse-lookup-") as folder, server() as server_url:
        async with (
            scratch_database(server_url, prefix="lookup") as url,
            ground(url, Path(folder), round(DEPLOYMENTS * part)) as stage,
        ):
            figures = await look_up(stage, SECONDS * max(part, 0.25))
            one, many = [], []
            for _ in range(ROUNDS if part == 1 else 2):
                one.append(await wake(stage, 1))
                many.append(await wake(stage, WAITERS))
                tell(f"woken p50, p99, connections: {one[-1]}, of many {many[-1]}")
    one_p99, many_p99 = (statistics.median(each[1] for each in way) for way in (one, many))
    most = max(each[2] for each in (*one, *many))
    figures |= {
        "waiters": WAITERS,
        "woken_one_p50_ms": round(statistics.median(each[0] for each in one), 1),
        "woken_one_p99_ms": round(one_p99, 1),
        "woken_many_p50_ms": round(statistics.median(each[0] for each in many), 1),
        "woken_many_p99_ms": round(many_p99, 1),
        "connections_in_use": most,
    }
    holds = {
        "ratio_at_least_0_75": float(str(figures["ratio"])) >= 0.75,
        "p99_below_4_p50": float(str(figures["p99_to_p50"])) < 4,
        "woken_one_p99_below_250_ms": one_p99 < 250,
        "woken_many_p99_below_250_ms": many_p99 < 250,
        "connections_at_most_2": most <= 2,
    }
    report({"benchmark": "verdict_lookup", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
