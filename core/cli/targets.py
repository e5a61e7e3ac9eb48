"""`seqpulse projects target`: where a project is read, how, and whether that works."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from core.cli import wiring
from core.database import Connection
from core.errors import InvalidInputError
from core.settings import Settings
from core.types import Reading
from ingest import guard, presets, prometheus
from ingest.collector import Collector
from ingest.credentials import Scheme, make_header
from scheduler import baseline, queue
from sql import projects, targets
from sql.texts import query

app = typer.Typer(no_args_is_help=True, help="Set and check where a project is read.")

Env = Annotated[str, typer.Option(help="Environment of the target.")]


@app.command("set")
def configure(
    project_id: UUID,
    url: Annotated[str, typer.Argument(help="SDK endpoint, or base URL of a Prometheus.")],
    env: Env = "prod",
    preset: Annotated[
        str | None, typer.Option(help=f"A Prometheus with {', '.join(presets.PRESETS)} metrics.")
    ] = None,
    select: Annotated[str, typer.Option(help='Its series: job="shop",env="prod".')] = "",
    window: Annotated[str, typer.Option(help="Its rates are over this.")] = "2m",
    memory_bytes: Annotated[int, typer.Option(help="Memory one process may use.")] = 0,
    cpus: Annotated[float, typer.Option(help="Processors one process may use.")] = 1.0,
    queries: Annotated[
        list[str] | None, typer.Option("--query", help="METRIC=PROMQL, for each of the five.")
    ] = None,
    auth: Annotated[
        Scheme | None, typer.Option(help="Send a credential; it is read from standard input.")
    ] = None,
) -> None:
    """Set the target of a project, and start collecting its baseline."""
    guard.check_url(url)
    expressions: dict[str, str] | None = None
    if preset is not None or queries:
        given = (
            {}
            if preset is None
            else presets.expand(preset, select, window=window, memory_bytes=memory_bytes, cpus=cpus)
        )
        expressions = given | _parse_queries(queries or [])
        prometheus.check_queries(expressions)
    header = None if auth is None else make_header(auth, _read_credential(auth))

    async def work(conn: Connection, settings: Settings) -> None:
        async with conn.transaction():
            await projects.find(conn, project_id)
            await targets.configure(
                conn, settings.vault(), project_id, env, url, queries=expressions, header=header
            )
            now = await conn.fetchval(query("installation.now"))
            await baseline.watch(
                conn,
                project_id,
                env,
                None,
                first_at=now,
                interval_seconds=settings.baseline_interval_seconds,
            )
        await queue.wake(conn)

    wiring.with_connection(work)
    typer.echo(f"the target in {env} is set; try it: seqpulse projects target check {project_id}")


@app.command()
def check(project_id: UUID, env: Env = "prod") -> None:
    """Read the target once, from this machine, and show the five numbers or why there are none."""

    async def work(conn: Connection, settings: Settings) -> Reading:
        target = await targets.load(conn, settings.vault(), project_id, env)
        async with Collector(
            timeout_seconds=settings.collect_timeout_seconds,
            slot_seconds=settings.slot_seconds,
            target_allow=settings.target_allow,
            target_hosts=settings.target_hosts,
            target_ports=settings.target_ports,
        ) as collector:
            return await collector.collect(target)

    for name, value in asdict(wiring.with_connection(work)).items():
        typer.echo(f"{name:<17}{value}")


def _parse_queries(texts: list[str]) -> dict[str, str]:
    queries = {}
    for text in texts:
        name, equals, expression = text.partition("=")
        if not equals:
            raise InvalidInputError("query: must be of the form METRIC=PROMQL")
        queries[name] = expression
    return queries


def _read_credential(scheme: Scheme) -> str:
    """Ask for a credential, or take a line of standard input; never an argument others can see."""
    if sys.stdin.isatty():
        asked: str = typer.prompt(scheme.value, hide_input=True)
        return asked
    return sys.stdin.readline().rstrip("\n")
