"""`seqpulse channels`: who is told of the verdicts of a project."""

from __future__ import annotations

import re
import sys
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from core.cli import wiring
from core.codes import ChannelKind
from core.database import Connection
from core.errors import InvalidInputError
from core.settings import Settings
from core.types import ENV_PATTERN, NAME_PATTERN, Verdict
from ingest.outbound import REPOSITORY_PATTERN, check_receiver
from scheduler import notifying, queue
from sql import channels, deliveries
from sql.channels import Access, Channel, Interest
from sql.deliveries import Logged

app = typer.Typer(help="Tell people and programs of verdicts.", no_args_is_help=True)


@app.command("list")
def list_all(project_id: UUID) -> None:
    """List the channels of a project."""

    async def work(conn: Connection, _settings: Settings) -> list[Channel]:
        return await channels.list_of(conn, project_id)

    table = Table("id", "name", "kind", "address", "verdicts", "environments", "state")
    for each in wiring.with_connection(work):
        kinds = ", ".join(each.interest.verdicts)
        table.add_row(
            str(each.id),
            escape(each.name),
            each.kind,
            escape(each.shown),
            f"{kinds}, if conclusive" if each.interest.conclusive_only else kinds,
            ", ".join(each.interest.envs) or "all",
            "on" if each.enabled else f"off: {each.disabled_reason or 'somebody turned it off'}",
        )
    wiring.open_console().print(table)


@app.command()
def add(
    project_id: UUID,
    kind: ChannelKind,
    name: str,
    repository: Annotated[str, typer.Option(help="OWNER/NAME, for github.")] = "",
    verdict: Annotated[list[Verdict] | None, typer.Option(help="Only these.")] = None,
    conclusive_only: Annotated[bool, typer.Option(help="Only conclusive verdicts.")] = False,
    env: Annotated[list[str] | None, typer.Option(help="Only these environments.")] = None,
) -> None:
    """Tell somebody of every verdict from now on.

    The URL, or the token for GitHub, is read from standard input.
    """
    if not (re.fullmatch(NAME_PATTERN, name) and name.isprintable()):
        raise InvalidInputError("name: must be 1 to 100 printable characters")
    if not all(re.fullmatch(ENV_PATTERN, each) for each in env or ()):
        raise InvalidInputError("env: must be letters, digits and . _ / - and at most 64 of them")
    access = _read_access(kind, repository)
    interest = Interest(verdict or list(Verdict), conclusive_only, env or [])

    async def work(conn: Connection, settings: Settings) -> tuple[Channel, str | None]:
        vault = settings.vault()
        return await channels.create(conn, vault, project_id, kind, name, access, interest)

    channel, secret = wiring.with_connection(work)
    typer.echo(f"channel {channel.id}")
    if secret is not None:
        typer.echo(f"secret {secret}")
        typer.echo("the secret is shown this once: the receiver checks signatures by it", err=True)


@app.command()
def remove(project_id: UUID, channel_id: UUID) -> None:
    """Delete a channel with the log of its deliveries."""

    async def work(conn: Connection, _settings: Settings) -> None:
        await channels.delete(conn, project_id, channel_id)

    wiring.with_connection(work)
    typer.echo(f"channel {channel_id} is removed")


@app.command()
def rotate(
    project_id: UUID,
    channel_id: UUID,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=168, help="For so long the secret before signs, too.")
    ] = 24,
) -> None:
    """Give a webhook a new secret and show it, once."""

    async def work(conn: Connection, settings: Settings) -> str:
        return await channels.rotate_secret(
            conn, settings.vault(), project_id, channel_id, overlap_hours * 3600
        )

    typer.echo(f"secret {wiring.with_connection(work)}")


@app.command()
def test(project_id: UUID, channel_id: UUID) -> None:
    """Have a worker send a channel a message that tells of nothing."""

    async def work(conn: Connection, _settings: Settings) -> UUID:
        delivery_id = await notifying.test(conn, project_id, channel_id)
        await queue.wake(conn)
        return delivery_id

    typer.echo(f"delivery {wiring.with_connection(work)}")
    typer.echo(f"see what becomes of it: seqpulse channels log {project_id}", err=True)


@app.command("log")
def show_log(project_id: UUID, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50) -> None:
    """Show what became of the latest deliveries."""

    async def work(conn: Connection, _settings: Settings) -> list[Logged]:
        return await deliveries.list_of(conn, project_id, limit=limit)

    table = Table("id", "created", "channel", "deployment", "status", "attempts", "last answer")
    for each in wiring.with_connection(work):
        table.add_row(
            str(each.id),
            f"{each.created_at:%Y-%m-%d %H:%M:%S}",
            escape(each.channel),
            "test" if each.deployment_id is None else f"{each.deployment_id} ({each.revision})",
            each.status,
            str(each.attempts),
            escape(each.last_error or (f"HTTP {each.status_code}" if each.status_code else "")),
        )
    wiring.open_console().print(table)


def _read_access(kind: ChannelKind, repository: str) -> Access:
    """Ask for what is secret, or take a line of standard input; never an argument others can see.

    Raises:
        InvalidInputError: That is no URL, token or repository.
    """
    github = kind is ChannelKind.GITHUB
    if github != bool(repository):
        raise InvalidInputError("--repository: needed for github, and only there")
    if github and not re.fullmatch(REPOSITORY_PATTERN, repository):
        raise InvalidInputError("--repository: must be OWNER/NAME")
    if sys.stdin.isatty():
        secret = str(typer.prompt("token" if github else "url", hide_input=True))
    else:
        secret = sys.stdin.readline().strip()
    if github and not re.fullmatch(r"[!-~]{1,255}", secret):
        raise InvalidInputError("token: must be one word of ASCII characters")
    return Access(secret, repository if github else check_receiver(secret))
