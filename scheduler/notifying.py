"""Notifications: what is to be told is written with the verdict, and told by jobs of its own.

A delivery is there exactly when its verdict is, once for each (deployment, revision, channel). It
is sent at least once: whoever dies between sending and noting it leaves it to be sent again, under
the same id.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from core import webhooks
from core.codes import ChannelKind, DeliveryStatus
from core.database import Connection, Pool
from core.errors import CollectError
from core.secrets import Vault
from core.settings import Settings
from ingest.outbound import Outbound, Parcel, Reply
from scheduler import github, messages, plan, queue, retry
from scheduler.jobs import Job, Outcome, Status
from sql import channels, deliveries, notifications
from sql.notifications import Delivery, Posted

log = structlog.get_logger(__name__)

BUSY_SECONDS: Final = 2.0
"""After so long, give or take half, it is tried again while too many others are told."""
GONE: Final = 410
TRY_AGAIN: Final = frozenset({408, 425, 429})
OFF: Final = "the channel is off"


async def announce(conn: Connection, judged: Sequence[UUID]) -> None:
    """Plan who is told of verdicts that were just stored, in their transaction.

    Nobody is woken: the worker that settles the judge's job finds these due.
    """
    await _plan(conn, await notifications.post(conn, judged))


async def test(conn: Connection, project_id: UUID, channel_id: UUID) -> UUID:
    """Plan a message that tests a channel; return its delivery.

    Raises:
        NotFoundError: There is no such channel.
    """
    async with conn.transaction():
        await channels.find(conn, project_id, channel_id)
        posted = await notifications.post_test(conn, project_id, channel_id)
        await _plan(conn, [posted])
    return posted.id


async def try_again(conn: Connection, project_id: UUID, delivery_id: UUID) -> None:
    """Try a delivery that failed or waits once more, now.

    Raises:
        ConflictError: It is delivered, or its channel is off.
        NotFoundError: There is no such delivery.
    """
    async with conn.transaction():
        posted = await deliveries.revive(conn, project_id, delivery_id)
        if not await deliveries.hasten_job(conn, project_id, delivery_id):
            await _plan(conn, [posted])


async def _plan(conn: Connection, posted: Sequence[Posted]) -> None:
    if posted:
        await queue.enqueue(conn, [plan.notify_job(*each) for each in posted])


async def notify(
    job: Job, pool: Pool, vault: Vault, outbound: Outbound, settings: Settings
) -> Outcome:
    """Send one message, or say when to try it again."""
    with outbound.admit(job.project_id) as admitted:
        if not admitted:
            pause = BUSY_SECONDS * (0.5 + random.random())  # noqa: S311 - jitter, not a secret
            return Outcome(Status.RETRY, pause, "too many receivers are being told")
        async with pool.acquire() as conn:
            delivery = await notifications.load(conn, vault, _read_id(job))
            if delivery is None:
                return Outcome(Status.FAILED, last_error="the delivery is gone")
            if delivery.status is not DeliveryStatus.PENDING:  # it was noted, but not settled
                return _repeat(delivery.status)
            if not delivery.enabled:
                return await _give_up(conn, delivery, None, OFF)
            attempts = await notifications.begin(conn, delivery.id)
        if attempts is None:
            return Outcome(Status.FAILED, last_error="somebody else has settled the delivery")
        error: CollectError | None = None
        reply: Reply | None = None
        try:
            reply = await _send(delivery, outbound, settings)
        except CollectError as caught:
            error = caught
        async with pool.acquire() as conn:
            return await _note(conn, delivery, attempts, reply, error, settings)


async def _send(delivery: Delivery, outbound: Outbound, settings: Settings) -> Reply:
    if delivery.kind is ChannelKind.GITHUB:
        return await github.tell(outbound, delivery, settings.github_api_url, settings.public_url)
    body = messages.WRITERS[delivery.kind](delivery, settings.public_url)
    signed = webhooks.sign(delivery.signing, str(delivery.id), datetime.now(UTC), body)
    headers = messages.JSON | (signed if delivery.signing else {})
    return await outbound.send(Parcel(delivery.access, headers, body), delivery.project_id)


async def _note(
    conn: Connection,
    delivery: Delivery,
    attempts: int,
    reply: Reply | None,
    error: CollectError | None,
    settings: Settings,
) -> Outcome:
    """Write down how an attempt ended."""
    status = None if reply is None else reply.status
    if status is not None and 200 <= status < 300:
        await notifications.settle(conn, delivery.id, DeliveryStatus.DELIVERED, status, None)
        log.info("notification_delivered", **_describe(delivery), attempt=attempts)
        return Outcome(Status.COMPLETED)
    said = str(error) if error is not None else f"HTTP {status}"
    if status == GONE:
        await channels.disable(conn, delivery.channel_id, "the receiver answered 410 Gone")
        log.warning("channel_disabled", channel_id=delivery.channel_id)
    pause = retry.delivery_pause(
        settings.notify_retry_seconds,
        attempts=attempts,
        permanent=error.permanent if error is not None else _is_final(status),
        named_seconds=None if reply is None else reply.retry_after_seconds,
        chance=random.random(),  # noqa: S311 - jitter, not a secret
    )
    if pause is None:
        return await _give_up(conn, delivery, status, said)
    await notifications.settle(conn, delivery.id, DeliveryStatus.PENDING, status, said, pause)
    return Outcome(Status.RETRY, pause, said)


async def _give_up(
    conn: Connection, delivery: Delivery, status_code: int | None, said: str
) -> Outcome:
    await notifications.settle(conn, delivery.id, DeliveryStatus.FAILED, status_code, said)
    log.warning("notification_failed", **_describe(delivery), error=said)
    return Outcome(Status.FAILED, last_error=said)


def _is_final(status: int | None) -> bool:
    """Whether the same message would meet the same answer; redirects are not followed."""
    return status is not None and status < 500 and status not in TRY_AGAIN


def _repeat(status: DeliveryStatus) -> Outcome:
    if status is DeliveryStatus.DELIVERED:
        return Outcome(Status.COMPLETED)
    return Outcome(Status.FAILED, last_error="the delivery was given up")


def _read_id(job: Job) -> UUID:
    return UUID((job.payload or {})["delivery_id"])


def _describe(delivery: Delivery) -> dict[str, object]:
    return {
        "delivery_id": delivery.id,
        "channel_id": delivery.channel_id,
        "channel_kind": delivery.kind,
    }
