"""`seqpulse demo history`: a past for boards, recipes and benchmarks, judged by the real judge."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer
from rich.console import Console
from rich.progress import Progress

from analytics.policy import choose
from core import logs
from core.cli import wiring
from core.cli.results import open_results
from core.database import Pool
from core.errors import InvalidInputError
from core.settings import Settings
from demo.past.make import CONNECTIONS, DAY, Made, Plan, make
from scheduler.judging import Policies
from sql import migrate

UNTIL_HELP: Final = "Its end (UTC); without it the hour that has just begun."


def run(
    projects: Annotated[int, typer.Option(help="How many projects.")] = 200,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days back.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another past.")] = 7,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help=UNTIL_HELP),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Write what really did harm to a .csv, .parquet or .json file."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if there are other projects.")
    ] = False,
) -> None:
    """Fill a database with services, what they measured, and judged deployments.

    Nothing that is there is changed. The same numbers make the same past, ids and all.
    """
    logs.configure("warning")
    if labels is not None and labels.suffix not in (".csv", ".parquet", ".json"):
        raise InvalidInputError("--labels: must end in .csv, .parquet or .json")
    end = (until or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    console = Console(stderr=True, highlight=False)

    async def work(pool: Pool, settings: Settings) -> Made:
        plan = Plan(
            projects=projects,
            days=days,
            seed=seed,
            until=end,
            policies=Policies(
                choose(settings.policy),
                tuple(choose(each) for each in settings.shadow_policies),
            ),
            baseline_seconds=settings.baseline_window_seconds,
            runs_days=settings.keep_runs_days,
            force=force,
        )
        async with pool.acquire() as conn:
            await migrate.check(conn)
        _warn(plan, settings, console)
        with wiring.open_progress() as progress:
            return await make(pool, plan, _Bars(progress))

    made = wiring.with_pool(work, CONNECTIONS)
    with open_results(labels) as write:
        write(_label(made))
    _tell(made)


class _Bars:
    """A bar per step."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks = {
            name: progress.add_task(name, total=None) for name in ("samples", "verdicts", "rollups")
        }

    def __call__(self, step: str, done: int, total: int) -> None:
        self.progress.update(self.tasks[step], completed=done, total=total)


def _warn(plan: Plan, settings: Settings, console: Console) -> None:
    """Say what becomes of samples that are older than what is kept."""
    kept = settings.keep_samples_days * DAY
    if plan.since < datetime.now(UTC) - kept:
        age = (datetime.now(UTC) - plan.since) // DAY + 1
        console.print(
            f"Samples are kept for {settings.keep_samples_days} days: the first worker will drop "
            f"older ones, and leave their rollups. To keep them, set SEQPULSE_KEEP_SAMPLES_DAYS="
            f"{age} for it (and for `seqpulse migrate`)."
        )


def _label(made: Made) -> pl.DataFrame:
    columns = ("deployment_id", "triggered_at", "kind", "size", "rolls_back")
    rows = [
        (str(each.id), each.triggered_at, each.kind, each.size, each.rolls_back)
        for each in made.deployments
    ]
    return pl.DataFrame(rows, columns, orient="row")


def _tell(made: Made) -> None:
    harmful = sum(each.kind != "none" for each in made.deployments)
    told = sum(each.feedback is not None for each in made.deployments)
    back = sum(each.rolls_back for each in made.deployments)
    lines = [
        f"{made.projects} projects, {made.services} services",
        f"{made.samples:,} samples and {made.missed:,} missed slots "
        f"in {made.seconds['samples']:.0f} s",
        f"{len(made.deployments):,} deployments, {harmful:,} of them harmful, {back:,} rollbacks; "
        f"feedback on {told:,}; judged in {made.seconds['verdicts']:.0f} s",
        f"rolled up in {made.seconds['rollups']:.0f} s"
        if made.rolled_up
        else "a worker is keeping house and will roll it up",
        "API keys: seqpulse projects keys add ID",
    ]
    typer.echo("\n".join(lines))
