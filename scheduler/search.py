"""Judge labelled deployments of the past by many policies, lot by lot from the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import polars as pl

from analytics.search import Candidate, count_alarms
from core.database import Connection
from scheduler.judging import prepare
from sql import windows
from sql.windows import Material

LOT: Final = 500
"""Deployments loaded at once: each lot is judged by every candidate, so loading hardly counts."""


async def search(
    conn: Connection,
    candidates: Sequence[Candidate],
    labels: Mapping[UUID, bool],
    baseline_seconds: float,
    lot: int = LOT,
) -> AsyncGenerator[pl.DataFrame]:
    """Count the alarms of every candidate; nothing is written.

    Deployments are judged by what their own judge jobs knew, as in `scheduler.replay`. Those whose
    post window is not settled yet are left out.

    Args:
        conn: Connection.
        candidates: Who judges.
        labels: Whether a deployment did harm, by id.
        baseline_seconds: Length of the baseline window.
        lot: How many at a time.

    Yields:
        A frame of `analytics.search.TALLY` for each lot, in order.
    """
    ids = list(labels)
    for start in range(0, len(ids), lot):
        material = await windows.load(conn, ids[start : start + lot], baseline_seconds)
        settled = replace(material, deployments=material.deployments.filter("settled"))
        yield await asyncio.to_thread(_count, settled, candidates, labels)


def _count(
    material: Material, candidates: Sequence[Candidate], labels: Mapping[UUID, bool]
) -> pl.DataFrame:
    cases = prepare(material)
    harmful = [labels[UUID(each)] for each in cases.windows.deployments["deployment_id"]]
    return count_alarms(candidates, cases.windows, harmful, cases.profiles)
