"""Messages on their way: a real receiver, and everything that goes wrong with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core.codes import ChannelKind, DeliveryStatus
from core.database import Connection, Pool
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project
from ingest.outbound import AT_ONCE_EACH, Outbound
from scheduler import notifying, tasks
from scheduler.jobs import Status
from sql import channels
from sql.channels import Changes
from tests.integration.telling import PATH, TOKEN, add, finish, judged, log_of, open_context, work
from tests.receiver import OK, RESET, SILENCE, Receiver, answer_json, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def context(
    pool: Pool, vault: Vault, settings: Settings, receiver: Receiver
) -> AsyncIterator[tasks.Context]:
    async with open_context(pool, vault, settings, receiver) as context:
        yield context


async def test_a_verdict_is_told_once_and_signed(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    channel, secret = await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    await judged(conn, deployment)  # a second judge finds it said already
    await finish(conn, context)
    [seen] = receiver.seen
    assert (seen.method, seen.path) == ("POST", PATH)
    told = Webhook(secret).verify(seen.body, seen.headers)
    assert told["data"]["deployment_id"] == str(deployment.id)
    assert told["data"]["verdict"] == "rollback_recommended"
    assert told["data"]["hints"][0]["title"] == "Errors <rose>"
    assert told["data"]["urls"]["report"].startswith("https://seqpulse.example.com/deployments/")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(seen.body.replace(b"rollback_recommended", b"ok"), seen.headers)
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.attempts, logged.status_code) == ("delivered", 1, 204)
    assert str(logged.id) == seen.headers["webhook-id"]
    assert (logged.channel_id, logged.revision) == (channel.id, 1)
    assert logged.settled_at is not None


@pytest.mark.parametrize(
    ("answer", "code"),
    [(RESET, None), (SILENCE, None), ("500 Oops", 500), ("503 Busy\nRetry-After: 0", 503),
     ("429 Slow down", 429), ("408 Late", 408), ("425 Early", 425)],
)  # fmt: skip
async def test_what_may_pass_is_tried_again_under_the_same_id(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment, answer: str, code: int | None,
) -> None:  # fmt: skip
    _, secret = await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    receiver.script.append(answer)
    [outcome] = await work(conn, context)
    assert outcome.status is Status.RETRY
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.status_code, logged.attempts) == ("pending", code, 1)
    assert logged.last_error
    assert logged.next_at is not None
    await finish(conn, context)
    first, second = receiver.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    for seen in receiver.seen:
        Webhook(secret).verify(seen.body, seen.headers)
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.status_code, logged.last_error) == ("delivered", 204, None)


@pytest.mark.parametrize("answer", ["400 Bad", "404 No", "301 There\nLocation: /other", "304 Same"])
async def test_what_will_not_pass_is_given_up_at_once(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment, answer: str,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    receiver.otherwise = answer
    [outcome] = await work(conn, context)
    assert outcome.status is Status.FAILED
    assert len(receiver.seen) == 1, "a redirect is not followed"
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.last_error) == ("failed", f"HTTP {answer[:3]}")


async def test_nobody_tries_for_ever_and_one_may_ask_for_another_try(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    receiver.otherwise = "500 Oops"
    await finish(conn, context)
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.attempts, len(receiver.seen)) == ("failed", 3, 3)
    receiver.otherwise = OK
    await asyncio.gather(
        *(try_again(context.pool, project.id, logged.id) for _ in range(5)),
    )
    await finish(conn, context)
    assert len(receiver.seen) == 4, "whoever asks twice asks once"
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.attempts) == ("delivered", 1)
    with pytest.raises(ConflictError, match="delivered"):
        await notifying.try_again(conn, project.id, logged.id)
    with pytest.raises(NotFoundError):
        await notifying.try_again(conn, deployment.id, logged.id)


async def try_again(pool: Pool, project_id: UUID, delivery_id: UUID) -> None:
    async with pool.acquire() as conn:
        await notifying.try_again(conn, project_id, delivery_id)


async def test_one_that_waits_or_lost_its_job_is_tried_now(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    [logged] = await log_of(conn, project)
    later = (
        "UPDATE scheduled_jobs SET scheduled_at = now() + interval '1 hour' WHERE kind = 'notify'"
    )
    await conn.execute(later)
    assert await work(conn, context) == []
    await notifying.try_again(conn, project.id, logged.id)
    await conn.execute(later)
    await conn.execute("DELETE FROM scheduled_jobs")
    await notifying.try_again(conn, project.id, logged.id)
    await finish(conn, context)
    assert len(receiver.seen) == 1


async def test_410_turns_the_channel_off(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    channel, _ = await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    await notifying.test(conn, project.id, channel.id)
    receiver.otherwise = "410 Gone"
    await finish(conn, context)
    off = await channels.find(conn, project.id, channel.id)
    assert not off.enabled
    assert off.disabled_reason == "the receiver answered 410 Gone"
    assert {each.status for each in await log_of(conn, project)} == {DeliveryStatus.FAILED}
    [first, *_] = await log_of(conn, project)
    with pytest.raises(ConflictError, match="off"):
        await notifying.try_again(conn, project.id, first.id)
    on = await channels.change(conn, vault, project.id, channel.id, Changes(enabled=True))
    assert (on.enabled, on.disabled_reason) == (True, None)


async def test_both_secrets_sign_while_one_follows_the_other(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver, project: Project
) -> None:
    channel, before = await add(conn, vault, project, receiver)
    now = await channels.rotate_secret(conn, vault, project.id, channel.id, 3600)
    await notifying.test(conn, project.id, channel.id)
    await finish(conn, context)
    for secret in (before, now):
        Webhook(secret).verify(receiver.last.body, receiver.last.headers)
    await conn.execute("UPDATE channels SET secret_before_until = now()")
    await notifying.test(conn, project.id, channel.id)
    await finish(conn, context)
    Webhook(now).verify(receiver.last.body, receiver.last.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(before).verify(receiver.last.body, receiver.last.headers)
    latest = await channels.rotate_secret(conn, vault, project.id, channel.id, 0)
    await notifying.test(conn, project.id, channel.id)
    await finish(conn, context)
    Webhook(latest).verify(receiver.last.body, receiver.last.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(now).verify(receiver.last.body, receiver.last.headers)
    slack, _ = await add(conn, vault, project, receiver, ChannelKind.SLACK, name="slack")
    with pytest.raises(InvalidInputError):
        await channels.rotate_secret(conn, vault, project.id, slack.id, 3600)
    with pytest.raises(NotFoundError):
        await channels.rotate_secret(conn, vault, slack.id, slack.id, 3600)


async def test_a_receiver_in_a_private_network_is_not_told(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    async with Outbound() as closed:  # nothing but what is public
        await finish(conn, replace(context, outbound=closed))
    assert receiver.seen == []
    [logged] = await log_of(conn, project)
    assert logged.status is DeliveryStatus.FAILED
    assert (logged.last_error or "").startswith("forbidden_target")


async def test_slack_is_told_without_a_signature(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver, ChannelKind.SLACK)
    await judged(conn, deployment)
    await finish(conn, context)
    assert "webhook-signature" not in receiver.last.headers
    assert "rollback recommended" in receiver.last.json["text"]
    assert "&lt;rose&gt;" in receiver.last.body.decode()


async def test_github_gets_the_status_of_its_own_deployment(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    assert deployment.finished_at is not None
    await add(conn, vault, project, receiver, ChannelKind.GITHUB)
    await judged(conn, deployment)
    made = (deployment.finished_at - timedelta(minutes=3)).isoformat()
    receiver.script += [
        "403 Forbidden\nRetry-After: 0",  # its limit of requests
        answer_json([{"id": 41, "created_at": made}]),
        "201 Created",
    ]
    await finish(conn, context)
    _, listed, told = receiver.seen
    assert listed.path == "/repos/acme/shop/deployments?environment=prod&per_page=100&ref=main"
    assert (told.method, told.path) == ("POST", "/repos/acme/shop/deployments/41/statuses")
    assert told.headers["authorization"] == f"Bearer {TOKEN}"
    assert told.json["state"] == "failure"
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.status_code, logged.attempts) == ("delivered", 201, 2)


@pytest.mark.parametrize(
    ("answer", "says"),
    [(answer_json([]), "no_data: GitHub has no deployment of main to prod from that time"),
     ("401 Who", "HTTP 401"), ("403 No", "HTTP 403")],
)  # fmt: skip
async def test_github_is_told_nothing_it_does_not_know_of(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment, answer: str, says: str,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver, ChannelKind.GITHUB)
    await judged(conn, deployment)
    receiver.otherwise = answer
    await finish(conn, context)
    assert len(receiver.seen) == 1
    [logged] = await log_of(conn, project)
    assert (logged.status, logged.last_error) == ("failed", says)


async def test_slow_receivers_take_no_more_than_their_places(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver, project: Project
) -> None:
    channel, _ = await add(conn, vault, project, receiver)
    for _ in range(AT_ONCE_EACH + 3):
        await notifying.test(conn, project.id, channel.id)
    receiver.otherwise = SILENCE
    outcomes = await work(conn, context)
    assert receiver.most_at_once == AT_ONCE_EACH
    assert [each.status for each in outcomes] == [Status.RETRY] * (AT_ONCE_EACH + 3)
    attempts = [each.attempts for each in await log_of(conn, project)]
    assert sorted(attempts) == [0] * 3 + [1] * AT_ONCE_EACH, "who is not let in has not tried"
