"""The two calls of CI: how many pairs a second, and how long does one take among fifty clients?

    python -P tests/benchmarks/trigger_finish.py [--quick]

Fifty clients, each a pipeline of a project of its own, call trigger and finish in turn at one
`seqpulse api` process, over connections they keep. No worker runs: what is measured is the door.
Afterwards every pair must be one finished deployment with one set of jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx

from core import logs, processes
from core.database import Connection, connect
from core.secrets import Vault
from demo.stage import answering, environment, free_port
from sql import projects
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import report, server, tell
from tests.benchmarks.load.http import Line, lines, percentile

CLIENTS: Final = 50
ROUNDS: Final = 5
SECONDS: Final = 6.0
PLENTY: Final = "1000000"

ODD: Final = """
SELECT count(*)
  FROM deployments AS d
 WHERE d.state <> 'finished'
    OR (SELECT count(*) FILTER (WHERE phase = 'post') <> d.post_slots
               OR count(*) FILTER (WHERE kind = 'judge') <> 1
               OR count(*) FILTER (WHERE phase = 'pre') <> 1
          FROM scheduled_jobs AS j WHERE j.deployment_id = d.id)
"""


def post(path: str, key: str, body: dict[str, str]) -> bytes:
    """Return a POST request."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: api\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def ship(line: Line, key: str, number: int, until: float) -> list[float]:
    """Be a pipeline for a while; return how long each pair took, in milliseconds."""
    took = []
    body = {"env": f"env-{number}", "metrics_endpoint": "https://shop.example.com/metrics"}
    while (began := time.perf_counter()) < until:
        run = {"idempotency_key": f"{number}-{began}", "branch": "main"}
        deployment = await _ask(line, post("/deployments/trigger", key, {**body, **run}))
        done = {"deployment_id": deployment["deployment_id"], "result": "success"}
        finished = await _ask(line, post("/deployments/finish", key, done))
        if (deployment["status"], finished["status"]) != ("created", "accepted"):
            raise SystemExit(f"{deployment} {finished}")
        took.append((time.perf_counter() - began) * 1000)
    return took


async def _ask(line: Line, request: bytes) -> dict[str, str]:
    status, body = await line.ask(request)
    if status != 200:
        raise SystemExit(f"{status}: {body.decode()[:500]}")
    answer: dict[str, str] = json.loads(body)
    return answer


async def race(
    conn: Connection, url: str, folder: Path, seconds: float
) -> tuple[dict[str, object], bool]:
    """Let the pipelines run; return the figures, and whether every pair did what it should."""
    env = environment(url) | {"SEQPULSE_CHANGES_PER_MINUTE": PLENTY}
    vault = Vault(env["SEQPULSE_SECRET_KEY"])
    keys = [
        str((await projects.create(conn, vault, name=f"shop {number}"))[1])
        for number in range(CLIENTS)
    ]
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "api.log").open("wb"))
        port = free_port()
        api = processes.start(["core.cli", "api", "--port", str(port)], env, log)
        stack.callback(processes.stop, api)
        async with httpx.AsyncClient(trust_env=False) as client:
            await answering(client, f"http://127.0.0.1:{port}/readyz", folder / "api.log")
        opened = await stack.enter_async_context(lines(port, CLIENTS))
        rounds, pairs = [], 0
        for number in range(ROUNDS + 1):
            until = time.perf_counter() + (seconds if number else 1.0)
            began = time.perf_counter()
            shipped = await asyncio.gather(
                *(ship(line, keys[place], place, until) for place, line in enumerate(opened))
            )
            took = [each for client_took in shipped for each in client_took]
            speed = len(took) / (time.perf_counter() - began)
            pairs += len(took)
            mid, high = percentile(took, 0.5), percentile(took, 0.99)
            rounds.append((speed, mid, high))
            tell(f"round {number}: {speed:,.0f} pairs/s, {mid:.0f} ms, p99 {high:.0f} ms")
        del rounds[0]  # imports, connections, statements
    speeds, mids, highs = zip(*rounds, strict=True)
    stored = await conn.fetchval("SELECT count(*) FROM deployments")
    figures = {
        "clients": CLIENTS,
        "pairs": pairs,
        "pairs_per_s": round(statistics.median(speeds)),
        "p50_ms": round(statistics.median(mids), 1),
        "p99_ms": round(statistics.median(highs), 1),
    }
    return figures, stored == pairs and await conn.fetchval(ODD) == 0


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="trigger and finish")
    parser.add_argument("--quick", action="store_true", help="a quarter of the time")
    seconds = SECONDS / 4 if parser.parse_args().quick else SECONDS
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="seqpulse-trigger-") as folder, server() as server_url:
        async with scratch_database(server_url, prefix="trigger") as url:
            conn = await connect(url, command_timeout=None)
            figures, sound = await race(conn, url, Path(folder), seconds)
            await conn.close()
    holds = {"every_pair_is_one_deployment_with_one_set_of_jobs": bool(sound)}
    report({"benchmark": "trigger_finish", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
