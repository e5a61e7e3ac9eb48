"""`seqpulse report`: the report of a deployment in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from api.page import document
from api.page.content import Report
from api.report import gather
from core import logs
from core.cli import wiring
from core.database import Connection
from core.settings import Settings
from sql import deployments, projects


def run(
    deployment: Annotated[UUID, typer.Argument(help="Id of a deployment.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; the standard output by default.")
    ] = None,
) -> None:
    """Write the HTML report of a deployment: one file that needs nothing else."""
    logs.configure("warning")

    async def work(conn: Connection, settings: Settings) -> Report:
        found, _ = await deployments.load(conn, deployment)
        project = await projects.find(conn, found.project_id)
        return await gather(conn, found, project.name, settings.baseline_window_seconds)

    page = document.render(wiring.with_connection(work))
    if output is None:
        sys.stdout.write(page)
    else:
        output.write_text(page, encoding="utf-8")
