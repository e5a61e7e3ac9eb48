"""The report of a deployment as a page, for people; what it shows is gathered here."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

import polars as pl
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.auth import ProjectDep
from api.page import document
from api.page.content import Report
from api.routes import Route
from api.state import ConnectionDep, StateDep
from core.database import Connection
from core.types import Deployment, Metric
from scheduler.judging import prepare
from sql import deployments, reports, verdicts, windows
from sql.windows import Material

router = APIRouter(tags=["verdicts"], route_class=Route)

HEADERS: Final = {
    "Content-Security-Policy": f"{document.POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}


@router.get("/deployments/{deployment_id}/report", response_class=HTMLResponse)
async def show(
    deployment_id: UUID, project: ProjectDep, state: StateDep, conn: ConnectionDep
) -> HTMLResponse:
    """Return the verdict with pictures and evidence as one page that needs nothing else.

    Before there is a verdict it shows what is known already.
    """
    deployment = await deployments.find(conn, deployment_id, project.id)
    seconds = state.settings.baseline_window_seconds
    report = await gather(conn, deployment, project.name, seconds)
    return HTMLResponse(await asyncio.to_thread(document.render, report), headers=HEADERS)


async def gather(
    conn: Connection, deployment: Deployment, project: str, baseline_seconds: float
) -> Report:
    """Return what the report of a deployment shows, all as of one moment.

    Args:
        conn: Connection, not in a transaction.
        deployment: Which one.
        project: Name of its project.
        baseline_seconds: Length of the baseline window.
    """
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        material = await windows.load(conn, [deployment.id], baseline_seconds)
        return Report(
            project,
            deployment,
            await reports.load_moments(conn, deployment, baseline_seconds),
            await asyncio.to_thread(_find_before, material),
            await verdicts.find(conn, deployment.id),
            await reports.find_origin(conn, deployment),
            await verdicts.find_hints(conn, deployment.id),
            await verdicts.find_shadows(conn, deployment.id),
        )


def _find_before(material: Material) -> dict[Metric, list[float]]:
    """Return the values the judge takes for the baseline; none before the finish."""
    if material.deployments.is_empty():
        return {}
    [block] = prepare(material).windows.blocks
    known = (pl.Series(values[0]).drop_nans().to_list() for values in block.before)
    return dict(zip(Metric, known, strict=True))
