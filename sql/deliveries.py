"""The log of deliveries: what became of each message, and another try at one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from core.codes import ChannelKind, DeliveryStatus
from core.database import Connection
from core.errors import ConflictError, NotFoundError
from sql.notifications import Posted
from sql.texts import query


@dataclass(frozen=True, slots=True)
class Logged:
    """What may be shown of a delivery.

    Attributes:
        env: None for a test of the channel, as `deployment_id` and `revision` are.
        status_code: HTTP status of the last answer, if there was one.
    """

    id: UUID
    channel_id: UUID
    channel: str
    kind: ChannelKind
    deployment_id: UUID | None
    env: str | None
    revision: int | None
    status: DeliveryStatus
    attempts: int
    status_code: int | None
    last_error: str | None
    created_at: datetime
    tried_at: datetime | None
    next_at: datetime | None
    settled_at: datetime | None


async def list_of(
    conn: Connection,
    project_id: UUID,
    *,
    deployment_id: UUID | None = None,
    channel_id: UUID | None = None,
    status: DeliveryStatus | None = None,
    before: UUID | None = None,
    limit: int = 100,
) -> list[Logged]:
    """Return deliveries of a project, newest first, those before one of them."""
    rows = await conn.fetch(
        query("deliveries.list"), project_id, deployment_id, channel_id, status, before, limit
    )
    return [_logged(row) for row in rows]


async def revive(conn: Connection, project_id: UUID, delivery_id: UUID) -> Posted:
    """Make a delivery pending, with all its attempts before it, and return it.

    Raises:
        ConflictError: It is delivered, or its channel is off.
        NotFoundError: The project has no such delivery.
    """
    row = await conn.fetchrow(query("deliveries.revive"), project_id, delivery_id)
    if row is not None:
        return Posted(*row)
    state = await conn.fetchrow(query("deliveries.state"), project_id, delivery_id)
    if state is None:
        raise NotFoundError(f"no delivery {delivery_id}")
    if state["status"] == DeliveryStatus.DELIVERED:
        raise ConflictError("it is delivered: a message is not sent twice on purpose")
    raise ConflictError("its channel is off: turn it on first")


async def hasten_job(conn: Connection, project_id: UUID, delivery_id: UUID) -> bool:
    """Make the job of a delivery due now; return whether there is one."""
    found = await conn.fetchval(query("deliveries.hasten_job"), project_id, str(delivery_id))
    return found is not None


async def forget(conn: Connection, before: datetime) -> None:
    """Delete deliveries that were over before a moment."""
    await conn.execute(query("deliveries.forget"), before)


def _logged(row: asyncpg.Record) -> Logged:
    return Logged(
        id=row["id"],
        channel_id=row["channel_id"],
        channel=row["channel"],
        kind=ChannelKind(row["kind"]),
        deployment_id=row["deployment_id"],
        env=row["env"],
        revision=row["revision"],
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        status_code=row["status_code"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        tried_at=row["tried_at"],
        next_at=row["next_at"],
        settled_at=row["settled_at"],
    )
