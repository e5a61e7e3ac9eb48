"""Judge the past again: lot by lot from the database, the next lot loading meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import polars as pl

from analytics.judge import assess
from analytics.policy import Policy
from analytics.replay import flatten
from core.database import Connection
from scheduler.judging import prepare
from sql import history, windows
from sql.history import Selection
from sql.windows import Material

LOT: Final = 2_000
"""Deployments judged together: enough to be fast, few enough for any memory."""


async def replay(
    conn: Connection,
    policy: Policy[Any],
    selection: Selection,
    baseline_seconds: float,
    lot: int = LOT,
) -> AsyncGenerator[pl.DataFrame]:
    """Judge deployments of the past in order of time; nothing is written.

    Every deployment is judged by what its own judge job knew (see `sql.windows`), so a policy that
    judged it live says the same again, bit for bit. Those whose post window is not settled yet are
    left out.

    Args:
        conn: A connection of its own.
        policy: Who judges.
        selection: Which deployments.
        baseline_seconds: Length of the baseline window.
        lot: How many at a time.

    Yields:
        One row per deployment: what `analytics.replay.flatten` says of it, and project, env,
        branch, triggered_at, finished_at, and the verdict on record (recorded_*, null: none).
    """
    judging: asyncio.Task[pl.DataFrame] | None = None
    async with aclosing(history.walk(conn, selection, lot)) as lots:
        async for ids in lots:
            loaded = await _load(conn, ids, baseline_seconds)
            if judging is not None:
                yield await judging
            judging = asyncio.create_task(asyncio.to_thread(_judge, *loaded, policy))
    if judging is not None:
        yield await judging


async def _load(
    conn: Connection, ids: list[UUID], baseline_seconds: float
) -> tuple[Material, pl.DataFrame]:
    material = await windows.load(conn, ids, baseline_seconds)
    settled = replace(material, deployments=material.deployments.filter("settled"))
    return settled, await history.load_recorded(conn, ids)


def _judge(material: Material, recorded: pl.DataFrame, policy: Policy[Any]) -> pl.DataFrame:
    cases = prepare(material)
    known = material.deployments.select("deployment_id", "env", "triggered_at", "finished_at")
    said = flatten(assess(cases.windows, policy, cases.profiles))
    return known.join(recorded, on="deployment_id", maintain_order="left").join(
        said, on="deployment_id", maintain_order="left"
    )
