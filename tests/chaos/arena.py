"""A database, the workers on it, and what a test may know of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from core import processes
from core.database import Connection, connect
from core.errors import DatabaseError
from core.ids import new_id
from scheduler import queue
from scheduler.jobs import NewJob
from tests.chaos.proxy import Proxy, proxied

PATIENCE_SECONDS = 60
"""Far longer than anything takes here: to run out of it is to hang."""

PROJECTS = [new_id() for _ in range(7)]

LOST = (
    OSError,
    DatabaseError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(eq=False)
class Member:
    """One worker process and its way to the server."""

    process: subprocess.Popen[bytes]
    proxy: Proxy

    @property
    def pid(self) -> int:
        return self.process.pid


@dataclass
class Arena:
    """What the strikes act on.

    Attributes:
        url: Of the database, without a detour.
        folder: Where witnesses write, one file per process.
        data_dir: Of the private server; None: the server is not ours to restart.
        strikes: Seconds each strike took, by name; to be printed.
    """

    url: str
    folder: Path
    data_dir: Path | None
    conn: Connection
    stack: contextlib.AsyncExitStack
    members: list[Member] = field(default_factory=list)
    enqueued: int = 0
    strikes: dict[str, float] = field(default_factory=dict)

    async def hire(self) -> Member:
        """Start one more worker."""
        proxy = await self.stack.enter_async_context(proxied(self.url))
        log = self.stack.enter_context((self.folder.parent / "workers.log").open("ab"))
        env = {"SEQPULSE_DATABASE_URL": proxy.url, "CHAOS_EFFECTS_URL": self.url}
        command = ["tests.chaos.worker_process", str(self.folder)]
        member = Member(processes.start(command, env, log), proxy)
        self.stack.callback(end, member)
        self.members.append(member)
        return member

    async def dismiss(self, member: Member) -> None:
        """Ask a worker to stop and wait until it has."""
        member.process.terminate()
        assert await asyncio.to_thread(member.process.wait, PATIENCE_SECONDS) == 0
        self.members.remove(member)

    async def release(self, count: int) -> None:
        """Write jobs that are due now."""
        now = await self.ask("SELECT clock_timestamp()")
        # A spread over a moment before now makes their order in the index differ from their ids.
        jobs = [
            NewJob(
                kind="chaos",
                project_id=PROJECTS[index % len(PROJECTS)],
                env="prod",
                scheduled_at=now - timedelta(milliseconds=index * 7 % 100),
            )
            for index in range(count)
        ]
        await queue.enqueue(self.conn, jobs)
        await queue.wake(self.conn)
        self.enqueued += count

    async def ask(self, statement: str, *arguments: object) -> Any:  # noqa: ANN401 - any column
        """Return one value, whatever happened to the connection in the meantime."""
        if self.conn.is_closed():
            self.conn = await connect(self.url)
        return await self.conn.fetchval(statement, *arguments)

    async def claims(self, member: Member) -> set[int]:
        """Return the jobs a process has claimed, under whichever of its keys."""
        return set(
            await self.ask(
                "SELECT coalesce(array_agg(j.id), '{}') FROM scheduled_jobs j "
                "JOIN workers w ON w.key = j.owner WHERE w.pid = $1",
                member.pid,
            )
        )

    async def keys(self, member: Member) -> set[int]:
        """Return the keys of a process that are alive or not yet buried."""
        found = "SELECT coalesce(array_agg(key), '{}') FROM workers WHERE pid = $1"
        return set(await self.ask(found, member.pid))

    async def busiest(self) -> Member:
        """Wait until somebody has claimed something, and return who has claimed most."""
        found: list[Member] = []

        async def somebody() -> bool:
            held = [(len(await self.claims(member)), member) for member in self.members]
            count, member = max(held, key=lambda pair: pair[0])
            found[:] = [member]
            return count > 0

        await until(somebody)
        return found[0]

    async def freed(self, jobs: set[int], keys: set[int]) -> None:
        """Wait until none of `jobs` is claimed under one of `keys`, and the keys are buried."""

        async def gone() -> bool:
            held = "SELECT count(*) FROM scheduled_jobs WHERE id = ANY($1) AND owner = ANY($2)"
            buried = "SELECT count(*) FROM workers WHERE key = ANY($1)"
            return not await self.ask(held, jobs, keys) and not await self.ask(buried, keys)

        await until(gone)

    async def back(self, member: Member, old: set[int]) -> None:
        """Wait until a process works under a key that is not one of `old`."""

        async def renewed() -> bool:
            return bool(await self.keys(member) - old)

        await until(renewed)

    async def drained(self) -> None:
        """Wait until no job is left."""

        async def empty() -> bool:
            return not await self.ask("SELECT count(*) FROM scheduled_jobs")

        await until(empty)

    def testimony(self) -> dict[str, Counter[tuple[int, int]]]:
        """Return how often each (job, attempt) was started, and had its effect, per the witness."""
        told: dict[str, Counter[tuple[int, int]]] = {"start": Counter(), "effect": Counter()}
        for path in self.folder.iterdir():
            for line in path.read_text().splitlines():
                what, job, attempt = line.split()
                told[what][int(job), int(attempt)] += 1
        return told


def end(member: Member) -> None:
    """Make sure nothing of a worker is left, stopped or not."""
    if member.process.poll() is None:
        member.process.kill()
        os.kill(member.pid, signal.SIGCONT)
    member.process.wait()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Poll a fact about other processes, through whatever happens to the server meanwhile."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(*LOST):
                if await condition():
                    return
            await asyncio.sleep(0.02)
