"""Deployments of the past: which there are, in order of time, and what is on record of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import polars as pl

from core.database import Connection
from core.errors import NotFoundError
from sql import frames
from sql.texts import query

RECORDED: Final = pl.Schema(
    {
        "deployment_id": pl.String(),
        "project": pl.String(),
        "branch": pl.String(),
        "recorded_policy": pl.String(),
        "recorded_verdict": pl.String(),
        "recorded_conclusive": pl.Boolean(),
        "recorded_reason_code": pl.String(),
    }
)
FIRST_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Selection:
    """Finished deployments: of a project and an environment (None: all), by their finish.

    Attributes:
        since: First moment of their finish.
        until: First moment after it.
    """

    project_id: UUID | None = None
    env: str | None = None
    since: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    until: datetime = datetime(9999, 1, 1, tzinfo=UTC)


async def find_project(conn: Connection, named: str) -> UUID:
    """Return the id of the project with this id or name.

    Raises:
        NotFoundError: There is none.
    """
    found: UUID | None = await conn.fetchval(query("history.find_project"), named)
    if found is None:
        raise NotFoundError(f"no project {named}")
    return found


async def count(conn: Connection, selection: Selection) -> int:
    """Return how many deployments there are."""
    number: int = await conn.fetchval(query("history.count"), *_arguments(selection))
    return number


async def walk(conn: Connection, selection: Selection, size: int) -> AsyncGenerator[list[UUID]]:
    """Go through the deployments in order of time, up to `size` at a time.

    No statement or snapshot stays open in between: deployments that finish meanwhile may be seen.
    """
    after = (selection.since, FIRST_ID)
    while rows := await conn.fetch(query("history.walk"), *_arguments(selection), *after, size):
        yield [row["id"] for row in rows]
        after = (rows[-1]["finished_at"], rows[-1]["id"])


async def load_labels(conn: Connection, selection: Selection) -> dict[UUID, bool]:
    """Return whether deployments did harm, where that is known, in order of time."""
    rows = await conn.fetch(query("history.labelled"), *_arguments(selection))
    return {row["id"]: row["harmful"] for row in rows}


async def load_recorded(conn: Connection, ids: Sequence[UUID]) -> pl.DataFrame:
    """Return what is on record of deployments, in their order; a frame of `RECORDED`."""
    return await frames.fetch(conn, query("history.recorded"), [ids], RECORDED)


def _arguments(selection: Selection) -> tuple[UUID | None, str | None, datetime, datetime]:
    return selection.project_id, selection.env, selection.since, selection.until
