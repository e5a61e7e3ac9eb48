"""Who calls: a project by one of its API keys, or the operator on behalf of a project."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from core import secrets
from core.database import Connection
from core.secrets import ApiKey, Vault
from core.types import Project, Scope
from sql import projects
from sql.texts import query

NO_DIGEST: Final = bytes(32)
"""Compared where there is no key of that id, so that it takes as long; no secret has it."""


class Caller(NamedTuple):
    """A project that called, what it may, when by the database's clock, since when samples go back.

    Attributes:
        key_id: The API key it called with; None: it is the operator who calls.
    """

    project: Project
    scope: Scope
    called_at: datetime
    samples_since: datetime
    key_id: str | None = None


async def authenticate(conn: Connection, vault: Vault, text: str) -> Caller | None:
    """Return who an API key belongs to, or None for anything that is not a live key.

    A key whose digest was made with the master key before gets one of the present master key.
    """
    key = secrets.parse_api_key(text)
    if key is None:
        return None
    row = await conn.fetchrow(query("callers.by_api_key"), key.id)
    stored = NO_DIGEST if row is None else row["digest"]
    if not is_right(vault, key, stored) or row is None:
        return None
    digest = vault.digest(key.secret)
    if stored != digest:
        await conn.execute(query("api_keys.refresh"), key.id, digest, vault.key_id)
    return _caller(row, Scope(row["scope"]), key.id)


def is_right(vault: Vault, key: ApiKey, stored: bytes) -> bool:
    """Return whether a secret has this digest, in the same time whether it has or not."""
    vaults = (vault, vault.previous or vault)
    matches = [secrets.same(stored, each.digest(key.secret)) for each in vaults]
    return any(matches)


async def act_for(conn: Connection, project_id: UUID) -> Caller | None:
    """Return the operator as caller for a project, None if there is no such project."""
    row = await conn.fetchrow(query("callers.by_project"), project_id)
    return None if row is None else _caller(row, Scope.ADMIN)


async def follow(conn: Connection, deployment_id: UUID) -> Caller | None:
    """Return who follows a link to a deployment: somebody who may read; None: it is gone."""
    row = await conn.fetchrow(query("callers.by_deployment"), deployment_id)
    return None if row is None else _caller(row, Scope.READ)


def _caller(row: asyncpg.Record, scope: Scope, key_id: str | None = None) -> Caller:
    since = row["samples_since"].replace(tzinfo=UTC)  # none that is before every moment
    return Caller(projects.read_row(row), scope, row["called_at"], since, key_id)
