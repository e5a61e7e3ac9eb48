"""Drivers as child processes: one call with one answer, or a crew of workers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.processes import die_with_parent
from tests.benchmarks.race.contenders import Contender

ROOT = Path(__file__).parents[3]
LONGEST_LINE = 2**25  # every start of a worker in one answer


@dataclass(frozen=True)
class Driver:
    """A contender that can be called."""

    contender: Contender
    python: Path

    async def start(self, stage: str, url: str, **arguments: object) -> Process:
        """Start one stage as a child that dies with us."""
        script = ROOT / "tests" / "benchmarks" / "peers" / f"{self.contender.driver}.py"
        return await asyncio.create_subprocess_exec(
            *(self.python, script, stage, url, json.dumps(arguments)),
            env={**os.environ, **self.contender.env, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            limit=LONGEST_LINE,
            preexec_fn=die_with_parent(),
        )

    async def call(self, stage: str, url: str, **arguments: object) -> dict[str, Any]:
        """Run one stage to its end and return its answer.

        Raises:
            RuntimeError: The driver ended without one; its own words are on standard error.
        """
        process = await self.start(stage, url, **arguments)
        output, _ = await process.communicate()
        if process.returncode or not output:
            raise RuntimeError(f"{self.contender.name}: {stage} ended with {process.returncode}")
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answer


@dataclass
class Worker:
    """One worker process: how many jobs it has started, and at its end when (Unix time)."""

    process: Process
    ran: int = 0
    leaving: bool = False
    starts: dict[int, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.returncode is not None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.leaving = True
        if not self.ended:
            self.process.kill()


@dataclass
class Crew:
    """Workers of one contender on one database."""

    driver: Driver
    url: str
    workers: list[Worker] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def ran(self) -> int:
        """Jobs started up to now."""
        return sum(worker.ran for worker in self.workers)

    async def add(self, *, concurrency: int | None = None, holding: bool = False) -> Worker:
        """Start one more worker; it is ready when it has run a job."""
        process = await self.driver.start(
            "work", self.url, concurrency=concurrency, holding=holding
        )
        worker = Worker(process)
        self.workers.append(worker)
        self.readers.append(asyncio.create_task(self._read(worker)))
        return worker

    async def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds of what the workers said, and return whether it does.

        Raises:
            RuntimeError: A worker ended by itself; its own words are on standard error.
        """
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    if any(not worker.leaving and worker.ended for worker in self.workers):
                        raise RuntimeError(f"{self.driver.contender.name}: a worker ended")
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return reached()
        return True

    async def _read(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        async for line in worker.process.stdout:
            answer = json.loads(line)
            worker.ran = answer.get("ran", worker.ran)
            for number, at in answer.get("starts", ()):
                worker.starts.setdefault(number, at)
            self.changed.set()
        await worker.process.wait()
        self.changed.set()

    async def finish(self, worker: Worker) -> dict[int, float]:
        """End a worker and return the first start of each of its jobs."""
        worker.leaving = True
        worker.process.terminate()
        await self.readers[self.workers.index(worker)]
        return worker.starts


@asynccontextmanager
async def crew_of(driver: Driver, url: str, workers: int) -> AsyncIterator[Crew]:
    """Start workers, and kill them at the end."""
    crew = Crew(driver, url)
    try:
        for _ in range(workers):
            await crew.add()
        yield crew
    finally:
        for worker in crew.workers:
            worker.kill()
        await asyncio.gather(*crew.readers, return_exceptions=True)


def tell(text: str) -> None:
    """Write a line for the people watching."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
