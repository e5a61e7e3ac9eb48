"""What the load benchmarks stand on: a server, a worker, and how figures are told."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from core import settings
from scheduler import worker
from sql import embedded

TEST_DSN = "SEQPULSE_TEST_DSN"


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
