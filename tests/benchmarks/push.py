"""Samples pushed over HTTP, 1,000 a request: what does the door cost beside the bulk writer?

    python -P tests/benchmarks/push.py [--quick]

HTTP: four clients send prepared JSON bodies to `seqpulse api`, one process per core of the machine
up to two, each over a connection it keeps, one request after the other. Writer: the same rows,
ready as frames, by `sql.bulk.write` on four connections. Both write the same new rows of fifty
projects into an emptied table, in turn; a round lasts from the first request to the last answer.
The clients speak HTTP by hand: a library's work would be counted as the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import polars as pl

from core import logs, processes
from core.database import Connection, connect
from core.secrets import Vault
from core.types import METRICS, Project
from demo.stage import answering, environment, free_port
from sql import bulk, projects
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell

ROWS: Final = 1_000
REQUESTS: Final = 200
PROJECTS: Final = 50
CLIENTS: Final = 4
PROCESSES: Final = 2
ROUNDS: Final = 7


@dataclass(frozen=True)
class Push:
    """One request: whose, the rows, and the rows as they travel."""

    project: Project
    key: str
    rows: pl.DataFrame
    body: bytes


def prepare(owner: tuple[Project, str], first_at: datetime) -> Push:
    """Return a thousand rows from `first_at` on, one a second."""
    chance = np.random.default_rng(7)
    moments = [first_at + timedelta(seconds=number) for number in range(ROWS)]
    numbers = {name: chance.random(ROWS).round(4) for name in METRICS}
    columns = {"slot_at": moments, "env": ["prod"] * ROWS, **numbers, "extra": [None] * ROWS}
    rows = pl.DataFrame(columns, schema=bulk.ROWS)
    documents = [
        {"slot_at": row["slot_at"].isoformat(), "metrics": {name: row[name] for name in METRICS}}
        for row in rows.iter_rows(named=True)
    ]
    return Push(*owner, rows, json.dumps(documents).encode())


async def plan(conn: Connection, vault: Vault, requests: int) -> list[Push]:
    """Create the projects and return what is to be pushed for them."""
    since = await bulk.read_clock(conn) - timedelta(days=20)
    owners = []
    for number in range(PROJECTS):
        project, key = await projects.create(conn, vault, name=f"pusher {number}")
        owners.append((project, str(key)))
    return [
        prepare(owners[number % PROJECTS], since + timedelta(seconds=ROWS * (number // PROJECTS)))
        for number in range(requests)
    ]


async def measure(
    pushes: Sequence[Push], senders: Sequence[Callable[[Push], Awaitable[None]]]
) -> float:
    """Let the senders share the work; return samples a second."""
    left: Iterator[Push] = iter(pushes)

    async def work(send: Callable[[Push], Awaitable[None]]) -> None:
        for push in left:
            await send(push)

    began = time.perf_counter()
    await asyncio.gather(*map(work, senders))
    return len(pushes) * ROWS / (time.perf_counter() - began)


async def by_http(port: int) -> Callable[[Push], Awaitable[None]]:
    """Return what sends a push over HTTP, over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send(push: Push) -> None:
        head = (
            f"POST /projects/{push.project.id}/samples HTTP/1.1\r\nHost: api\r\n"
            f"X-API-Key: {push.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(push.body)}\r\n\r\n"
        )
        writer.write(head.encode() + push.body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        if not answer.startswith("http/1.1 200") or json.loads(body)["stored"] != ROWS:
            raise SystemExit(f"{answer}{body.decode()[:500]}")

    return send


def by_writer(conn: Connection) -> Callable[[Push], Awaitable[None]]:
    """Return what writes the rows of a push."""

    async def send(push: Push) -> None:
        if await bulk.write(conn, push.project.id, push.rows) != ROWS:
            raise SystemExit("not every row was new")

    return send


async def race(url: str, folder: Path, requests: int) -> dict[str, object]:
    """Run both in turn; return the figures."""
    env = environment(url)
    ports = [free_port() for _ in range(min(os.cpu_count() or 1, PROCESSES))]
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "api.log").open("wb"))
        for port in ports:
            api = processes.start(["core.cli", "api", "--port", str(port)], env, log)
            stack.callback(processes.stop, api)
            async with httpx.AsyncClient(trust_env=False) as client:
                await answering(client, f"http://127.0.0.1:{port}/readyz", folder / "api.log")
        conns = [await connect(url) for _ in range(CLIENTS)]
        for conn in conns:
            stack.push_async_callback(conn.close)
        http = [await by_http(ports[number % len(ports)]) for number in range(CLIENTS)]
        writers = [by_writer(conn) for conn in conns]
        pushes = await plan(conns[0], Vault(env["SEQPULSE_SECRET_KEY"]), requests)
        speeds = []
        for number in range(ROUNDS + 1):
            pair = []
            for senders in (http, writers):
                await conns[0].execute("TRUNCATE metric_samples")
                await conns[0].execute("CHECKPOINT")
                pair.append(await measure(pushes, senders))
            tell(f"round {number}: {pair[0]:,.0f} over HTTP, {pair[1]:,.0f} without, per second")
            speeds.append(pair)
        del speeds[0]  # imports, connections, statements
    ratios = [ours / writer for ours, writer in speeds]
    return {
        "rows_per_request": ROWS,
        "api_processes": len(ports),
        "http_samples_per_s": round(statistics.median(pair[0] for pair in speeds)),
        "writer_samples_per_s": round(statistics.median(pair[1] for pair in speeds)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="samples pushed over HTTP")
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests")
    requests = REQUESTS // 5 if parser.parse_args().quick else REQUESTS
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="seqpulse-push-") as folder, server() as server_url:
        async with scratch_database(server_url, prefix="push") as url:
            figures = await race(url, Path(folder), requests)
    holds = {"ratio_to_writer_at_least_0_5": float(str(figures["ratio"])) >= 0.5}
    report({"benchmark": "push", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
