"""Projects and their API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from core import secrets
from core.database import Connection
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.secrets import ApiKey, Vault
from core.types import NAME_PATTERN, PLANS, Project
from sql.texts import query


class Caller(NamedTuple):
    """A project that called, when by the database's clock, and since when samples are stored."""

    project: Project
    called_at: datetime
    samples_since: datetime


def _project(row: asyncpg.Record) -> Project:
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
    """Create a project with its first API key.

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
        key = await _add_key(conn, vault, row["id"])
    return _project(row), key


async def list_all(conn: Connection) -> list[Project]:
    """Return every project by name."""
    return [_project(row) for row in await conn.fetch(query("projects.list"))]


async def find(conn: Connection, project_id: UUID) -> Project:
    """Return one project.

    Raises:
        NotFoundError: There is none with this id.
    """
    row = await conn.fetchrow(query("projects.find"), project_id)
    if row is None:
        raise NotFoundError(f"no project {project_id}")
    return _project(row)


async def delete(conn: Connection, project_id: UUID) -> None:
    """Delete a project with its keys, targets, deployments and verdicts.

    Its samples stay (see `scheduler.removal`).

    Raises:
        NotFoundError: There is none with this id.
    """
    if await conn.fetchval(query("projects.delete"), project_id) is None:
        raise NotFoundError(f"no project {project_id}")


async def rotate_key(conn: Connection, vault: Vault, project_id: UUID) -> ApiKey:
    """Revoke every API key of a project and return a new one.

    Raises:
        NotFoundError: There is no such project.
    """
    async with conn.transaction():
        await find(conn, project_id)
        await conn.execute(query("projects.revoke_api_keys"), project_id)
        return await _add_key(conn, vault, project_id)


async def authenticate(conn: Connection, vault: Vault, text: str) -> Caller | None:
    """Return who an API key belongs to, or None for anything that is not a live key.

    A key whose digest was made with the master key before gets one of the present master key.
    """
    key = secrets.parse_api_key(text)
    if key is None:
        return None
    row = await conn.fetchrow(query("projects.by_api_key"), key.id)
    if row is None:
        return None
    digest = vault.digest(key.secret)
    if not secrets.same(row["digest"], digest):
        previous = vault.previous
        if previous is None or not secrets.same(row["digest"], previous.digest(key.secret)):
            return None
        await conn.execute(query("projects.refresh_api_key"), key.id, digest, vault.key_id)
    since = row["samples_since"].replace(tzinfo=UTC)  # none that is before every moment
    return Caller(_project(row), row["called_at"], since)


async def _add_key(conn: Connection, vault: Vault, project_id: UUID) -> ApiKey:
    key = secrets.new_api_key()
    digest = vault.digest(key.secret)
    await conn.execute(query("projects.insert_api_key"), key.id, project_id, digest, vault.key_id)
    return key
