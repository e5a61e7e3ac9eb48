"""`seqpulse jobs` and `seqpulse workers`: what is to be done, what was done, and by whom."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.cli import wiring
from core.database import Connection
from core.errors import NotFoundError
from core.settings import Settings
from scheduler import queue
from sql import locks
from sql.texts import query

app = typer.Typer(help="Look at jobs, retry and cancel them.", no_args_is_help=True)


class State(StrEnum):
    """How a job stands, live or done."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


COLUMNS = ("id", "kind", "status", "env", "phase", "sequence_index", "scheduled_at", "attempt")


@app.command("list")
def list_all(
    status: Annotated[State | None, typer.Option(help="Only those.")] = None,
    deployment: Annotated[UUID | None, typer.Option(help="Id of a deployment.")] = None,
    project: Annotated[UUID | None, typer.Option(help="Id of a project.")] = None,
    hours: Annotated[int, typer.Option(min=1, help="How far back, for finished jobs.")] = 24,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """List jobs, live and done, latest first."""
    rows = _find(status, deployment, project, None, limit, hours)
    _print([*COLUMNS, "last_error"], rows)


@app.command()
def show(job_id: int) -> None:
    """Show everything about a job."""
    for row in _require(job_id, _find(None, None, None, job_id, 10, None)):
        for name, value in row.items():
            typer.echo(f"{name:<16}{'' if value is None else value}")


@app.command()
def retry(job_id: int) -> None:
    """Make a pending job due now, or do a failed one again."""

    async def work(conn: Connection, _settings: Settings) -> list[bool]:
        found = await queue.hasten(conn, job_id)
        await queue.wake(conn)
        return [found] if found else []

    _require(job_id, wiring.with_connection(work))
    typer.echo(f"job {job_id} is due now")


@app.command()
def cancel(job_id: int) -> None:
    """Cancel a job; if it runs, its result is dropped."""

    async def work(conn: Connection, _settings: Settings) -> list[int]:
        return [1] * await queue.cancel(conn, ids=[job_id])

    _require(job_id, wiring.with_connection(work))
    typer.echo(f"job {job_id} is cancelled")


def workers() -> None:
    """List the worker processes and what they hold."""

    async def work(conn: Connection, _settings: Settings) -> list[dict[str, Any]]:
        return [dict(row) for row in await conn.fetch(query("workers.list"), locks.WORKER)]

    columns = ["key", "host", "pid", "started_at", "alive", "running"]
    _print(columns, wiring.with_connection(work))


def _find(
    status: State | None,
    deployment: UUID | None,
    project: UUID | None,
    job: int | None,
    limit: int,
    hours: int | None,
) -> list[dict[str, Any]]:
    async def work(conn: Connection, _settings: Settings) -> list[dict[str, Any]]:
        found = query("jobs.list")
        rows = await conn.fetch(found, status, deployment, project, job, limit, hours)
        return [dict(row) for row in rows]

    return wiring.with_connection(work)


def _require(job_id: int, found: list[Any]) -> list[Any]:
    if not found:
        raise NotFoundError(f"no such job, or it cannot be changed any more: {job_id}")
    return found


def _print(columns: list[str], rows: list[dict[str, Any]]) -> None:
    table = Table(*columns)
    for row in rows:
        values = (row[name] for name in columns)
        table.add_row(*("" if value is None else escape(str(value)) for value in values))
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)
