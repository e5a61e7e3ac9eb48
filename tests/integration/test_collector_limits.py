"""The collector's limits, counted at the server's side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import pytest

from core.errors import CollectError
from core.types import CollectCode, Plan, Target
from ingest.collector import Collector

GOOD = (
    b'{"metrics": {"requests_per_sec": 1, "latency_p95": 1, "error_rate": 0, '
    b'"cpu_usage": 0, "memory_usage": 0}}'
)
THREE = Plan("three", post_slots=(5,), reads_per_slot=3)


@dataclass
class CountingServer:
    """A server on the loopback: requests so far, requests now, and the most at one time."""

    port: int = 0
    requests: int = 0
    here: int = 0
    most: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        self.here += 1
        self.most = max(self.most, self.here)
        await asyncio.sleep(0.02)  # long enough for others to come meanwhile
        self.here -= 1
        head = f"Content-Type: application/json\r\nContent-Length: {len(GOOD)}\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n" + GOOD)
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[CountingServer]:
    counting = CountingServer()
    async with await asyncio.start_server(counting.handle, "127.0.0.1", 0) as listening:
        counting.port = listening.sockets[0].getsockname()[1]
        yield counting


@asynccontextmanager
async def collector(slot: float = 60.0, places: int = 100) -> AsyncIterator[Collector]:
    async with Collector(
        timeout_seconds=2.0,
        slot_seconds=slot,
        target_allow=("127.0.0.0/8",),
        max_concurrency=places,
    ) as reads:
        yield reads


def target(server: CountingServer, project: int = 1) -> Target:
    return Target(UUID(int=project), "prod", f"http://127.0.0.1:{server.port}/", THREE)


async def test_a_project_cannot_read_more_than_its_plan_allows(server: CountingServer) -> None:
    async with collector() as reads:
        results = await asyncio.gather(
            *(reads.collect(target(server)) for _ in range(10)), return_exceptions=True
        )
        assert server.requests == 3
        refused = [result for result in results if isinstance(result, CollectError)]
        assert [error.code for error in refused] == [CollectCode.THROTTLED] * 7
        pauses = [round(error.retry_after_seconds or 0) for error in refused]
        assert pauses == [20, 40, 60, 60, 60, 60, 60]
        await reads.collect(target(server, project=2))
    assert server.requests == 4


async def test_a_short_wait_is_waited_out(server: CountingServer) -> None:
    async with collector(slot=0.3) as reads:
        started_at = asyncio.get_running_loop().time()
        await asyncio.gather(*(reads.collect(target(server)) for _ in range(6)))
    assert server.requests == 6
    assert asyncio.get_running_loop().time() - started_at >= 0.3


async def test_only_so_many_reads_happen_at_the_same_time(server: CountingServer) -> None:
    async with collector(places=2) as reads:
        await asyncio.gather(*(reads.collect(target(server, project=n)) for n in range(8)))
    assert server.most == 2
