"""A team sees the rows of its projects, in every view, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from core.cli import app
from core.database import Connection, connect
from core.errors import InvalidInputError, MigrationError, NotFoundError
from core.secrets import Vault
from core.types import Project
from sql import bulk, edition, migrate, projects, roles, teams
from sql.migrate import Migration
from sql.patience import Patience
from sql.retention import Retention
from tests.integration.ledger import Ledger, minutes
from tests.roles import PASSWORD, make, url_as

TEAM = f"t{uuid4().hex[:8]}"  # roles are the server's, and other runs may use it at the same time
ROLE = f"seqpulse_team_{TEAM}"


@pytest.fixture
async def other(conn: Connection, project: Project, vault: Vault) -> Project:
    """Two services with samples and a deployment each; the team is to see the first one."""
    other, _ = await projects.create(conn, vault, name="other's")
    now = await bulk.read_clock(conn)
    for each in (project, other):
        await Ledger(conn).add(each.id, minutes(now - timedelta(hours=1), 50))
        await conn.execute(
            "INSERT INTO deployments (id, project_id, env, branch) "
            "VALUES (gen_random_uuid(), $1, 'prod', 'main')",
            each.id,
        )
    return other


@pytest.fixture
async def member(
    conn: Connection, database_url: str, other: Project, project: Project
) -> AsyncIterator[Connection]:
    await make(database_url)
    assert await teams.admit(conn, TEAM, ["shop"], PASSWORD) == ROLE
    connection = await connect(url_as(database_url, ROLE))
    yield connection
    await connection.close()
    await conn.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


async def seen(member: Connection) -> dict[str, set[str]]:
    """The projects whose rows a member sees, by view."""
    views = await member.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'team'"
    )
    return {
        view[0]: {
            str(row["project_id"])
            for row in await member.fetch(f"SELECT DISTINCT project_id FROM team.{view[0]}")
        }
        for view in views
    }


async def test_members_see_their_projects_and_no_other(
    conn: Connection, member: Connection, project: Project, other: Project
) -> None:
    found = await seen(member)
    assert len(found) >= 10
    assert set.union(*found.values()) == {str(project.id)}
    for view in ("deployment_overview", "deployment_samples", "slots", "service_status"):
        assert found[view] == {str(project.id)}
    await teams.admit(conn, TEAM, ["shop", str(other.id)])
    assert (await seen(member))["deployment_samples"] == {str(project.id), str(other.id)}
    await teams.admit(conn, TEAM, [])
    assert set.union(*(await seen(member)).values()) == set()


async def test_members_find_no_way_around(conn: Connection, member: Connection) -> None:
    await member.execute("SET default_transaction_read_only = off")
    for attack in (
        "SELECT * FROM report.deployment_overview",
        "SELECT * FROM deployments",
        "SELECT * FROM team_projects",
        "INSERT INTO team_projects SELECT 'x', project_id FROM team.deployment_overview",
        "CREATE TEMPORARY TABLE mine ()",
        "SET ROLE seqpulse_analyst",
        "SELECT * FROM buckets('1 hour', '-infinity', 'infinity')",
        "SELECT table_to_xml('report.slots'::regclass, false, false, '')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await member.execute(attack)
    # An error must not tell what is in a row that is not theirs.
    await conn.execute("UPDATE deployments SET branch = '1' WHERE project_id IN "
                       "(SELECT id FROM projects WHERE name = 'shop')")  # fmt: skip
    fails = "1 / (CASE branch WHEN 'main' THEN 0 ELSE 1 END)"
    asked = f"SELECT {fails} FROM team.deployment_overview WHERE {fails} = 1"
    for way in ("enable_nestloop", "enable_indexscan", "enable_bitmapscan"):
        await member.execute(f"SET {way} = off")  # or the plan might happen to be a harmless one
    assert len(await member.fetch(asked)) == 1
    assert await roles.find_doors(conn) == []
    await conn.execute(f"GRANT USAGE ON SCHEMA report TO {ROLE}")
    assert [door for door in await roles.find_doors(conn) if TEAM in door]


async def test_members_are_bounded_in_time(conn: Connection, member: Connection) -> None:
    transaction = member.transaction()
    await transaction.start()
    await member.execute("SELECT 1")
    assert await roles.end_overdue(conn) == 0
    hasty = roles.Reader("seqpulse_team_", 0, 1, "1MB")
    assert await roles.end_overdue(conn, [hasty]) == 1


async def test_views_of_teams_follow_those_they_are_made_of(
    conn: Connection, member: Connection, project: Project
) -> None:
    shipped = migrate.shipped()
    change = Migration(
        len(shipped) + 1,
        "change",
        "DROP VIEW report.hints; "
        "CREATE VIEW report.hints AS SELECT id AS project_id FROM projects; "
        "CREATE VIEW report.later AS SELECT id AS project_id FROM projects",
    )
    assert await migrate.migrate(conn, [*shipped, change]) == 1
    await edition.reconcile(conn, Retention())
    found = await seen(member)
    assert found["hints"] == found["later"] == {str(project.id)}


async def test_a_member_who_reads_is_waited_for_in_turns_and_loses_nothing(
    conn: Connection, member: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "PATIENCE", Patience(0.1, 2, 0.01))
    views = set(await seen(member))
    shipped = migrate.shipped()
    migrations = [*shipped, Migration(len(shipped) + 1, "change", "SELECT 1")]
    async with member.transaction():
        await member.fetch("SELECT FROM team.slots")
        async with asyncio.timeout(20):
            with pytest.raises(MigrationError, match="views of teams"):
                await migrate.migrate(conn, migrations)
    assert set(await seen(member)) == views
    assert await migrate.migrate(conn, migrations) == 1


async def test_what_is_wrong_is_said(conn: Connection, project: Project) -> None:
    for name in ("", "Team", "a b", "x; DROP TABLE projects", "a" * 41):
        with pytest.raises(InvalidInputError):
            await teams.admit(conn, name, ["shop"])
    with pytest.raises(NotFoundError, match="no project shops"):
        await teams.admit(conn, "t", ["shop", "shops"])


async def test_the_command_admits_a_team(
    database_url: str, member: Connection, other: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQPULSE_DATABASE_URL", database_url)
    command = ["db", "team", TEAM, "shop", "other's"]
    done = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert done.output == f"{ROLE} sees 2 project(s) in schema team\n"
    assert len((await seen(member))["deployment_samples"]) == 2
