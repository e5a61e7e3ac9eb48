"""Deliveries: one message to one channel each, written with the verdict they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from core.codes import ChannelKind, DeliveryStatus
from core.database import Connection
from core.ids import new_id
from core.secrets import Vault
from core.types import Hint, Metric, Severity, Verdict
from sql.texts import query


class Posted(NamedTuple):
    """A delivery that was just written.

    Attributes:
        env: Empty for a test of a channel.
        due_at: Now, by the database's clock.
    """

    id: UUID
    project_id: UUID
    deployment_id: UUID | None
    env: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class News:
    """What there is to tell of a deployment.

    Attributes:
        judged_at: When the verdict was stored.
        hints: Most important first.
    """

    deployment_id: UUID
    project_id: UUID
    project: str
    env: str
    branch: str
    triggered_at: datetime
    finished_at: datetime
    judged_at: datetime
    revision: int
    verdict: Verdict
    conclusive: bool
    reason_code: str
    confidence: float
    coverage_ratio: float
    policy: str
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything it takes to send one message.

    Attributes:
        shown: Scheme and host of the URL, or owner/repository.
        access: A URL, or for GitHub a token.
        signing: Secrets that sign, the present one first; none where nothing is signed.
        news: None: it is a test of the channel.
    """

    id: UUID
    status: DeliveryStatus
    created_at: datetime
    channel_id: UUID
    kind: ChannelKind
    channel: str
    enabled: bool
    project_id: UUID
    project: str
    shown: str
    access: str = field(repr=False)
    signing: tuple[str, ...] = field(repr=False)
    news: News | None


async def post(conn: Connection, judged: Sequence[UUID]) -> list[Posted]:
    """Write a delivery for each channel that is to be told of verdicts that were just stored.

    In the transaction of the verdicts, so that neither is there without the other. One that is
    written already is left out.
    """
    found = await conn.fetch(query("notifications.concerned"), judged)
    if not found:
        return []
    envs = {row["deployment_id"]: row["env"] for row in found}
    rows = await conn.fetch(
        query("notifications.insert"),
        [new_id() for _ in found],
        [row["project_id"] for row in found],
        [row["channel_id"] for row in found],
        [row["deployment_id"] for row in found],
        [row["revision"] for row in found],
    )
    return [_posted(row, envs[row["deployment_id"]]) for row in rows]


async def post_test(conn: Connection, project_id: UUID, channel_id: UUID) -> Posted:
    """Write a delivery that tests a channel.

    Raises:
        asyncpg.ForeignKeyViolationError: The channel is gone.
    """
    ids = ([new_id()], [project_id], [channel_id], [None], [None])
    row = await conn.fetchrow(query("notifications.insert"), *ids)
    if row is None:  # nulls conflict with nothing
        raise AssertionError
    return _posted(row, "")


async def load(conn: Connection, vault: Vault, delivery_id: UUID) -> Delivery | None:
    """Return a delivery with what it takes to send it, or None if it is gone.

    Raises:
        SecretError: A stored secret was encrypted with another key.
    """
    row = await conn.fetchrow(query("notifications.load"), delivery_id)
    if row is None:
        return None
    signing = (row["secret_encrypted"], row["secret_before_encrypted"])
    return Delivery(
        id=row["id"],
        status=DeliveryStatus(row["status"]),
        created_at=row["created_at"],
        channel_id=row["channel_id"],
        kind=ChannelKind(row["kind"]),
        channel=row["channel"],
        enabled=row["enabled"],
        project_id=row["project_id"],
        project=row["project"],
        shown=row["shown"],
        access=vault.decrypt(row["access_encrypted"]),
        signing=tuple(vault.decrypt(token) for token in signing if token is not None),
        news=None if row["deployment_id"] is None else _news(row),
    )


async def begin(conn: Connection, delivery_id: UUID) -> int | None:
    """Count an attempt and return how many there were; None: it is not pending any more."""
    attempts: int | None = await conn.fetchval(query("notifications.begin"), delivery_id)
    return attempts


async def settle(
    conn: Connection,
    delivery_id: UUID,
    status: DeliveryStatus,
    status_code: int | None,
    last_error: str | None,
    pause_seconds: float = 0.0,
) -> None:
    """Note how an attempt ended, and if it is still pending, how long until the next."""
    await conn.execute(
        query("notifications.settle"), delivery_id, status, status_code, last_error, pause_seconds
    )


def _posted(row: asyncpg.Record, env: str) -> Posted:
    return Posted(row["id"], row["project_id"], row["deployment_id"], env, row["created_at"])


def _news(row: asyncpg.Record) -> News:
    return News(
        deployment_id=row["deployment_id"],
        project_id=row["project_id"],
        project=row["project"],
        env=row["env"],
        branch=row["branch"],
        triggered_at=row["triggered_at"],
        finished_at=row["finished_at"],
        judged_at=row["judged_at"],
        revision=row["revision"],
        verdict=Verdict(row["verdict"]),
        conclusive=row["conclusive"],
        reason_code=row["reason_code"],
        confidence=row["confidence"],
        coverage_ratio=row["coverage_ratio"],
        policy=row["policy"],
        hints=tuple(_hint(each) for each in row["hints"]),
    )


def _hint(found: dict[str, str]) -> Hint:
    return Hint(
        rule=found["rule"],
        severity=Severity(found["severity"]),
        title=found["title"],
        diagnosis=found["diagnosis"],
        actions=tuple(found["actions"]),
        metrics=tuple(Metric(name) for name in found["metrics"]),
    )
