"""Looking names up: one project's slow names are its own problem."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest

from ingest.resolver import PER_PROJECT, THREADS, Resolver

SLOW, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.close()


async def test_slow_names_of_a_project_delay_no_other(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    asked: Counter[str] = Counter()

    def answer(host: str, *_: object, **__: object) -> list[object]:
        asked[host] += 1
        if host == "slow":
            over.wait(20)
        return [(0, 0, 0, "", ("8.8.8.8", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    slow = [asyncio.create_task(resolver.look_up(SLOW, "slow", 80)) for _ in range(2 * THREADS)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert len(await resolver.look_up(OTHER, "fast", 80)) == 1
    assert asked["slow"] == PER_PROJECT
    for task in slow[: THREADS + 1]:  # giving up frees no thread
        task.cancel()
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await resolver.look_up(OTHER, "fast", 80)
    assert asked["slow"] == PER_PROJECT
    over.set()
    found = await asyncio.gather(*slow, return_exceptions=True)
    assert sum(isinstance(one, list) for one in found) == THREADS - 1
    assert asked["slow"] == PER_PROJECT + THREADS - 1


async def test_projects_that_ask_nothing_are_forgotten(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    for number in range(20):
        assert await resolver.look_up(UUID(int=number), "nowhere", 80) == []
    gc.collect()
    assert len(resolver._turns) <= 1, "the last one may still be held by its thread"
