"""`seqpulse projects keys`: who may call for a project, with what scope, until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.cli import wiring
from core.database import Connection
from core.errors import InvalidInputError
from core.settings import Settings
from core.types import Scope
from sql import api_keys, projects
from sql.api_keys import KeyFacts

app = typer.Typer(no_args_is_help=True, help="API keys of a project.")
console = Console()


@app.command("list")
def list_all(project_id: UUID) -> None:
    """List the keys of a project, also those that died in the last 30 days; never a secret."""

    async def work(conn: Connection, _settings: Settings) -> list[KeyFacts]:
        project = await projects.find(conn, project_id)
        return await api_keys.list_of(conn, project.id)

    table = Table("id", "scope", "label", "created", "last used", "expires", "revoked")
    for key in wiring.with_connection(work):
        moments = (key.created_at, key.last_used_at, key.expires_at, key.revoked_at)
        table.add_row(key.id, key.scope, escape(key.label), *map(_tell, moments))
    if not console.is_terminal:
        console.width = 200
    console.print(table)


@app.command()
def add(
    project_id: UUID,
    scope: Annotated[Scope, typer.Option(help="What it may do.")] = Scope.CI,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="How long it lives.")] = None,
) -> None:
    """Make a key and show it, once."""
    if len(label) > 100 or not label.isprintable():
        raise InvalidInputError("label: at most 100 printable characters")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def work(conn: Connection, settings: Settings) -> str:
        project = await projects.find(conn, project_id)
        key, _ = await api_keys.add(
            conn, settings.vault(), project.id, scope=scope, label=label, expires_at=expires_at
        )
        return str(key)

    typer.echo(f"api key {wiring.with_connection(work)}")


@app.command()
def revoke(project_id: UUID, key_id: str) -> None:
    """Revoke a key: it is refused from now on."""

    async def work(conn: Connection, _settings: Settings) -> None:
        await api_keys.revoke(conn, project_id, key_id)

    wiring.with_connection(work)
    typer.echo(f"key {key_id} is revoked")


def _tell(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
