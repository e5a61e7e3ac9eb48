"""Write a past into a database, and let the real judge judge it in the order of time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from time import perf_counter
from typing import Final

import numpy as np

from core.database import Connection, Pool
from core.errors import ConflictError, InvalidInputError
from core.types import Deployment, DeploymentState
from demo.past import curves, found, releases, rows, services
from demo.past.found import SLOT_SECONDS
from demo.past.releases import Release
from demo.past.services import Fleet
from scheduler import judging, profiling
from scheduler.judging import Policies
from sql import bulk, locks, past, rollups
from sql.texts import query

CONNECTIONS: Final = 3
DAY: Final = timedelta(days=1)
PROFILED: Final = timedelta(days=7)
"""So often a service gets a new profile; workers make one a day."""

Advance = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make.

    Attributes:
        projects: How many.
        days: How far back it reaches.
        seed: Another seed, another past.
        until: Its end, a full hour.
        policies: Who judges.
        baseline_seconds: Length of the baseline window.
        runs_days: For how many days there are jobs that are done.
        force: Whether other projects may be there.
    """

    projects: int
    days: int
    seed: int
    until: datetime
    policies: Policies
    baseline_seconds: float = 1800.0
    runs_days: int = 30
    force: bool = False

    @property
    def since(self) -> datetime:
        """Midnight (UTC) of the first day."""
        return (self.until - self.days * DAY).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass
class Made:
    """What was made.

    Attributes:
        deployments: With the truth about each.
        seconds: How long each step took.
        rolled_up: False: a worker is rolling up and will do it.
    """

    projects: int = 0
    services: int = 0
    samples: int = 0
    missed: int = 0
    deployments: list[Release] = field(default_factory=list)
    extended: int = 0
    rolled_up: bool = True
    seconds: dict[str, float] = field(default_factory=dict)


async def make(pool: Pool, plan: Plan, advance: Advance = lambda *_: None) -> Made:
    """Make a past. The same plan makes the same, ids and all, in any empty database.

    Raises:
        ConflictError: There are other projects, or its own.
        InvalidInputError: It reaches into the future, or beyond what is kept.
    """
    fleet = services.invent(plan.seed, plan.projects, plan.since)
    async with pool.acquire() as conn:
        await _check(conn, plan, fleet)
        shipped = releases.invent(plan.seed, fleet, plan.since, plan.until)
        made = Made(plan.projects, len(fleet), deployments=shipped)
        await found.found(conn, plan.since, fleet, shipped)
        with _timed(made, "samples"):
            await _write(conn, plan, fleet, made, advance)
            await past.analyze(conn)
        with _timed(made, "verdicts"):
            await _judge(pool, plan, fleet, made, advance)
        with _timed(made, "rollups"):
            made.rolled_up = await _roll(conn, advance)
            await past.analyze(conn)
    return made


@contextmanager
def _timed(made: Made, step: str) -> Iterator[None]:
    started = perf_counter()
    yield
    made.seconds[step] = perf_counter() - started


async def _check(conn: Connection, plan: Plan, fleet: Fleet) -> None:
    if not 1 <= plan.projects <= services.MOST:
        raise InvalidInputError(f"--projects: must be 1 to {services.MOST}")
    others, kept_since = await past.read_room(conn)
    if others and not plan.force:
        raise ConflictError(
            f"the database holds {others} projects; use an empty one, or --force to add to it"
        )
    if plan.until > await bulk.read_clock(conn):
        raise InvalidInputError("--until: must not lie in the future")
    if plan.since < kept_since:
        raise InvalidInputError(
            f"--days: samples before {kept_since:%Y-%m-%d %H:%M} UTC are not stored here any more; "
            "raise SEQPULSE_KEEP_SAMPLES_DAYS, restart the workers, and wait for a minute"
        )
    theirs = fleet.projects
    await past.check_new(conn, [each.id for each in theirs], [each.name for each in theirs])


# What was measured


async def _write(conn: Connection, plan: Plan, fleet: Fleet, made: Made, advance: Advance) -> None:
    """Write day after day; the next one is made while the database takes one in."""
    ids = [each.id for each in fleet.projects]
    days = _days(plan, fleet, made.deployments)
    total = len(fleet) * ((plan.until - plan.since) // timedelta(minutes=1))
    following = asyncio.create_task(asyncio.to_thread(next, days, None))
    try:
        while day := await following:
            following = asyncio.create_task(asyncio.to_thread(next, days, None))
            samples, missed = day
            await past.write_slots(conn, samples, missed, ids)
            made.samples += samples.height
            made.missed += missed.height
            advance("samples", made.samples + made.missed, total)
    finally:
        following.cancel()


def _days(
    plan: Plan, fleet: Fleet, shipped: Sequence[Release]
) -> Iterator[tuple[rows.Frame, rows.Frame]]:
    weather = curves.begin(fleet)
    day = plan.since
    while day < plan.until:
        touching = [each for each in shipped if curves.touches(each, day)]
        chance = np.random.default_rng([plan.seed, 3, rows.microseconds(day)])
        values = curves.measure(chance, fleet, day, weather, touching)
        slots = rows.plan(fleet, day, touching)
        yield rows.make(chance, fleet, slots, values, plan.until)
        day += DAY


# What was said of it


async def _judge(pool: Pool, plan: Plan, fleet: Fleet, made: Made, advance: Advance) -> None:
    """Judge lot after lot; of one service always the earlier deployment first."""
    profiled: dict[int, datetime] = {}
    done = 0
    for lot in _lots(made.deployments):
        await _profile(pool, plan, fleet, lot, profiled)
        ids = [each.id for each in lot]
        unsure = await judging.judge_past(pool, plan.policies, plan.baseline_seconds, ids)
        async with pool.acquire() as conn:
            if unsure:
                await past.extend(conn, unsure)
                await judging.judge_past(pool, plan.policies, plan.baseline_seconds, unsure)
                made.extended += len(unsure)
            await past.settle(conn, ids)
            if lot[0].triggered_at >= plan.until - plan.runs_days * DAY:
                await past.write_runs(conn, ids)
        done += len(lot)
        advance("verdicts", done, len(made.deployments))


def _lots(shipped: Sequence[Release]) -> Iterator[list[Release]]:
    """Yield deployments of a day of which no two are of one service."""
    for _, theirs in groupby(shipped, key=lambda each: each.triggered_at.date()):
        nth: Counter[int] = Counter()
        lots: dict[int, list[Release]] = {}
        for release in theirs:
            lots.setdefault(nth[release.service], []).append(release)
            nth[release.service] += 1
        yield from lots.values()


async def _profile(
    pool: Pool, plan: Plan, fleet: Fleet, lot: Sequence[Release], profiled: dict[int, datetime]
) -> None:
    """Make the profiles that workers would have made by then."""
    for release in lot:
        latest = profiled.get(release.service)
        if latest is not None and release.triggered_at < latest + PROFILED:
            continue
        deployment = _as_deployment(fleet, release)
        if await profiling.build(pool, deployment, plan.baseline_seconds, SLOT_SECONDS):
            profiled[release.service] = release.triggered_at
            async with pool.acquire() as conn:
                await past.backdate_profile(conn, release.id)


def _as_deployment(fleet: Fleet, release: Release) -> Deployment:
    return Deployment(
        id=release.id,
        project_id=fleet.project_of(release.service).id,
        env=fleet.env[release.service],
        branch=release.branch,
        idempotency_key=None,
        state=DeploymentState.FINISHED,
        triggered_at=release.triggered_at,
    )


# What becomes of it


async def _roll(conn: Connection, advance: Advance) -> bool:
    """Roll up what was written, unless a worker is at it, who does the same."""
    advance("rollups", 0, 1)
    if not await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
        return False
    try:
        await rollups.prepare(conn)
        await rollups.roll(conn, await bulk.read_clock(conn))
    finally:
        await conn.execute(query("locks.unlock"), locks.LEADER, locks.HOUSE)
    advance("rollups", 1, 1)
    return True
