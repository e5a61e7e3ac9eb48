"""What the load benchmarks stand on: a server, a worker, and how figures are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from core import settings
from scheduler import worker
from sql import embedded

TEST_DSN = "SEQPULSE_TEST_DSN"
METRICS: Final = {
    "requests_per_sec": 10,
    "latency_p95": 50,
    "error_rate": 0,
    "cpu_usage": 0.2,
    "memory_usage": 0.3,
}


def tell(text: str) -> None:
    """Say what is being done."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def server() -> Iterator[str]:
    """The server of SEQPULSE_TEST_DSN, else a private one."""
    if given := os.environ.get(TEST_DSN):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-bench-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    try:
        with embedded.running(folder, settings.load().cache_dir, tell) as private:
            yield private.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def target(broken: Callable[[], bool] = lambda: False) -> AsyncIterator[str]:
    """A service on loopback that answers with five numbers, or 503 while it is broken."""
    body = json.dumps({"metrics": METRICS}).encode()
    answers = {
        False: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
        True: b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n",
    }
    rest = b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # gave up
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answers[broken()] + rest)
            await writer.drain()
        writer.close()

    service = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    async with service:
        yield f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}/metrics"


@asynccontextmanager
async def working(url: str, handle: worker.Handle) -> AsyncIterator[None]:
    """Run a worker with the product's options until the end of the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(url, handle, worker.Options(), stop))
    try:
        yield
    finally:
        stop.set()
        await task


def report(figures: Mapping[str, object], holds: Mapping[str, bool]) -> None:
    """Print the one line of JSON a benchmark ends with."""
    sys.stdout.write(json.dumps({**figures, "holds": holds}) + "\n")
