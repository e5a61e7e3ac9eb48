"""`seqpulse import`: the history of a service, from a file into the continuous baseline."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from core import logs
from core import settings as configuration
from core.cli import wiring
from core.database import create_pool
from core.errors import InvalidInputError
from core.types import ENV_PATTERN
from ingest import files, rows
from sql import bulk, projects

OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
BATCH_ROWS: Final = 20_000
WRITERS: Final = 2
"""One sends while the server works for the other."""
SHOWN: Final = 20
SOME_REFUSED: Final = 3
"""Exit code: the file was read, but not every row of it was taken."""


@dataclass
class Report:
    """What became of the rows of a file."""

    stored: int = 0
    known: int = 0
    refused: int = 0
    first: list[rows.Refusal] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def count(self, batch: rows.Batch, stored: int) -> None:
        """Take note of a batch."""
        self.stored += stored
        self.known += len(batch.rows) - stored
        self.refused += len(batch.refusals)
        self.first = sorted([*self.first, *batch.refusals], key=lambda each: each.line)[:SHOWN]
        self.reasons.update(refusal.reason for refusal in batch.refusals)


def load(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet.")],
    project: Annotated[UUID, typer.Option(help="Id of the project the samples belong to.")],
    env: Annotated[str, typer.Option(help="Environment of rows that do not name one.")] = "prod",
) -> None:
    """Import samples from a file; a slot that has one already keeps it.

    Columns: slot_at, the five metrics, perhaps env; further numeric columns are kept beside the
    five. Exit code 3 if rows were refused: the others are stored all the same.
    """
    logs.configure("warning")
    if not re.fullmatch(ENV_PATTERN, env):
        raise InvalidInputError("--env: must be letters, digits and . _ / - and at most 64 of them")
    table = files.open_table(file)
    console = Console(stderr=True, highlight=False)
    if table.ignored:
        console.print(f"ignored columns: {escape(', '.join(table.ignored)[:500])}")
    with Progress(*Progress.get_default_columns(), console=console) as progress:
        task = progress.add_task("rows", total=table.count)
        report = asyncio.run(_import(table, project, env, partial(progress.advance, task)))
    _tell(report, console)
    raise typer.Exit(SOME_REFUSED if report.refused else 0)


async def _import(
    table: files.Table, project_id: UUID, env: str, advance: Callable[[float], None]
) -> Report:
    """Write the file, each batch in a transaction of its own: what failed can be done again."""
    report = Report()
    settings = configuration.load()
    url = wiring.database_url(settings)
    async with await create_pool(url, WRITERS, application="seqpulse import") as pool:
        async with pool.acquire() as conn:
            await projects.find(conn, project_id)
            oldest, now = await bulk.read_bounds(conn, timedelta(days=settings.keep_samples_days))
        batches = _read(table, env, rows.Bounds(max(OLDEST, oldest), now + rows.MAX_AHEAD))
        turn = asyncio.Lock()

        async def write() -> None:
            async with pool.acquire() as conn:
                while batch := await _take(batches, turn):
                    stored = await bulk.write(conn, project_id, batch.rows)
                    report.count(batch, stored)
                    advance(len(batch.rows) + len(batch.refusals))

        try:
            async with asyncio.TaskGroup() as writers:
                for _ in range(WRITERS):
                    writers.create_task(write())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return report


def _read(table: files.Table, env: str, bounds: rows.Bounds) -> Iterator[rows.Batch]:
    for frame in table.frames:
        for piece in frame.iter_slices(BATCH_ROWS):
            yield rows.read_frame(piece, env, bounds)


async def _take(batches: Iterator[rows.Batch], turn: asyncio.Lock) -> rows.Batch | None:
    """Return the next batch, read beside the loop; one caller at a time."""
    async with turn:
        return await asyncio.to_thread(next, batches, None)


def _tell(report: Report, console: Console) -> None:
    for refusal in report.first:
        console.print(f"line {refusal.line}: {refusal.reason}")
    if report.refused > len(report.first):
        console.print(f"... and {report.refused - len(report.first):,} more; in all:")
        for reason, count in report.reasons.most_common():
            console.print(f"{count:>12,}  {reason}")
    typer.echo(f"stored {report.stored}, known {report.known}, refused {report.refused}")
