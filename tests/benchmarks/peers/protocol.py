"""What every contender's driver can do, and the measuring inside it, the same for all.

    python DRIVER.py STAGE URL JSON

A driver is a process of its own, run by the contender's own interpreter; it answers with one JSON
object per line on standard output. Stages: `install`, `enqueue`, `fill`, `pace`, `work`. Only the
standard library may be used here, because the peers' environment has nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

BATCH = 1000
"""Jobs per call where a stage enqueues in batches."""
ANNOUNCE_SECONDS = 0.005
"""How late a worker says what it ran: rare enough to cost nothing beside the work."""


class Producer(Protocol):
    """Writes jobs; may be used by several tasks at once."""

    async def one(self, number: int, due_in: float) -> None:
        """Enqueue one job in a call and a transaction of its own, due in that many seconds."""

    async def many(self, numbers: Sequence[int], due_in: float) -> None:
        """Enqueue many jobs that become visible at once."""


@dataclass(frozen=True)
class Contender:
    """A job queue under test.

    Attributes:
        install: Makes the schema in an empty database.
        producing: Opens a producer with that many connections.
        work: Works on everything that is due until the process ends, calling `run_job(number)`
            for each job; the second argument is the concurrency, None: what is recommended.
        run: Starts the event loop, as the contender's own command does.
    """

    install: Callable[[str], Awaitable[None]]
    producing: Callable[[str, int], AbstractAsyncContextManager[Producer]]
    work: Callable[[str, int | None], Awaitable[None]]
    run: Callable[[Coroutine[Any, Any, None]], object] = asyncio.run


def say(**answer: object) -> None:
    """Answer the benchmark."""
    print(json.dumps(answer), flush=True)  # noqa: T201


@dataclass
class Record:
    """What one worker process started, and when (Unix time)."""

    starts: list[tuple[int, float]] = field(default_factory=list)
    announcing: bool = False
    holding: bool = False

    def note(self, number: int) -> None:
        """Write down a start; the benchmark hears of it a moment later."""
        self.starts.append((number, time.time()))
        if not self.announcing:
            self.announcing = True
            asyncio.get_running_loop().call_later(ANNOUNCE_SECONDS, self.announce)

    def announce(self) -> None:
        """Say how many jobs were started up to now."""
        self.announcing = False
        say(ran=len(self.starts))

    def close(self) -> None:
        """Say everything and end at once: how a contender stops is not measured."""
        say(starts=self.starts)
        os._exit(0)


RECORD = Record()


async def run_job(number: int) -> None:
    """The no-op job. A holding worker never comes back from it."""
    RECORD.note(number)
    if RECORD.holding:
        await asyncio.Event().wait()


async def _enqueue(contender: Contender, url: str, how: str, count: int, producers: int) -> None:
    """Measure the time to enqueue `count` jobs that are due; nobody works on them meanwhile."""
    async with contender.producing(url, producers) as producer:

        async def produce(numbers: Sequence[int]) -> None:
            for number in numbers:
                await producer.one(number, 0.0)

        async def produce_batches() -> None:
            for first in range(0, count, BATCH):
                await producer.many(range(first, min(first + BATCH, count)), 0.0)

        # Connections and prepared statements exist before the clock starts.
        await asyncio.gather(*(produce([-1, -1]) for _ in range(producers)))
        started = time.perf_counter()
        if how == "batched":
            await produce_batches()
        else:
            await asyncio.gather(*(produce(range(at, count, producers)) for at in range(producers)))
        say(seconds=time.perf_counter() - started)


async def _fill(contender: Contender, url: str, count: int, due_in: float, chunk: int) -> None:
    """Enqueue `count` jobs, `chunk` of them at once, and say when the last were committed."""
    async with contender.producing(url, 1) as producer:
        for first in range(0, count, chunk):
            await producer.many(range(first, min(first + chunk, count)), due_in)
        say(committed_at=time.time())


async def _pace(
    contender: Contender, url: str, count: int, rate: float, ahead: float, first: int
) -> None:
    """Enqueue single jobs at a steady rate, each due `ahead` seconds later, and say when."""
    dues: list[tuple[int, float]] = []
    async with contender.producing(url, 1) as producer:
        begun = time.monotonic()
        for number in range(first, first + count):
            await asyncio.sleep(begun + (number - first) / rate - time.monotonic())
            await producer.one(number, ahead)
            # A queue that adds the delay on the server does it before this moment, so this can
            # only make it look faster.
            dues.append((number, time.time() + ahead))
    say(dues=dues)


async def _work(contender: Contender, url: str, concurrency: int | None, holding: bool) -> None:
    RECORD.holding = holding
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, RECORD.close)
    await contender.work(url, concurrency)


async def _install(contender: Contender, url: str) -> None:
    await contender.install(url)
    say(installed=True)


STAGES: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "install": _install,
    "enqueue": _enqueue,
    "fill": _fill,
    "pace": _pace,
    "work": _work,
}


def serve(contender: Contender) -> None:
    """Run the stage of the command line."""
    stage, url, arguments = sys.argv[1:4]
    contender.run(STAGES[stage](contender, url, **json.loads(arguments)))
