"""Deployments that went one way or another, measured and judged as real ones are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from analytics import policy
from core.database import Connection, Pool
from core.types import METRICS
from scheduler import judging
from scheduler.jobs import Status

TRIGGERED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SLOT = timedelta(minutes=1)
BASELINE_SECONDS = 1800.0
USUAL = (42.0, 85.0, 0.002, 0.36, 0.52)

Values = tuple[float, ...]
Change = Callable[[int, Values], Values | None]
"""What became of the usual values in a post slot; None: it was missed."""


def unchanged(_slot: int, values: Values) -> Values | None:
    return values


def broken(slot: int, values: Values) -> Values | None:
    """Most requests fail and slow down, some stay away."""
    rps, latency, errors, cpu, memory = values
    return rps * 0.55, latency * (4 + slot % 3), errors + 0.22, cpu * 1.3, memory


def slow_with_gaps(slot: int, values: Values) -> Values | None:
    """Half as slow again, and every fourth slot is missed."""
    rps, latency, errors, cpu, memory = values
    return None if slot % 4 == 2 else (rps, latency * 1.6, errors, cpu * 1.02, memory)


def silent(_slot: int, _values: Values) -> Values | None:
    return None


@dataclass(frozen=True)
class Story:
    """What is told of a deployment."""

    name: str
    change: Change = unchanged
    slots: int = 15
    gaps: frozenset[int] = frozenset()
    finished: bool = True
    judged: bool = True


STORIES = (
    Story("rollback", broken),
    Story("ok"),
    Story("warning", slow_with_gaps, gaps=frozenset({5, 6, 17})),
    Story("inconclusive", silent),
    Story("watched", slots=5, judged=False),
    Story("rolling", finished=False, judged=False),
)


class Where(NamedTuple):
    """Whose slots they are."""

    project_id: UUID
    env: str
    deployment_id: UUID


async def tell(
    conn: Connection, pool: Pool, project_id: UUID, story: Story, branch: str = ""
) -> UUID:
    """Write down what was measured, have it judged, and return the deployment."""
    chance = random.Random(story.name)
    # Each in an environment of its own: they all happen at once.
    row = await conn.fetchrow(
        "INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, "
        "finished_at, post_slots, slot_seconds) VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, "
        "$6, $7, $8, $9) RETURNING id",
        project_id,
        story.name,
        branch or f"release/{story.name}",
        "finished" if story.finished else "running",
        "success" if story.finished else None,
        TRIGGERED,
        TRIGGERED + 2 * SLOT if story.finished else None,
        story.slots if story.finished else None,
        60.0 if story.finished else None,
    )
    assert row is not None
    where = Where(project_id, story.name, row["id"])
    for minute in range(-30, 0):
        if -minute in story.gaps:
            await _miss(conn, where, TRIGGERED + minute * SLOT, None)
        else:
            await _write(conn, where, TRIGGERED + minute * SLOT, _vary(chance), None)
    for slot in range(story.slots if story.judged else 2 * story.finished):
        at = TRIGGERED + (2 + slot) * SLOT
        values = story.change(slot, _vary(chance))
        if values is None:
            await _miss(conn, where, at, slot)
        else:
            await _write(conn, where, at, values, slot)
    if story.judged:
        await _judge(conn, pool, row["id"])
    return UUID(str(row["id"]))


def _vary(chance: random.Random) -> Values:
    rps, latency, errors, cpu, memory = USUAL
    noise = [chance.lognormvariate(0, 0.06) for _ in range(4)]
    return (
        rps * noise[0],
        latency * noise[1],
        errors * noise[2],
        cpu * noise[3],
        memory + chance.uniform(-0.004, 0.004),
    )


async def _write(
    conn: Connection, where: Where, at: datetime, values: Values, slot: int | None
) -> None:
    await conn.execute(
        "INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase, "
        f"sequence_index, {', '.join(METRICS)}) "
        "VALUES ($1::timestamptz, $1::timestamptz + interval '1 second', $2, $3, $4, $5, $6, $7, "
        "$8, $9, $10, $11)",
        at,
        where.project_id,
        where.env,
        None if slot is None else where.deployment_id,
        None if slot is None else "post",
        slot,
        *values,
    )


async def _miss(conn: Connection, where: Where, at: datetime, slot: int | None) -> None:
    await conn.execute(
        "INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index, "
        "code, detail) VALUES ($1, $2, $3, $4, $5, $6, 'timeout', 'no answer')",
        at,
        where.project_id,
        where.env,
        None if slot is None else where.deployment_id,
        None if slot is None else "post",
        slot,
    )


async def _judge(conn: Connection, pool: Pool, deployment_id: UUID) -> None:
    policies = judging.Policies(policy.SEQPULSE_V1, (policy.POLICIES["reference-v2"],))
    outcomes = await judging.judge(pool, policies, BASELINE_SECONDS, [deployment_id])
    assert outcomes[deployment_id].status is Status.COMPLETED
    await conn.execute(
        "UPDATE verdicts SET as_of = $2 WHERE deployment_id = $1",
        deployment_id,
        TRIGGERED + 20 * SLOT,
    )
