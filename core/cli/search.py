"""`seqpulse search`: which numbers of a policy would have been right, on labelled history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from analytics.policy import choose
from analytics.policy_file import read_table
from analytics.search import Candidate, rank, vary
from core import logs
from core.cli import wiring
from core.database import Connection
from core.settings import Settings
from scheduler.search import LOT, search
from sql import history

MOST_ROWS: Final = 20
"""Rows of the table: the best candidates."""


def run(
    policy: Annotated[str, typer.Option(help="Name of a shipped policy, or a file.")],
    grid: Annotated[
        Path | None,
        typer.Option(help="Values to try: a .toml or .json file; without it the policy as it is."),
    ] = None,
    most_false_alarms: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the harmless that may alarm.")
    ] = 0.02,
    project: Annotated[str | None, typer.Option(help="Name or id.")] = None,
    env: Annotated[str | None, typer.Option(help="Environment.")] = None,
    since: wiring.Moment = None,
    until: wiring.Moment = None,
) -> None:
    """Try numbers of a policy on deployments of which is known whether they did harm.

    Nothing is changed. --since and --until are moments of the finish, in UTC.
    """
    logs.configure("warning")
    candidates = vary(choose(policy), {} if grid is None else read_table(grid))

    async def work(conn: Connection, settings: Settings) -> list[pl.DataFrame]:
        selection = await wiring.select(conn, project, env, since, until)
        labels = await history.load_labels(conn, selection)
        tallies = search(conn, candidates, labels, settings.baseline_window_seconds)
        with wiring.open_progress() as progress:
            task = progress.add_task(f"trying {len(candidates):,}", total=len(labels))
            found = []
            async for tally in tallies:
                found.append(tally)
                progress.advance(task, LOT)
        return found

    ranking = rank(wiring.with_connection(work), most_false_alarms)
    _show(ranking, candidates, most_false_alarms)


def _show(ranking: pl.DataFrame, candidates: list[Candidate], most_false_alarms: float) -> None:
    console = wiring.open_console()
    best = ranking.row(0, named=True)
    console.print(
        f"{best['harmless'] + best['harmful']} labelled deployments: {best['harmless']} harmless, "
        f"{best['harmful']} harmful"
    )
    console.print(_table(ranking, candidates))
    if not best["holds"]:
        console.print(f"none keeps the false alarms within {100 * most_false_alarms:g} %")
    elif numbers := candidates[best["place"]].numbers:
        console.print("the best, for the file of a policy:\n\n\\[rules]")
        for key, value in numbers.items():
            console.print(escape(f"{key} = {json.dumps(value)}"))


def _table(ranking: pl.DataFrame, candidates: list[Candidate]) -> Table:
    table = Table(*map(escape, candidates[0].numbers), "false alarms", "found")
    for row in ranking.head(MOST_ROWS).iter_rows(named=True):
        numbers = candidates[row["place"]].numbers
        table.add_row(
            *(escape(json.dumps(value)) for value in numbers.values()),
            _share(row, "false_alarms", "harmless"),
            _share(row, "found", "harmful"),
        )
    return table


def _share(row: dict[str, Any], part: str, whole: str) -> str:
    if not row[whole]:
        return ""
    return f"{row[part]} of {row[whole]} ({row[part] / row[whole]:.1%})"
