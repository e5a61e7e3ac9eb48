"""Administration of projects on the server: whoever has the database needs no token."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core import secrets
from core.cli import project_keys, wiring
from core.cli import targets as target_commands
from core.database import Connection
from core.settings import Settings
from core.types import Project
from ingest import guard
from scheduler import baseline, queue, removal
from sql import api_keys, projects, targets
from sql.targets import Configured

app = typer.Typer(help="Create and look at projects.", no_args_is_help=True)
app.add_typer(target_commands.app, name="target")
app.add_typer(project_keys.app, name="keys")
console = Console()


@app.command()
def create(
    name: str,
    plan: Annotated[str, typer.Option(help="free (5 slots) or pro (5 or 15 slots).")] = "free",
    post_slots: Annotated[int | None, typer.Option(help="Length of the post window.")] = None,
    hmac: Annotated[bool, typer.Option(help="Sign reads of the target.")] = False,
    env: Annotated[str, typer.Option(help="Environment of the endpoint.")] = "prod",
    metrics_endpoint: Annotated[
        str | None, typer.Option(help="Start collecting the baseline now.")
    ] = None,
) -> None:
    """Create a project; its API key and HMAC secret are shown once."""
    if metrics_endpoint is not None:
        guard.check_url(metrics_endpoint)
    hmac_secret = secrets.new_hmac_secret() if hmac else None

    async def work(conn: Connection, settings: Settings) -> str:
        async with conn.transaction():
            project, key = await projects.create(
                conn,
                settings.vault(),
                name=name,
                plan=plan,
                post_slots=post_slots,
                hmac_secret=hmac_secret,
            )
            if metrics_endpoint is not None:
                await baseline.watch(
                    conn,
                    project.id,
                    env,
                    metrics_endpoint,
                    first_at=project.created_at,
                    interval_seconds=settings.baseline_interval_seconds,
                )
        await queue.wake(conn)
        return f"project {project.id}\napi key {key}"

    typer.echo(wiring.with_connection(work))
    if hmac_secret is not None:
        typer.echo(f"hmac secret {hmac_secret}")
    typer.echo("secrets are shown this once: keep them where your CI keeps its secrets", err=True)


@app.command("list")
def list_all() -> None:
    """List every project."""

    async def work(conn: Connection, _settings: Settings) -> list[Project]:
        return await projects.list_all(conn)

    table = Table("id", "name", "plan", "post slots", "signed reads", "created")
    for project in wiring.with_connection(work):
        table.add_row(
            str(project.id),
            escape(project.name),
            project.plan.name,
            str(project.post_slots),
            "yes" if project.hmac else "no",
            f"{project.created_at:%Y-%m-%d %H:%M}",
        )
    if not console.is_terminal:
        console.width = 200
    console.print(table)


@app.command()
def show(project_id: UUID) -> None:
    """Show a project and its targets."""

    async def work(conn: Connection, _settings: Settings) -> tuple[Project, list[Configured]]:
        return await projects.find(conn, project_id), await targets.list_of(conn, project_id)

    project, found = wiring.with_connection(work)
    typer.echo(f"{project.name} ({project.id})")
    typer.echo(f"plan {project.plan.name}, {project.post_slots} post slots")
    typer.echo("reads are signed" if project.hmac else "reads are not signed")
    for target in found:
        typer.echo(f"target in {target.env}: {target.endpoint} ({_describe(target)})")


@app.command()
def delete(
    project_id: UUID,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a project with everything it has; a worker removes its samples."""

    async def find(conn: Connection, _settings: Settings) -> Project:
        return await projects.find(conn, project_id)

    async def work(conn: Connection, _settings: Settings) -> None:
        await removal.delete(conn, project_id)
        await queue.wake(conn)

    name = wiring.with_connection(find).name
    if not yes:
        typer.confirm(f"delete {name!r} with its deployments, verdicts and samples?", abort=True)
    wiring.with_connection(work)
    typer.echo(f"project {project_id} is deleted; a worker removes its samples")


@app.command("rotate-key")
def rotate_key(project_id: UUID) -> None:
    """Revoke every API key of a project and show a new one of scope ci, once."""

    async def work(conn: Connection, settings: Settings) -> str:
        project = await projects.find(conn, project_id)
        return str(await api_keys.rotate(conn, settings.vault(), project.id))

    typer.echo(f"api key {wiring.with_connection(work)}")


def _describe(target: Configured) -> str:
    facts = [target.source.value]
    if target.has_header:
        facts.append("with a secret header")
    if target.failures:
        facts.append(f"the last {target.failures} slots were missed: {target.last_code}")
    if target.rests_seconds:
        facts.append(f"the baseline rests for {target.rests_seconds:.0f} s")
    return ", ".join(facts)
