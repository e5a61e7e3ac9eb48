"""`seqpulse replay`: judge all of history again, under any policy, and see what would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from analytics import replay as outcome
from analytics.policy import Policy, choose
from core import logs
from core.cli import wiring
from core.cli.results import Write, open_results
from core.database import Pool
from core.errors import InvalidInputError
from core.settings import Settings
from core.types import Verdict
from scheduler.replay import CONNECTIONS, replay
from sql import history

COLOURS: Final = {"ok": "green", "warning": "yellow", "rollback_recommended": "red"}
MOST_ROWS: Final = 60
"""Rows of the diff table; the rest is summed up."""


def run(
    policy: Annotated[str, typer.Option(help="Name of a shipped policy, or a file.")],
    project: Annotated[str | None, typer.Option(help="Name or id.")] = None,
    env: Annotated[str | None, typer.Option(help="Environment.")] = None,
    since: wiring.Moment = None,
    until: wiring.Moment = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write every verdict to a .csv, .parquet or .json file.")
    ] = None,
    archive: wiring.UseArchive = False,
    url: wiring.ArchiveUrl = None,
) -> None:
    """Judge every finished deployment again. Nothing is changed.

    --since and --until are moments of the finish, in UTC.
    """
    logs.configure("warning")
    judging = choose(policy)
    if out is not None and out.suffix not in (".csv", ".parquet", ".json"):
        raise InvalidInputError("--out: must end in .csv, .parquet or .json")

    seeker = wiring.open_seeker(url, wanted=archive)

    async def work(pool: Pool, settings: Settings) -> pl.DataFrame:
        async with pool.acquire() as conn:
            selection = await wiring.select(conn, project, env, since, until)
            total = await history.count(conn, selection)
        lots = replay(pool, judging, selection, settings.baseline_window_seconds, find=seeker)
        with open_results(out) as write, wiring.open_progress() as progress:
            task = progress.add_task(f"judging by {judging.name}", total=total)
            return await _add_up(lots, write, partial(progress.advance, task))

    tallied = wiring.with_pool(work, CONNECTIONS)
    _show(tallied, judging, diff=diff)


async def _add_up(
    lots: AsyncGenerator[pl.DataFrame], write: Write, advance: Callable[[float], None]
) -> pl.DataFrame:
    """Write and count lot by lot, so that the whole never has to be held."""
    tallied = outcome.TALLY.to_frame()
    async with aclosing(lots) as judged:
        async for lot in judged:
            write(lot)
            tallied = outcome.add_up([tallied, outcome.tally(lot)])
            advance(lot.height)
    return tallied


def _show(tallied: pl.DataFrame, policy: Policy[Any], *, diff: bool) -> None:
    console = wiring.open_console()
    verdicts: Counter[str] = Counter()
    for verdict, number in tallied.select("verdict", "deployments").iter_rows():
        verdicts[verdict] += number
    changed = outcome.select_changed(tallied)
    parts = [f"{verdicts[verdict]} {_paint(verdict)}" for verdict in Verdict]
    console.print(f"{policy.name}: {verdicts.total()} deployments, {', '.join(parts)}")
    console.print(f"{changed['deployments'].sum()} differ from the verdict on record")
    if diff and not changed.is_empty():
        console.print(_table(changed))


def _table(changed: pl.DataFrame) -> Table:
    table = Table("project", "on record", "replayed", "deployments", "for example")
    for row in changed.head(MOST_ROWS).iter_rows(named=True):
        table.add_row(
            escape(row["project"]),
            _paint(row["recorded_verdict"]),
            _paint(row["verdict"]),
            str(row["deployments"]),
            "\n".join(row["examples"]),
        )
    rest = changed.slice(MOST_ROWS)
    if not rest.is_empty():
        table.add_row("…", "", "", str(rest["deployments"].sum()), f"{rest.height} more rows")
    return table


def _paint(verdict: str | None) -> str:
    return "[dim]none[/]" if verdict is None else f"[{COLOURS[verdict]}]{verdict}[/]"
