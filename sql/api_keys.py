"""API keys: several live ones per project, each with a scope, a label and perhaps an end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core import secrets
from core.database import Connection
from core.errors import ConflictError, NotFoundError
from core.secrets import ApiKey, Vault
from core.types import Scope
from sql.texts import query

MAX_LIVE: Final = 50
"""Live keys of one project."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be told of an API key; its secret is known to nobody.

    Attributes:
        last_used_at: Exact to about a minute.
        expires_at, revoked_at: From then on it is refused.
    """

    id: str
    scope: Scope
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None = None


async def add(
    conn: Connection,
    vault: Vault,
    project_id: UUID,
    *,
    scope: Scope = Scope.CI,
    label: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiKey, KeyFacts]:
    """Make a key for a project that is there.

    Raises:
        ConflictError: The project has `MAX_LIVE` live keys.
    """
    key = secrets.new_api_key()
    digest = vault.digest(key.secret)
    row = await conn.fetchrow(
        query("api_keys.insert"),
        key.id,
        project_id,
        digest,
        vault.key_id,
        scope,
        label,
        expires_at,
        MAX_LIVE,
    )
    if row is None:
        raise ConflictError(f"the project has {MAX_LIVE} live keys: revoke one first")
    return key, KeyFacts(**{**row, "scope": Scope(row["scope"])})


async def list_of(conn: Connection, project_id: UUID) -> list[KeyFacts]:
    """Return the keys of a project, oldest first; those that died lately, too."""
    rows = await conn.fetch(query("api_keys.list"), project_id)
    return [KeyFacts(**{**row, "scope": Scope(row["scope"])}) for row in rows]


async def revoke(conn: Connection, project_id: UUID, key_id: str) -> None:
    """Revoke a key of a project; doing it again changes nothing.

    Raises:
        NotFoundError: The project has no such key.
    """
    if await conn.fetchval(query("api_keys.revoke"), project_id, key_id) is None:
        raise NotFoundError(f"no key {key_id}")


async def rotate(conn: Connection, vault: Vault, project_id: UUID) -> ApiKey:
    """Revoke every key of a project that is there and return a new one of scope `ci`."""
    async with conn.transaction():
        await conn.execute(query("api_keys.revoke_all"), project_id)
        key, _ = await add(conn, vault, project_id)
    return key


async def note_use(conn: Connection, key_ids: Collection[str]) -> None:
    """Write down that keys were used just now."""
    await conn.execute(query("api_keys.note_use"), list(key_ids))
