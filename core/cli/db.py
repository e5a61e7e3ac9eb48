"""`seqpulse db`: the private TimescaleDB, and a way into whichever database is chosen."""

from __future__ import annotations

import os
import shutil
from typing import Annotated
from uuid import UUID

import typer

from core.cli import wiring
from core.database import Connection
from core.errors import EmbeddedError, SettingsError
from core.settings import Settings, load
from sql import bulk, edition, embedded, holds
from sql import retention as keeping
from sql.edition import Edition
from sql.embedded.install import find_installation, program
from sql.embedded.psql import connect_with, split_password
from sql.texts import query

NOT_RUNNING = 3
"""Exit code of `status`, the one of `pg_ctl status` too."""

DOES = {
    Edition.COMMUNITY: "compressed and dropped by the database itself",
    Edition.APACHE: "not compressed (the archive takes its place), dropped by the workers",
}

app = typer.Typer(
    no_args_is_help=True,
    help="The private TimescaleDB of this machine; or, if SEQPULSE_DATABASE_URL is set, that one.",
)


@app.command()
def start() -> None:
    """Start the private database and leave it running; install and create it if needed."""
    settings = _load_private()
    server = embedded.start(settings.data_dir, settings.cache_dir, stay=True, say=_say)
    _say("started" if server.started else "running already")
    if not server.stays:
        _say("it was started by another process and will stop with that one")
    typer.echo(split_password(server.url)[0])


@app.command()
def stop() -> None:
    """Stop the private database, whoever started it."""
    settings = _load_private()
    stopped = embedded.stop(settings.data_dir, settings.cache_dir)
    _say("stopped" if stopped else "it was not running")


@app.command()
def status() -> None:
    """Describe the database; exit code 3 if it is the private one and does not run."""
    settings = load()
    server = None
    if settings.database_url is None:
        server = embedded.status(settings.data_dir, settings.cache_dir)
        if server is None:
            _say(f"not running (data folder {settings.data_dir})")
            raise typer.Exit(NOT_RUNNING)
    rows = {"database": split_password(wiring.database_url(settings))[0]}
    if server:
        rows["process"] = f"{server.pid}, {'stays' if server.stays else 'stops with its starter'}"
        rows["port"] = str(server.port)
        rows["data folder"] = str(server.data_dir)
    for name, value in (rows | wiring.with_connection(_describe)).items():
        typer.echo(f"{name:<13}{value}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database; what follows is passed on to it, say -c 'SELECT 1'."""
    settings = load()
    root = find_installation(settings.cache_dir)
    found = str(program(root, "psql")) if root else shutil.which("psql")
    if found is None:
        raise EmbeddedError("no psql on this machine: install a PostgreSQL client")
    database, environment = connect_with(wiring.database_url(settings))
    # The password goes by the environment: everybody on the machine can read an argument.
    os.execve(found, ["psql", database, *context.args], {**os.environ, **environment})  # noqa: S606


@app.command()
def url() -> None:
    """Print the URL of the database, WITH its password.

    For other programs: export SEQPULSE_DATABASE_URL=$(seqpulse db url)
    """
    typer.echo(wiring.database_url(load()))


@app.command()
def retention() -> None:
    """Tell what is too old to be kept and how much room it takes; change nothing."""

    async def work(conn: Connection, settings: Settings) -> None:
        keep = keeping.choose(settings)
        now = await bulk.read_clock(conn)
        for table, age in keep.tables.items():
            chunks = await keeping.expired_chunks(conn, now, keep, table)
            room = sum(chunk.bytes for chunk in chunks)
            typer.echo(
                f"{table:<15}kept {age.days:>5} days  {len(chunks):>5} chunks to go  "
                f"{room / 2**20:>10.1f} MiB" + (f"  until {chunks[-1].until}" if chunks else "")
            )
        if keep.archived:
            typer.echo("samples and missed slots go when they are archived (seqpulse archive run)")

    wiring.with_connection(work)


@app.command()
def hold(
    deployment: Annotated[UUID, typer.Argument(help="Id of the deployment.")],
    release: Annotated[bool, typer.Option("--release", help="Hold it no more.")] = False,
) -> None:
    """Keep the samples of a deployment for ever, so that its verdict stays explainable."""

    async def work(conn: Connection, settings: Settings) -> None:
        if release:
            await holds.release(conn, deployment)
            typer.echo("released")
        else:
            count = await holds.hold(conn, deployment, settings.baseline_window_seconds)
            typer.echo(f"held, {count} samples copied")

    wiring.with_connection(work)


def _load_private() -> Settings:
    """Return the settings if they choose the private database.

    Raises:
        SettingsError: They choose another one, which is not ours to start or stop.
    """
    settings = load()
    if settings.database_url:
        raise SettingsError(
            "SEQPULSE_DATABASE_URL is set, and that database is not ours to start or stop: "
            "unset it to use the private one"
        )
    return settings


async def _describe(conn: Connection, _settings: Settings) -> dict[str, str]:
    """Ask the database what it is: versions, edition, size."""
    (facts,) = await conn.fetch(query("embedded.describe"))
    described = {name: value or "none" for name, value in facts.items()}
    if facts["timescaledb"]:
        described["old chunks"] = DOES[await edition.find(conn)]
    return described


def _say(line: str) -> None:
    typer.echo(line, err=True)
