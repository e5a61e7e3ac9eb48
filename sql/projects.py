"""Projects."""

from __future__ import annotations

import re
from uuid import UUID

import asyncpg

from core.database import Connection
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.secrets import ApiKey, Vault
from core.types import NAME_PATTERN, PLANS, Project
from sql import api_keys
from sql.texts import query


def read_row(row: asyncpg.Record) -> Project:
    """Return the project of a row that has its columns."""
    return Project(
        id=row["id"],
        name=row["name"],
        plan=PLANS[row["plan"]],
        post_slots=row["post_slots"],
        hmac=row["hmac"],
        created_at=row["created_at"],
    )


async def create(
    conn: Connection,
    vault: Vault,
    *,
    name: str,
    plan: str = "free",
    post_slots: int | None = None,
    hmac_secret: str | None = None,
) -> tuple[Project, ApiKey]:
    """Create a project with its first API key, of scope `ci`.

    Args:
        conn: Connection; everything happens in one transaction of it.
        vault: Encrypts the HMAC secret, digests the key.
        name: Unique name.
        plan: `free` or `pro`.
        post_slots: Length of the post window; None: the plan's default.
        hmac_secret: Signs reads of the targets; None: reads are not signed.

    Raises:
        ConflictError: The name is taken.
        InvalidInputError: The name is odd, or the plan does not exist or allow this post window.
    """
    if not (re.fullmatch(NAME_PATTERN, name) and name.isprintable()):
        raise InvalidInputError("name: must be 1 to 100 printable characters")
    if plan not in PLANS:
        raise InvalidInputError(f"plan: {plan!r} is none of {', '.join(PLANS)}")
    allowed = PLANS[plan].post_slots
    if post_slots is not None and post_slots not in allowed:
        choices = " or ".join(str(slots) for slots in allowed)
        raise InvalidInputError(f"post_slots: plan {plan} allows {choices}, not {post_slots}")
    stored = None if hmac_secret is None else vault.encrypt(hmac_secret)
    slots = post_slots or PLANS[plan].default_post_slots
    async with conn.transaction():
        row = await conn.fetchrow(query("projects.insert"), new_id(), name, plan, slots, stored)
        if row is None:
            raise ConflictError(f"name: a project called {name!r} exists already")
        key, _ = await api_keys.add(conn, vault, row["id"], label="first")
    return read_row(row), key


async def list_all(conn: Connection) -> list[Project]:
    """Return every project by name."""
    return [read_row(row) for row in await conn.fetch(query("projects.list"))]


async def find(conn: Connection, project_id: UUID) -> Project:
    """Return one project.

    Raises:
        NotFoundError: There is none with this id.
    """
    row = await conn.fetchrow(query("projects.find"), project_id)
    if row is None:
        raise NotFoundError(f"no project {project_id}")
    return read_row(row)


async def delete(conn: Connection, project_id: UUID) -> None:
    """Delete a project with its keys, targets, deployments and verdicts.

    Its samples stay (see `scheduler.removal`).

    Raises:
        NotFoundError: There is none with this id.
    """
    if await conn.fetchval(query("projects.delete"), project_id) is None:
        raise NotFoundError(f"no project {project_id}")
