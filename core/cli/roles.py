"""`seqpulse db roles`: who may use the database, and for what."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import typer

from core.cli import wiring
from core.database import Connection
from core.errors import DatabaseError
from core.settings import Settings
from sql import migrate, roles, teams


def run(
    app_password: Annotated[
        str | None, typer.Option(envvar="SEQPULSE_APP_PASSWORD", help="Of seqpulse_app.")
    ] = None,
    grafana_password: Annotated[
        str | None, typer.Option(envvar="SEQPULSE_GRAFANA_PASSWORD", help="Of seqpulse_grafana.")
    ] = None,
    analyst_password: Annotated[
        str | None, typer.Option(envvar="SEQPULSE_ANALYST_PASSWORD", help="Of seqpulse_analyst.")
    ] = None,
    print_sql: Annotated[
        bool, typer.Option("--print-sql", help="Only print what an administrator must run.")
    ] = False,
) -> None:
    """Make the roles for processes, Grafana and analysts, or bring them up to date.

    A password is better given by its variable: everybody on the machine can read an argument. A
    role without one keeps what it has.
    """
    given = dict(zip(roles.NAMES, (app_password, grafana_password, analyst_password), strict=True))
    passwords = {role: password for role, password in given.items() if password is not None}

    async def work(conn: Connection, _settings: Settings) -> None:
        await migrate.check(conn)
        script = await roles.write_script(conn, passwords)
        if print_sql:
            typer.echo("\n".join(f"{statement.rstrip(';')};" for statement in script))
            return
        try:
            await roles.apply(conn, script)
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseError(
                f"{error}: let an administrator run what `seqpulse db roles --print-sql` prints"
            ) from None
        for role in roles.NAMES:
            typer.echo(f"{role:<18}{'has the given password' if role in passwords else 'ready'}")
        if doors := await roles.find_doors(conn):
            raise DatabaseError(
                f"{'; '.join(doors)}: only an administrator can change this, by running what "
                "`seqpulse db roles --print-sql` prints"
            )

    wiring.with_connection(work)


def team(
    name: Annotated[str, typer.Argument(help="Of the team: small letters, digits, underscores.")],
    projects: Annotated[
        list[str] | None, typer.Argument(help="Names or ids of all projects it may see.")
    ] = None,
    password: Annotated[
        str | None, typer.Option(envvar="SEQPULSE_TEAM_PASSWORD", help="Of its role.")
    ] = None,
) -> None:
    """Let a team see exactly these projects, as role seqpulse_team_NAME, in schema team."""

    async def work(conn: Connection, _settings: Settings) -> None:
        await migrate.check(conn)
        role = await teams.admit(conn, name, projects or [], password)
        typer.echo(f"{role} sees {len(projects or [])} project(s) in schema team")

    wiring.with_connection(work)
