"""Deployments that wait go together, and no case harms another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from core.ids import new_id
from scheduler.docket import MOST, Docket
from scheduler.jobs import Outcome, Status

DONE = Outcome(Status.COMPLETED)


class Court:
    """Judges when it is told to, and remembers the lots."""

    def __init__(self, broken: UUID | None = None) -> None:
        self.lots: list[list[UUID]] = []
        self.go = asyncio.Event()
        self.broken = broken

    async def judge(self, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
        self.lots.append(list(ids))
        await self.go.wait()
        if self.broken in ids:
            raise ZeroDivisionError
        return dict.fromkeys(ids, DONE)


async def call_all(
    docket: Docket, court: Court, ids: Sequence[UUID]
) -> list[asyncio.Task[Outcome]]:
    calls = [asyncio.create_task(docket.call(each, court.judge)) for each in ids]
    while len(docket.cases) < len(ids) or not court.lots:  # noqa: ASYNC110 - their first steps
        await asyncio.sleep(0)
    return calls


async def test_the_first_goes_at_once_and_the_rest_together() -> None:
    docket, court = Docket(), Court()
    ids = [new_id() for _ in range(MOST + 3)]
    calls = await call_all(docket, court, ids)
    court.go.set()
    assert await asyncio.gather(*calls) == [DONE] * len(ids)
    assert court.lots == [ids[:1], ids[1 : MOST + 1], ids[MOST + 1 :]]
    assert docket.cases == {}


async def test_a_broken_case_gets_its_error_and_the_others_their_outcome() -> None:
    ids = [new_id() for _ in range(4)]
    docket, court = Docket(), Court(broken=ids[2])
    calls = await call_all(docket, court, ids)
    court.go.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [Outcome, Outcome, ZeroDivisionError, Outcome]
    assert court.lots == [ids[:1], ids[1:], [ids[1]], [ids[2]], [ids[3]]]


async def test_one_that_judges_and_is_cancelled_leaves_the_others_to_the_next() -> None:
    docket, court = Docket(), Court()
    ids = [new_id() for _ in range(3)]
    first, *others = await call_all(docket, court, ids)
    first.cancel()
    court.go.set()
    assert await asyncio.gather(*others) == [DONE, DONE]
    assert first.cancelled()
    assert docket.cases == {}


async def test_two_jobs_of_one_deployment_are_judged_once() -> None:
    docket, court = Docket(), Court()
    first, same = new_id(), new_id()
    calls = await call_all(docket, court, [first, same, same])
    court.go.set()
    assert await asyncio.gather(*calls) == [DONE] * 3
    assert court.lots == [[first], [same]]


async def test_a_lone_case_gets_its_own_error() -> None:
    identity = new_id()
    docket, court = Docket(), Court(broken=identity)
    court.go.set()
    with pytest.raises(ZeroDivisionError):
        await docket.call(identity, court.judge)
    assert docket.cases == {}
