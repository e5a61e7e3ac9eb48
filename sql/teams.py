"""Teams that see some projects only: their own role, and the views of `report` cut down to it.

The views stand in schema `team`, made of those of schema `report`; so they are taken away before a
migration changes those, and made again after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from core.database import Connection
from core.errors import ConflictError, InvalidInputError, NotFoundError
from sql import roles
from sql.patience import Patience, patiently
from sql.texts import query

PREFIX: Final = roles.TEAM.name
LEFT_OUT: Final = frozenset({"samples_5m", "samples_1h", "coverage"})
"""They make what is not rolled up yet with the rights of whoever asks, and of all projects."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


async def admit(
    conn: Connection, team: str, named: Sequence[str], password: str | None = None
) -> str:
    """Let a team see exactly these projects; return its role.

    Args:
        conn: Of the owner of the database's schema, who may create roles.
        team: Its name: small letters, digits and underscores.
        named: Names or ids of projects; none: it sees nothing any more.
        password: Of the role; None: it keeps what it has.

    Raises:
        ConflictError: There is no role for processes yet: `seqpulse db roles` makes it.
        InvalidInputError: The name is not of that form, or the password is odd.
        NotFoundError: There is no such project.
    """
    if not _NAME.fullmatch(team):
        raise InvalidInputError("a team's name must be small letters, digits and underscores")
    found = await conn.fetch(query("teams.projects"), list(named))
    known = {str(row["id"]) for row in found} | {row["name"] for row in found}
    if unknown := [each for each in named if each not in known]:
        raise NotFoundError(f"no project {unknown[0]}")
    ids = [row["id"] for row in found]
    if not await conn.fetchval(query("teams.app_exists"), roles.APP):
        raise ConflictError("make the other roles first: seqpulse db roles")
    role = f"{PREFIX}{team}"
    async with conn.transaction():
        await conn.execute(query("teams.forget"), team, ids)
        await conn.execute(query("teams.note"), team, ids)
        for statement in await roles.write_team(conn, role, password):
            await conn.execute(statement)
        await build_missing_views(conn)
    return role


async def build_missing_views(conn: Connection) -> None:
    """Make the views of teams that are not there, if there is any team."""
    if await conn.fetchval(query("teams.any")):
        there = {row["name"] for row in await conn.fetch(query("teams.views"), "team")}
        for row in await conn.fetch(query("teams.views"), "report"):
            if row["name"] not in there | LEFT_OUT:
                await conn.execute(query("teams.create_view").format(name=row["name"]))


async def drop_views(conn: Connection, patience: Patience) -> None:
    """Take the views of teams away, all or none, so that those of `report` can change.

    Raises:
        LockNotAvailableError: Somebody was reading them, however often we tried.
    """
    there = await conn.fetch(query("teams.views"), "team")
    drops = [(query("teams.drop_view").format(name=row["name"]),) for row in there]
    await patiently(conn, patience, *drops)
