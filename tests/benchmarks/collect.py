"""What does a stored sample cost, against a bare GET of the same target?

    python -P tests/benchmarks/collect.py [--quick]

First a race on a thousand targets on loopback, five rounds, each with both in turn. The bare loop
is httpx's own client with so many GETs at the same time, and nothing else. SeqPulse is a worker of
the product in one process with so many reads at the same time: it claims the jobs, looks up targets
and secrets, checks the address, keeps the limits, signs, reads, parses, stores the sample and
settles the job. The targets run in a process of their own, the database in its own ones.

Then two minutes of the continuous baseline of 5,000 projects, each read once a minute. A slot's
lateness is the time from its planned moment to its stored sample. How late a timer of the same
process comes meanwhile tells what of that is the machine's doing: where `timer_late_p99_s` is not
small, something else was running and the bound says nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Final
from uuid import UUID

import httpx

from analytics import policy
from core import logs
from core import settings as configuration
from core.database import Connection, Pool, connect, create_pool
from core.secrets import Vault, new_hmac_secret
from ingest.collector import Collector
from ingest.turns import Turns
from scheduler import baseline, queue, tasks
from scheduler.jobs import JobKind, NewJob, Priority
from sql import projects, targets
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell, working

CONCURRENCY: Final = 100
SLOT: Final = 1.0
"""In the race, so that nobody is throttled: a target is read once a round."""
MINUTE: Final = 60.0
RATIO_BOUND: Final = 0.60
LATE_BOUND: Final = 1.0
PREPARATION: Final = 45.0
"""Seconds in which the projects are written, before the first slot is due."""


@contextmanager
def services(count: int) -> Iterator[list[str]]:
    """Run the targets; yield their URLs."""
    command = [sys.executable, "-P", "-m", "tests.benchmarks.load.targets", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield [f"http://127.0.0.1:{port}/metrics" for port in ports]
        process.stdin.close()


async def get_all(urls: list[str]) -> float:
    """GET every URL with nothing but httpx; return the answers per second."""
    waiting = iter(urls)

    async def loop(client: httpx.AsyncClient) -> None:
        for url in waiting:
            (await client.get(url)).raise_for_status()

    limits = httpx.Limits(max_connections=CONCURRENCY)
    async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=30) as client:
        began = time.perf_counter()
        await asyncio.gather(*(loop(client) for _ in range(CONCURRENCY)))
        return len(urls) / (time.perf_counter() - began)


@asynccontextmanager
async def ready(url: str, vault: Vault, slot_seconds: float) -> AsyncIterator[tasks.Context]:
    """Everything a worker of the product has."""
    settings = configuration.load(
        database_url=url, secret_key=vault.master_key, target_allow=("127.0.0.0/8",)
    )
    async with (
        await create_pool(url, settings.pool_size) as pool,
        Collector(
            timeout_seconds=settings.collect_timeout_seconds,
            slot_seconds=slot_seconds,
            target_allow=settings.target_allow,
            max_concurrency=CONCURRENCY,
            take_turn=Turns(pool, slot_seconds).take,
        ) as collector,
    ):
        yield tasks.Context(pool, vault, collector, policy.find(settings.policy), settings)


async def found(conn: Connection, vault: Vault, urls: list[str]) -> list[UUID]:
    """Create a project with signed reads for each URL."""
    made = []
    async with conn.transaction():
        for number, url in enumerate(urls):
            project, _ = await projects.create(
                conn, vault, name=f"service {number}", hmac_secret=new_hmac_secret()
            )
            await targets.put(conn, project.id, "prod", url)
            made.append(project.id)
    return made


async def collect_all(conn: Connection, team: list[UUID]) -> tuple[float, float]:
    """Have every target collected once; return samples per second and processor seconds each."""
    before = await conn.fetchval("SELECT count(*) FROM metric_samples")
    now = await conn.fetchval("SELECT now()")
    jobs = [
        NewJob(
            kind=JobKind.COLLECT,
            project_id=project_id,
            env="prod",
            scheduled_at=now,
            deadline_at=now + timedelta(minutes=5),
            priority=Priority.POST,
        )
        for project_id in team
    ]
    await queue.enqueue(conn, jobs)
    used, began = time.process_time(), time.perf_counter()
    await queue.wake(conn)
    while await conn.fetchval("SELECT count(*) FROM scheduled_jobs"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - began
    stored = await conn.fetchval("SELECT count(*) FROM metric_samples") - before
    assert stored == len(team), f"{len(team) - stored} slots were missed"
    return stored / seconds, (time.process_time() - used) / stored


async def race(server_url: str, urls: list[str], rounds: int) -> dict[str, object]:
    """Let both have the same targets in turn, some rounds."""
    vault = Vault(secrets.token_hex(32))
    bare, ours, costs = [], [], []
    async with scratch_database(server_url, prefix="collect") as url, ready(url, vault, SLOT) as it:
        conn = await connect(url)
        team = await found(conn, vault, urls)
        async with working(url, partial(tasks.handle, context=it)):
            await collect_all(conn, team)  # warm
            for number in range(rounds):
                bare.append(await get_all(urls))
                speed, cost = await collect_all(conn, team)
                ours.append(speed)
                costs.append(cost)
                tell(f"round {number + 1}: bare {bare[-1]:.0f}/s, stored samples {speed:.0f}/s")
        await conn.close()
    return {
        "bare_per_s": median(bare),
        "samples_per_s": median(ours),
        "ratio": median(mine / other for mine, other in zip(ours, bare, strict=True)),
        "cpu_ms_per_sample": 1000 * median(costs),
    }


async def watch_all(
    server_url: str, urls: list[str], count: int, minutes: int
) -> dict[str, object]:
    """Watch so many projects for some minutes; return how late their samples came."""
    vault = Vault(secrets.token_hex(32))
    async with scratch_database(server_url, prefix="collect") as url, ready(url, vault, 60) as it:
        conn = await connect(url)
        team = await found(conn, vault, [urls[number % len(urls)] for number in range(count)])
        first_at = await conn.fetchval("SELECT now()") + timedelta(seconds=PREPARATION)
        async with conn.transaction():
            for project_id in team:
                await baseline.watch(
                    conn, project_id, "prod", None, first_at=first_at, interval_seconds=MINUTE
                )
        async with working(url, partial(tasks.handle, context=it)):
            left = (first_at - await conn.fetchval("SELECT now()")).total_seconds()
            assert left > 0, "the preparation took too long"
            await asyncio.sleep(left)
            lags: list[float] = []
            timer = asyncio.create_task(watch_timer(lags))
            used = time.process_time()
            await asyncio.sleep(minutes * MINUTE)
            used = time.process_time() - used
            timer.cancel()
        figures = await _lateness(it.pool, minutes * count)
        await conn.close()
    return {
        **figures,
        "cpu_ms_per_sample_paced": 1000 * used / max(1, int(figures["samples"])),
        "timer_late_p99_s": sorted(lags)[int(0.99 * len(lags))],
    }


async def watch_timer(lags: list[float]) -> None:
    """Write down for ever how late a timer of ten milliseconds comes."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        lags.append(time.perf_counter() - began - 0.01)


async def _lateness(pool: Pool, planned: int) -> dict[str, float]:
    (row,) = await pool.fetch(
        "SELECT count(*) AS samples, (SELECT count(*) FROM missed_slots) AS missed, "
        "percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP "
        "(ORDER BY extract(epoch FROM collected_at - slot_at)::float8) AS late FROM metric_samples"
    )
    return {
        "planned": planned,
        "samples": row["samples"],
        "missed": row["missed"],
        "late_p50_s": row["late"][0],
        "late_p99_s": row["late"][1],
        "late_max_s": row["late"][2],
    }


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="what a stored sample costs")
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--race-only", action="store_true", help="not the two minutes")
    options = parser.parse_args()
    logs.configure("error")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    count, rounds = (200, 2) if options.quick else (1_000, 5)
    with server() as url, services(count) as urls:
        figures = await race(url, urls, rounds)
        holds = {"ratio_to_bare_httpx": float(str(figures["ratio"])) >= RATIO_BOUND}
        if not options.race_only:
            watched, minutes = (500, 1) if options.quick else (5_000, 2)
            tell(f"watching {watched} projects for {minutes} min")
            figures |= await watch_all(url, urls, watched, minutes)
            late = float(str(figures["late_p99_s"]))
            # Slots of the last second may still be under way when the time is over.
            whole = int(str(figures["samples"])) >= 0.98 * minutes * watched
            holds["late_p99_below_1s"] = late < LATE_BOUND
            holds["zero_missed"] = figures["missed"] == 0 and whole
    report({"benchmark": "collect", "targets": count, "rounds": rounds, **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
