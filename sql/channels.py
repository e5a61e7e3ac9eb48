"""Channels: who is told of the verdicts of a project, and with which secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from core import webhooks
from core.codes import ChannelKind
from core.database import Connection
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.secrets import Vault
from core.types import Verdict
from sql.texts import query

MOST: Final = 20
"""Channels of one project."""


@dataclass(frozen=True, slots=True)
class Interest:
    """Of which verdicts a channel is told.

    Attributes:
        verdicts: These.
        conclusive_only: Of them only those the data could carry.
        envs: Of these environments; none: of all.
    """

    verdicts: Sequence[Verdict] = tuple(Verdict)
    conclusive_only: bool = False
    envs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to reach a receiver.

    Attributes:
        secret: A URL, or for GitHub a token.
        shown: What may be shown of it: scheme and host, or owner/repository.
    """

    secret: str = field(repr=False)
    shown: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be changed of a channel; None: nothing.

    Attributes:
        shown: Without `secret` for GitHub only: another repository, the same token.
    """

    name: str | None = None
    secret: str | None = field(default=None, repr=False)
    shown: str | None = None
    verdicts: Sequence[Verdict] | None = None
    conclusive_only: bool | None = None
    envs: Sequence[str] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """What may be shown of a channel."""

    id: UUID
    project_id: UUID
    kind: ChannelKind
    name: str
    shown: str
    interest: Interest
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    secret_before_until: datetime | None


async def create(
    conn: Connection,
    vault: Vault,
    project_id: UUID,
    kind: ChannelKind,
    name: str,
    access: Access,
    interest: Interest,
) -> tuple[Channel, str | None]:
    """Create a channel; return it, and for a webhook the secret that signs its messages.

    Raises:
        ConflictError: The project has a channel of this name, or as many as it may have.
        NotFoundError: There is no such project.
    """
    secret = webhooks.new_secret() if kind is ChannelKind.WEBHOOK else None
    async with conn.transaction():
        if await conn.fetchval(query("channels.lock_project"), project_id) is None:
            raise NotFoundError(f"no project {project_id}")
        if await conn.fetchval(query("channels.count"), project_id) >= MOST:
            raise ConflictError(f"the project has {MOST} channels already: remove one")
        row = await conn.fetchrow(
            query("channels.insert"),
            new_id(),
            project_id,
            kind,
            name,
            access.shown,
            vault.encrypt(access.secret),
            None if secret is None else vault.encrypt(secret),
            interest.verdicts,
            interest.conclusive_only,
            interest.envs,
        )
    if row is None:
        raise ConflictError(f"name: the project has a channel called {name!r} already")
    return _channel(row), secret


async def list_of(conn: Connection, project_id: UUID) -> list[Channel]:
    """Return the channels of a project by name."""
    return [_channel(row) for row in await conn.fetch(query("channels.list"), project_id)]


async def find(conn: Connection, project_id: UUID, channel_id: UUID) -> Channel:
    """Return a channel of a project.

    Raises:
        NotFoundError: There is none, or it is of another project.
    """
    row = await conn.fetchrow(query("channels.find"), project_id, channel_id)
    if row is None:
        raise _unknown(channel_id)
    return _channel(row)


async def change(
    conn: Connection, vault: Vault, project_id: UUID, channel_id: UUID, changes: Changes
) -> Channel:
    """Change a channel and return it.

    Raises:
        ConflictError: The project has another channel of this name.
        NotFoundError: There is no such channel.
    """
    secret = None if changes.secret is None else vault.encrypt(changes.secret)
    try:
        row = await conn.fetchrow(
            query("channels.change"),
            project_id,
            channel_id,
            changes.name,
            changes.shown,
            secret,
            changes.verdicts,
            changes.conclusive_only,
            changes.envs,
            changes.enabled,
        )
    except asyncpg.UniqueViolationError:
        taken = f"name: the project has a channel called {changes.name!r} already"
        raise ConflictError(taken) from None
    if row is None:
        raise _unknown(channel_id)
    return _channel(row)


async def delete(conn: Connection, project_id: UUID, channel_id: UUID) -> None:
    """Delete a channel with the log of its deliveries; what is under way may still arrive.

    Raises:
        NotFoundError: There is no such channel.
    """
    if await conn.fetchval(query("channels.delete"), project_id, channel_id) is None:
        raise _unknown(channel_id)


async def rotate_secret(
    conn: Connection, vault: Vault, project_id: UUID, channel_id: UUID, overlap_seconds: float
) -> str:
    """Give a webhook a new secret and return it.

    Args:
        conn: Connection.
        vault: Encrypts it.
        project_id: Whose channel.
        channel_id: The channel.
        overlap_seconds: For so long the secret before signs, too; 0: not at all.

    Raises:
        InvalidInputError: It is no webhook: nothing of it is signed.
        NotFoundError: There is no such channel.
    """
    secret = webhooks.new_secret()
    token = vault.encrypt(secret)
    found = await conn.fetchval(
        query("channels.rotate_secret"), project_id, channel_id, token, overlap_seconds
    )
    if found is None:
        kind = (await find(conn, project_id, channel_id)).kind
        raise InvalidInputError(f"channel: is of the kind {kind}, which has no secret of ours")
    return secret


async def disable(conn: Connection, channel_id: UUID, reason: str) -> None:
    """Turn a channel off that does not want to be told any more."""
    await conn.execute(query("channels.disable"), channel_id, reason)


def _unknown(channel_id: UUID) -> NotFoundError:
    return NotFoundError(f"no channel {channel_id}")


def _channel(row: asyncpg.Record) -> Channel:
    return Channel(
        id=row["id"],
        project_id=row["project_id"],
        kind=ChannelKind(row["kind"]),
        name=row["name"],
        shown=row["shown"],
        interest=Interest(
            tuple(Verdict(each) for each in row["verdicts"]),
            row["conclusive_only"],
            tuple(row["envs"]),
        ),
        enabled=row["enabled"],
        disabled_reason=row["disabled_reason"],
        created_at=row["created_at"],
        secret_before_until=row["secret_before_until"],
    )
