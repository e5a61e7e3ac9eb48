"""How collecting goes as a whole: whose fault it is that a target cannot be reached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from core.database import Connection
from sql.texts import query

MIN_OTHERS: Final = 3
"""Fewer other projects prove nothing: two services may well share one broken network."""


async def list_silent(conn: Connection, since: datetime, until: datetime) -> Mapping[UUID, bool]:
    """Return the projects that answered before `since`, and whether each has been silent since.

    Silent is who could not be reached a single time, although we tried. Only what our own side
    could bring about counts (`dns`, `refused`, `timeout`, `tls`, `network`, `deadline`,
    `internal`), not an answer we did not like.

    Args:
        conn: Connection.
        since: Begin of a time, say when a deployment was finished; as long before it, projects
            must have answered.
        until: End of that time.
    """
    rows = await conn.fetch(query("collection.projects"), since, until)
    return {row["project_id"]: row["silent"] for row in rows}


def share_of_silent(projects: Mapping[UUID, bool], project_id: UUID) -> float | None:
    """Return the share of the projects other than `project_id` that are silent, 0..1.

    None if they are fewer than `MIN_OTHERS`.
    """
    others = [silent for each, silent in projects.items() if each != project_id]
    return sum(others) / len(others) if len(others) >= MIN_OTHERS else None
