"""Claims and settlements as a worker makes them, without the worker."""

from __future__ import annotations

from core.database import Connection
from core.types import CollectCode, MissedSlot, Reading, Sample
from scheduler import queue
from scheduler.jobs import Job, Outcome, Settlement, Status

READING = Reading(10, 50, 0.01, 0.3, 0.4)
DONE = Outcome(Status.COMPLETED)


async def claim(conn: Connection, owner: int, limit: int = 100) -> list[Job]:
    return (await queue.take_turn(conn, owner, [], limit)).claimed


async def settle(conn: Connection, owner: int, *settlements: Settlement) -> set[int]:
    """Settle, however often it takes, and return what was settled."""
    done = set()
    while settlements:
        turn = await queue.take_turn(conn, owner, settlements, 0)
        done |= {item.job.id for item in settlements} - turn.lost - turn.held_up
        settlements = tuple(item for item in settlements if item.job.id in turn.held_up)
    return done


def collected(job: Job) -> Settlement:
    return Settlement(job, Outcome(Status.COMPLETED, sample=Sample(job.slot, READING)))


def missed(job: Job) -> Settlement:
    slot = MissedSlot(job.slot, CollectCode.TIMEOUT, "slow")
    return Settlement(job, Outcome(Status.FAILED, last_error="timeout: slow", missed=slot))
