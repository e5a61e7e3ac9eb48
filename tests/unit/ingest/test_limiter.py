"""The limiter: who may start, who waits, who is turned away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from core.errors import CollectError
from core.types import CollectCode, Plan, Target
from ingest.limiter import Limiter, Turn

PROJECT = UUID(int=1)
FOUR = Plan("four", post_slots=(5,), reads_per_slot=4)


@dataclass
class Patient:
    """A limiter asked with always the same patience."""

    limits: Limiter
    patience: float

    def admit(self, project: UUID, env: str = "prod") -> AbstractAsyncContextManager[None]:
        target = Target(project, env, "http://x/", FOUR)
        return self.limits.admit(target, "x", self.patience)

    @property
    def buckets(self) -> int:
        return len(self.limits._targets)


def limiter(patience: float = 0.0, slot: float = 60.0, places: int = 100) -> Patient:
    return Patient(Limiter(slot_seconds=slot, max_concurrency=places), patience)


async def admitted(limits: Patient, times: int, project: UUID = PROJECT) -> int:
    """Ask `times` times at once and return how many were let in."""

    async def read() -> None:
        async with limits.admit(project):
            await asyncio.sleep(0)

    results = await asyncio.gather(*(read() for _ in range(times)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, CollectError)]
    assert all(error.code is CollectCode.THROTTLED for error in refused)
    assert all(not error.permanent for error in refused)
    return times - len(refused)


@pytest.fixture
async def turn_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets seconds pass on the clock of the running loop."""
    loop = asyncio.get_running_loop()
    real, passed = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + sum(passed))
    return passed.append


async def test_a_project_has_its_reads_per_slot(turn_clock: Callable[[float], None]) -> None:
    limits = limiter(patience=0.5)
    assert await admitted(limits, 10) == 4
    assert await admitted(limits, 10, project=UUID(int=2)) == 4
    turn_clock(30)
    assert await admitted(limits, 10) == 2
    turn_clock(600)
    assert await admitted(limits, 10) == 4


async def test_who_is_turned_away_hears_when_a_turn_comes_free() -> None:
    limits = limiter(patience=0.5)
    await admitted(limits, 4)
    with pytest.raises(CollectError, match="more than 4 reads") as caught:
        async with limits.admit(PROJECT):
            pass
    assert caught.value.retry_after_seconds == pytest.approx(15)


async def test_those_sent_away_come_back_one_after_the_other(
    turn_clock: Callable[[float], None],
) -> None:
    limits = limiter(patience=0.5)
    await admitted(limits, 4)
    pauses = []
    for _ in range(6):
        with pytest.raises(CollectError) as caught:
            async with limits.admit(PROJECT):
                pass
        pauses.append(round(caught.value.retry_after_seconds or 0))
    assert pauses == [15, 30, 45, 60, 60, 60], "a slot is long enough to stay away"
    turn_clock(60)
    await admitted(limits, 4)
    with pytest.raises(CollectError) as caught:
        async with limits.admit(PROJECT):
            pass
    assert round(caught.value.retry_after_seconds or 0) == 15


async def test_only_as_many_wait_as_will_be_served() -> None:
    limits = limiter(patience=1.45, slot=2.0)  # a turn every 0.5 s: two of them in time
    started_at = asyncio.get_running_loop().time()
    assert await admitted(limits, 20) == 6
    assert asyncio.get_running_loop().time() - started_at >= 0.95


async def test_a_cancelled_wait_makes_room() -> None:
    limits = limiter(patience=20.0)  # a turn every 15 s: one may wait
    await admitted(limits, 4)
    waiting = asyncio.ensure_future(admitted(limits, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await admitted(limits, 3) == 0
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    successor = asyncio.ensure_future(admitted(limits, 1))
    done, _ = await asyncio.wait([successor], timeout=0.05)
    assert not done, "it was turned away although nobody waits any more"
    successor.cancel()


async def test_places_are_shared_by_all_projects_and_given_back() -> None:
    limits = limiter(patience=0.05, places=2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(limits.admit(uuid4()))
        with pytest.raises(CollectError, match="same time") as caught:
            async with limits.admit(uuid4()):
                pass
        assert caught.value.code is CollectCode.THROTTLED
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with limits.admit(uuid4()):
                _ = 1 / 0


async def test_projects_not_seen_for_a_slot_are_forgotten(
    turn_clock: Callable[[float], None],
) -> None:
    limits = limiter(patience=0.5)
    for _ in range(50):
        await admitted(limits, 4, project=uuid4())
    assert limits.buckets == 50
    turn_clock(59)
    await admitted(limits, 1)
    assert limits.buckets == 51, "a bucket was forgotten while it still held something back"
    turn_clock(2)
    await admitted(limits, 1)
    assert limits.buckets == 1


async def test_a_busy_project_does_not_keep_the_others_in_memory(
    turn_clock: Callable[[float], None],
) -> None:
    limits = limiter(patience=0.5)
    for _ in range(10):
        await admitted(limits, 4)  # never empty from here on
        await admitted(limits, 1, project=uuid4())
        turn_clock(30)
    assert limits.buckets < 5


async def test_environments_of_a_project_do_not_starve_each_other() -> None:
    limits = limiter(patience=0.5)
    assert await admitted(limits, 10) == 4
    async with limits.admit(PROJECT, env="preview-1"):
        pass


async def test_a_project_holds_only_its_share_of_the_places() -> None:
    limits = limiter(patience=0.05, places=8)
    async with AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(limits.admit(PROJECT, env=f"preview-{number}"))
        with pytest.raises(CollectError, match="same time"):
            async with limits.admit(PROJECT, env="preview-2"):
                pass
        async with limits.admit(uuid4()):
            pass


@pytest.mark.parametrize(("workers", "distance"), [(1, 0.02), (3, 0.06)])
async def test_the_workers_share_what_a_host_may_have(workers: int, distance: float) -> None:
    async def take(_: Target) -> Turn:
        return Turn(0.0, workers)

    loop = asyncio.get_running_loop()
    limits = Limiter(slot_seconds=60, max_concurrency=100, host_reads_per_second=50, take_turn=take)
    times = []

    async def read(host: str) -> None:
        async with limits.admit(Target(uuid4(), "prod", "http://x/", FOUR), host, 10):
            times.append(loop.time())

    await read("warm")  # hears how many workers there are
    times.clear()
    await asyncio.gather(*(read("busy") for _ in range(5)))
    assert times[-1] - times[0] >= 4 * distance - 0.005
    times.clear()
    await asyncio.gather(*(read(f"host-{number}") for number in range(5)))
    assert times[-1] - times[0] < distance, "other hosts wait for nobody"


async def test_a_turn_that_others_took_is_waited_for_outside() -> None:
    answers = [Turn(0.0, 2), Turn(7.5, 2)]

    async def take(_: Target) -> Turn:
        return answers.pop(0)

    limits = Patient(Limiter(slot_seconds=60, max_concurrency=1, take_turn=take), 0.5)
    async with limits.admit(PROJECT):
        pass
    with pytest.raises(CollectError, match="more than 4 reads") as caught:
        async with limits.admit(PROJECT):
            pass
    assert caught.value.code is CollectCode.THROTTLED
    assert caught.value.retry_after_seconds == pytest.approx(7.5)


async def test_a_database_that_fails_is_our_fault_and_keeps_no_place() -> None:
    async def fail(_: Target) -> Turn:
        raise OSError("postgresql://user:hunter2@db")

    limits = Patient(Limiter(slot_seconds=60, max_concurrency=1, take_turn=fail), 0.5)
    for _ in range(3):
        with pytest.raises(CollectError) as caught:
            async with limits.admit(PROJECT):
                pass
        assert caught.value.code is CollectCode.INTERNAL
        assert "hunter2" not in str(caught.value)


async def test_workers_that_start_together_do_not_each_take_the_whole_rate_of_a_host() -> None:
    async def take(_: Target) -> Turn:
        await asyncio.sleep(0.001)  # as long as the database takes to tell how many there are
        return Turn(0.0, 3)

    async def read(limits: Limiter) -> bool:
        try:
            async with limits.admit(Target(uuid4(), "prod", "http://x/", FOUR), "x", 1.0):
                return True
        except CollectError:
            return False

    workers = [
        Limiter(slot_seconds=60, max_concurrency=100, host_reads_per_second=50, take_turn=take)
        for _ in range(3)
    ]
    reads = await asyncio.gather(*(read(worker) for worker in workers for _ in range(60)))
    assert 25 < sum(reads) <= 50 + 3 * 3, "of a second: the rate, and a few of each at its start"
