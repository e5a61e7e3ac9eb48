"""Deployments that are held: their slots stay, so that an old verdict can still be explained."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import polars as pl

from core.database import Connection
from core.errors import NotFoundError
from sql import frames
from sql.spans import ROWS
from sql.texts import query


async def hold(conn: Connection, deployment_id: UUID, baseline_seconds: float) -> int:
    """Hold a deployment and copy the slots it is judged by, as far as there are any yet.

    Args:
        conn: Connection.
        deployment_id: A deployment; upkeep copies what comes later.
        baseline_seconds: Length of the baseline window.

    Returns:
        How many samples were copied.

    Raises:
        NotFoundError: There is no such deployment.
    """
    async with conn.transaction():
        await _set(conn, deployment_id, keep=True)
        return await fill(conn, baseline_seconds, deployment_id)


async def release(conn: Connection, deployment_id: UUID) -> None:
    """Hold a deployment no more, and delete the copies of its slots.

    Raises:
        NotFoundError: There is no such deployment.
    """
    async with conn.transaction():
        await _set(conn, deployment_id, keep=False)
        await conn.execute(query("holds.empty"), deployment_id)


async def fill(conn: Connection, baseline_seconds: float, deployment_id: UUID | None = None) -> int:
    """Copy the slots of held deployments (None: all) that are not copied yet.

    Returns:
        How many samples were copied.
    """
    done = await conn.execute(query("holds.fill"), baseline_seconds, deployment_id)
    return int(done.rpartition(" ")[2])


async def load(conn: Connection, ids: Sequence[str]) -> pl.DataFrame:
    """Return the copies of the samples of held deployments: columns of `sql.spans.ROWS`."""
    return await frames.fetch(conn, query("holds.kept"), [ids], ROWS)


async def _set(conn: Connection, deployment_id: UUID, *, keep: bool) -> None:
    if await conn.fetchval(query("holds.set"), deployment_id, keep) is None:
        raise NotFoundError(f"no deployment {deployment_id}")
