"""The database is killed, and hangs, under load: how soon is it told, how long does one wait?

    python -P tests/benchmarks/database_loss.py [--quick]

Pipelines call trigger, finish and lookup at one `seqpulse api` process without a pause. Its private
server is killed (SIGKILL, with all children) and started again; then it is stopped (SIGSTOP) and
goes on. /health is asked all the time. It tells the truth late by the time from the strike to its
first 503, and from the first answer of the database to the first `ok` of that check. Lost is what
was answered with 2xx and is not in the database afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from core import logs, processes, settings
from core.database import DATABASE_ERRORS, connect
from core.errors import DatabaseError
from core.secrets import Vault
from demo.stage import answering, environment, free_port
from sql import embedded, projects
from sql.scratch import scratch_database
from tests.benchmarks.load.ground import TEST_DSN, report, tell

PIPELINES: Final = 8
GONE_SECONDS: Final = 20.0
"""Longer than any statement may take."""
TRUTH_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 21.0
"""What docs/runbook.md says (20 s for a statement that was under way), and one for the way."""
PATIENCE_SECONDS: Final = 60.0
PLENTY: Final = "1000000"

Strike: TypeAlias = tuple[Callable[[], object], Callable[[], object]]
"""How to take the database away, and how to give it back."""


@dataclass
class Load:
    """Pipelines, and what they were told."""

    http: httpx.AsyncClient
    key: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    triggered: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return what was accepted, {} if the request was turned away."""
        began = time.perf_counter()
        answer = await self.http.request(
            method, path, json=body, headers={"X-API-Key": self.key}, timeout=PATIENCE_SECONDS
        )
        self.longest = max(self.longest, time.perf_counter() - began)
        self.answers[answer.status_code] += 1
        if not answer.is_success and answer.status_code != 503:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
        found: dict[str, Any] = answer.json() if answer.is_success else {}
        return found

    async def ship(self, env: str) -> None:
        """Be a pipeline until the end."""
        body = {"env": env, "metrics_endpoint": "http://127.0.0.1:9/metrics"}
        while not self.stop.is_set():
            begun = await self.ask("POST", "/deployments/trigger", body)
            if identity := begun.get("deployment_id"):
                self.triggered.add(identity)
                finish = {"deployment_id": identity, "result": "success"}
                if (await self.ask("POST", "/deployments/finish", finish)).get("status"):
                    self.finished.add(identity)
                await self.ask("GET", f"/deployments/{identity}/verdict")
            await asyncio.sleep(0.01)

    async def health(self) -> tuple[int, str]:
        """Return the status of /health, and what it says of the database."""
        answer = await self.http.get("/health", timeout=PATIENCE_SECONDS)
        return answer.status_code, answer.json()["checks"]["database"]["status"]


async def until(true: Callable[[], Awaitable[bool]]) -> float:
    """Return how many seconds it took."""
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return time.perf_counter() - began


def signal_family(folder: Path, what: signal.Signals) -> None:
    """Send a signal to the server and to all of its children."""
    [pid_file] = folder.rglob("postmaster.pid")
    postmaster = int(pid_file.read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


async def strike(load: Load, url: str, way: Strike, gone: float) -> tuple[float, float, float]:
    """Take the database away for so many seconds.

    Returns:
        Seconds until /health said it is gone, and that it is back; and the longest answer.
    """

    async def lost() -> bool:
        return await load.health() == (503, "failing")

    async def back() -> bool:
        return (await load.health())[1] == "ok"

    async def there() -> bool:
        try:
            async with asyncio.timeout(1):
                await (await connect(url)).close()
        except (*DATABASE_ERRORS, DatabaseError):
            return False
        return True

    hit, heal = way
    load.longest = 0.0
    await asyncio.to_thread(hit)
    told_lost = await until(lost)
    await asyncio.sleep(gone)
    await asyncio.to_thread(heal)
    await until(there)
    told_back = await until(back)
    shipped = len(load.finished)

    async def going_on() -> bool:
        return len(load.finished) >= shipped + PIPELINES

    await until(going_on)
    return told_lost, told_back, load.longest


async def count_lost(load: Load, url: str) -> int:
    """Return how many calls were accepted and are not in the database."""
    conn = await connect(url)
    rows = await conn.fetch("SELECT id, finished_at FROM deployments")
    await conn.close()
    stored = {str(row["id"]) for row in rows}
    ended = {str(row["id"]) for row in rows if row["finished_at"] is not None}
    return len(load.triggered - stored) + len(load.finished - ended)


@asynccontextmanager
async def loading(url: str, folder: Path) -> AsyncIterator[Load]:
    """Start the API and the pipelines; all of them have ended their call after the block."""
    env = environment(url) | {"SEQPULSE_CHANGES_PER_MINUTE": PLENTY}
    env |= {"SEQPULSE_READS_PER_MINUTE": PLENTY}
    conn = await connect(url)
    _, key = await projects.create(conn, Vault(env["SEQPULSE_SECRET_KEY"]), name="shop", plan="pro")
    await conn.close()
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "api.log").open("wb"))
        port = free_port()
        api = processes.start(["core.cli", "api", "--port", str(port)], env, log)
        stack.callback(processes.stop, api)
        base = f"http://127.0.0.1:{port}"
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, base_url=base))
        await answering(http, f"{base}/readyz", folder / "api.log")
        load = Load(http, str(key))
        async with asyncio.TaskGroup() as group:
            for number in range(PIPELINES):
                group.create_task(load.ship(f"env-{number}"))
            try:
                yield load
            finally:
                load.stop.set()


@contextlib.contextmanager
def private_server() -> Iterator[tuple[str, Mapping[str, Strike]]]:
    """Start a server; yield its URL, and the ways to lose it and to have it back."""
    cache = settings.load().cache_dir
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-loss-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    try:
        server = embedded.start(folder, cache, stay=False)
        yield (
            server.url,
            {
                "killed": (
                    lambda: signal_family(folder, signal.SIGKILL),
                    lambda: embedded.start(folder, cache, stay=False),
                ),
                "stopped": (
                    lambda: signal_family(folder, signal.SIGSTOP),
                    lambda: signal_family(folder, signal.SIGCONT),
                ),
            },
        )
    finally:
        embedded.stop(folder, cache)
        shutil.rmtree(folder, ignore_errors=True)


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="the database is lost and comes back")
    parser.add_argument("--quick", action="store_true", help="gone for four seconds only")
    gone = 4.0 if parser.parse_args().quick else GONE_SECONDS
    if os.environ.get(TEST_DSN):
        raise SystemExit(f"the server of {TEST_DSN} is not ours to kill")
    logs.configure("error")
    figures: dict[str, object] = {}
    truths, longest = [], 0.0
    with (
        tempfile.TemporaryDirectory(prefix="seqpulse-loss-api-") as folder,
        private_server() as (server_url, ways),
    ):
        async with scratch_database(server_url, prefix="loss") as url:
            async with loading(url, Path(folder)) as load:
                await asyncio.sleep(2)
                for name, way in ways.items():
                    lost, back, most = await strike(load, url, way, gone)
                    tell(f"{name}: lost {lost:.1f} s, back {back:.1f} s, longest {most:.1f} s")
                    truths += [lost, back]
                    longest = max(longest, most)
                    figures[f"{name}_told_lost_s"] = round(lost, 2)
                    figures[f"{name}_told_back_s"] = round(back, 2)
                    figures[f"{name}_longest_answer_s"] = round(most, 2)
            missing = await count_lost(load, url)
    figures |= {
        "accepted": len(load.triggered) + len(load.finished),
        "turned_away": load.answers[503],
        "accepted_lost": missing,
    }
    holds = {
        "health_tells_the_truth_within_5_s": max(truths) < TRUTH_SECONDS,
        "no_answer_takes_longer_than_documented": longest < ANSWER_SECONDS,
        "nothing_accepted_is_lost": missing == 0,
    }
    report({"benchmark": "database_loss", **figures}, holds)


if __name__ == "__main__":
    asyncio.run(main())
