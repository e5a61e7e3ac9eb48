"""Judge the past again: lot by lot from the database, the next ones loading meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final
from uuid import UUID

import polars as pl

from analytics.judge import assess
from analytics.policy import Policy
from core.database import Pool
from scheduler.judging import prepare
from sql import history, windows
from sql.history import Selection
from sql.windows import Find, Material, Outline

LOT: Final = 2_500
"""Deployments judged together: enough to be fast, few enough for any memory."""
AHEAD: Final = 3
"""Lots in work: two are loaded while one is judged, so neither server nor we ever wait."""
CONNECTIONS: Final = 3
"""What the pool should allow: two for the lots, one to walk through history."""


async def replay(
    pool: Pool,
    policy: Policy[Any],
    selection: Selection,
    baseline_seconds: float,
    lot: int = LOT,
    find: Find | None = None,
) -> AsyncGenerator[pl.DataFrame]:
    """Judge deployments of the past in order of time; nothing is written.

    Every deployment is judged by what its own judge job knew (see `sql.windows`), so a policy that
    judged it live says the same again, bit for bit. Those whose post window is not settled yet are
    left out.

    Args:
        pool: At least two connections, better `CONNECTIONS`.
        policy: Who judges.
        selection: Which deployments.
        baseline_seconds: Length of the baseline window.
        lot: How many at a time.
        find: Finds samples that are not in the database (`sql.archive.Seeker`).

    Yields:
        One row per deployment: what `analytics.judge.assess` says of it, and project, env,
        branch, triggered_at, finished_at, and the verdict on record (recorded_*, null: none).
    """
    at_work: deque[asyncio.Task[pl.DataFrame]] = deque()
    try:
        async with (
            pool.acquire() as conn,
            aclosing(history.walk(conn, selection, lot)) as lots,
        ):
            async for ids in lots:
                judging = _replay_lot(pool, ids, policy, baseline_seconds, find)
                at_work.append(asyncio.create_task(judging))
                if len(at_work) == AHEAD:
                    yield await at_work.popleft()
        while at_work:
            yield await at_work.popleft()
    finally:
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


async def _replay_lot(
    pool: Pool,
    ids: Sequence[UUID],
    policy: Policy[Any],
    baseline_seconds: float,
    find: Find | None,
) -> pl.DataFrame:
    async with pool.acquire() as conn:
        material = await windows.load(conn, ids, baseline_seconds, find)
        recorded = await history.load_recorded(conn, ids)
    return await asyncio.to_thread(_judge, material.settled(), recorded, policy)


def judge_samples(outline: Outline, samples: pl.DataFrame, policy: Policy[Any]) -> pl.DataFrame:
    """Judge deployments by samples that are at hand; needs no database, so it runs anywhere.

    Args:
        outline: The deployments, see `sql.windows.outline`.
        samples: All of their services there are, each once: columns of `sql.spans.ROWS`.
        policy: Who judges.

    Returns:
        One row per deployment whose post window is settled: what `analytics.judge.assess` says of
        it. Where `samples` are the same as in the database, it is what `replay` says.
    """
    cases = prepare(outline.fill(samples).settled())
    return assess(cases.windows, policy, cases.profiles).verdicts


def _judge(material: Material, recorded: pl.DataFrame, policy: Policy[Any]) -> pl.DataFrame:
    cases = prepare(material)
    said = assess(cases.windows, policy, cases.profiles).verdicts
    known = material.deployments["deployment_id", "env", "triggered_at", "finished_at"]
    return known.join(recorded, on="deployment_id", how="left", maintain_order="left").hstack(
        said.drop("deployment_id")
    )
