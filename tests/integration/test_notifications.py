"""Notifications with a real database, a real receiver, and everything that goes wrong with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from analytics import policy
from core.codes import ChannelKind, DeliveryStatus
from core.database import Connection, Pool
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.judgement import Judgement
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Hint, Project, Severity, Verdict
from ingest.collector import Collector
from ingest.guard import parse_rules
from ingest.outbound import AT_ONCE_EACH, Outbound
from scheduler import house, judging, notifying, removal, tasks
from scheduler.house import Rules
from scheduler.jobs import Outcome, Settlement, Status
from scheduler.session import register
from sql import bulk, channels, deliveries, rotation, verdicts
from sql.channels import Access, Changes, Channel, Interest
from sql.deliveries import Logged
from tests.integration.claims import claim, settle
from tests.receiver import OK, RESET, SILENCE, Receiver, answer_json, receiving

TOKEN = "ghp_SecretTokenOfTheTests"
PATH = "/services/T000/B000/SecretPathOfTheTests"
GENERATE = (Path(__file__).parent / "many_deployments.sql").read_text()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def context(
    pool: Pool, vault: Vault, settings: Settings, receiver: Receiver
) -> AsyncIterator[tasks.Context]:
    quick = settings.model_copy(
        update={
            "notify_retry_seconds": (0.001, 0.001),
            "github_api_url": receiver.url,
            "public_url": "https://seqpulse.example.com",
        }
    )
    async with (
        Collector(timeout_seconds=1, slot_seconds=1) as collector,
        Outbound(parse_rules(("127.0.0.0/8",)), timeout_seconds=2) as outbound,
    ):
        judge = policy.find("reference-v2")
        yield tasks.Context(pool, vault, collector, judge, quick, outbound=outbound)


async def add(
    conn: Connection,
    vault: Vault,
    project: Project,
    receiver: Receiver,
    kind: ChannelKind = ChannelKind.WEBHOOK,
    interest: Interest | None = None,
    name: str = "ops",
) -> tuple[Channel, str]:
    github = kind is ChannelKind.GITHUB
    access = Access(TOKEN, "acme/shop") if github else Access(receiver.url + PATH, receiver.url)
    channel, secret = await channels.create(
        conn, vault, project.id, kind, name, access, interest or Interest()
    )
    return channel, secret or ""


async def judged(
    conn: Connection,
    deployment: Deployment,
    verdict: Verdict = Verdict.ROLLBACK_RECOMMENDED,
    *,
    conclusive: bool = True,
) -> None:
    """Store a verdict the way the judge does."""
    said = Judgement(deployment.id, "p", verdict, conclusive, "regression", 0.9, 1.0, (),
                     deployment.triggered_at)  # fmt: skip
    hint = Hint("errors", Severity.CRITICAL, "Errors <rose>", "5 % fail", ("Roll back",), ())
    async with conn.transaction():
        stored = await verdicts.save(conn, [(said, [hint])])
        await notifying.announce(conn, list(stored))


async def work(conn: Connection, context: tasks.Context) -> list[Outcome]:
    """Do what is due of notifications, once."""
    await conn.execute("DELETE FROM scheduled_jobs WHERE kind <> 'notify'")
    owner = await register(conn)
    jobs = await claim(conn, owner)
    outcomes = await asyncio.gather(*(tasks.handle(job, context) for job in jobs))
    await settle(conn, owner, *map(Settlement, jobs, outcomes))
    return outcomes


async def finish(conn: Connection, context: tasks.Context) -> None:
    """Work until nothing is left to be done."""
    async with asyncio.timeout(20):
        while await conn.fetchval("SELECT count(*) FROM scheduled_jobs WHERE kind = 'notify'"):
            await work(conn, context)


async def log_of(conn: Connection, project: Project) -> list[Logged]:
    return await deliveries.list_of(conn, project.id)


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
    ("interest", "verdict", "conclusive", "told"),
    [
        (Interest(), Verdict.OK, True, True),
        (Interest([Verdict.WARNING]), Verdict.OK, True, False),
        (Interest([Verdict.WARNING]), Verdict.WARNING, False, True),
        (Interest(conclusive_only=True), Verdict.WARNING, False, False),
        (Interest(conclusive_only=True), Verdict.WARNING, True, True),
        (Interest(envs=["staging"]), Verdict.OK, True, False),
        (Interest(envs=["staging", "prod"]), Verdict.OK, True, True),
    ],
)
async def test_a_channel_hears_what_it_wants_to(
    conn: Connection, vault: Vault, project: Project, deployment: Deployment,
    interest: Interest, verdict: Verdict, conclusive: bool, told: bool,
) -> None:  # fmt: skip
    await add(conn, vault, project, Receiver("http://127.0.0.1:9"), interest=interest)
    await judged(conn, deployment, verdict, conclusive=conclusive)
    assert len(await log_of(conn, project)) == told


async def test_nobody_hears_what_was_said_before_or_while_he_was_off(
    conn: Connection, vault: Vault, project: Project, deployment: Deployment, receiver: Receiver
) -> None:
    off, _ = await add(conn, vault, project, receiver)
    await channels.change(conn, vault, project.id, off.id, Changes(enabled=False))
    await judged(conn, deployment)
    await add(conn, vault, project, receiver, name="late")
    assert await log_of(conn, project) == []


async def test_a_verdict_and_its_deliveries_are_one(
    conn: Connection, vault: Vault, project: Project, deployment: Deployment, receiver: Receiver
) -> None:
    await add(conn, vault, project, receiver)
    undone = conn.transaction()
    await undone.start()
    await judged(conn, deployment)
    await undone.rollback()
    assert await conn.fetchval("SELECT count(*) FROM verdicts") == 0
    assert await conn.fetchval("SELECT count(*) FROM deliveries") == 0
    assert await conn.fetchval("SELECT count(*) FROM scheduled_jobs WHERE kind = 'notify'") == 0


async def test_concurrent_judges_plan_one_delivery_for_each_channel(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    await conn.execute("SELECT setseed(0.5)")
    await conn.execute(GENERATE.replace(":services", "4").replace(":each", "3"))
    ids = [row["id"] for row in await conn.fetch("SELECT id FROM deployments")]
    for row in await conn.fetch("SELECT id FROM projects"):
        for name in ("one", "two"):
            access = Access("http://127.0.0.1:9/", "http://127.0.0.1:9")
            await channels.create(
                conn, vault, row["id"], ChannelKind.SLACK, name, access, Interest()
            )
    policies = judging.Policies(policy.find("reference-v2"))
    await asyncio.gather(*(judging.judge(pool, policies, 1800, ids) for _ in range(5)))
    judged_count = await conn.fetchval("SELECT count(*) FROM verdicts")
    assert judged_count > 5
    assert await conn.fetchval("SELECT count(*) FROM deliveries") == 2 * judged_count
    jobs = "SELECT count(*), count(DISTINCT payload) FROM scheduled_jobs WHERE kind = 'notify'"
    assert tuple(await conn.fetchrow(jobs) or ()) == (2 * judged_count, 2 * judged_count)


async def test_who_plans_what_is_planned_already_plans_nothing(
    conn: Connection, pool: Pool, vault: Vault, project: Project, deployment: Deployment,
    receiver: Receiver,
) -> None:  # fmt: skip
    await add(conn, vault, project, receiver)
    await judged(conn, deployment)

    async def announce() -> None:
        async with pool.acquire() as other, other.transaction():
            await notifying.announce(other, [deployment.id])

    await asyncio.gather(*(announce() for _ in range(4)))
    jobs = "SELECT count(*) FROM scheduled_jobs WHERE kind = 'notify'"
    assert (len(await log_of(conn, project)), await conn.fetchval(jobs)) == (1, 1)


async def test_a_channel_that_is_being_deleted_takes_no_verdict_down(
    conn: Connection, pool: Pool, vault: Vault, project: Project, deployment: Deployment,
    receiver: Receiver,
) -> None:  # fmt: skip
    channel, _ = await add(conn, vault, project, receiver)

    async def judge() -> None:
        async with pool.acquire() as other:
            await judged(other, deployment)

    async with conn.transaction():
        await channels.delete(conn, project.id, channel.id)
        judging_too = asyncio.create_task(judge())
        waits = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with pool.acquire() as watcher, asyncio.timeout(20):
            while not await watcher.fetchval(waits):  # noqa: ASYNC110 - the database's, not ours
                await asyncio.sleep(0.01)
    await judging_too
    assert await conn.fetchval("SELECT count(*) FROM verdicts") == 1
    assert await log_of(conn, project) == []


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


async def test_no_secret_is_written_anywhere(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _, secret = await add(conn, vault, project, receiver)
    await add(conn, vault, project, receiver, ChannelKind.SLACK, name="slack")
    await add(conn, vault, project, receiver, ChannelKind.GITHUB, name="github")
    await judged(conn, deployment)
    receiver.script += ["500 Oops", RESET]
    receiver.otherwise = "404 No"
    await finish(conn, context)
    tables = await conn.fetch(
        "SELECT format('%I.%I', schemaname, relname) FROM pg_stat_user_tables "
        "UNION ALL SELECT format('report.%I', table_name) FROM information_schema.views "
        "WHERE table_schema = 'report'"
    )
    written = capsys.readouterr()
    everything = [written.out, written.err, *map(repr, await log_of(conn, project))]
    for (table,) in tables:
        rows = await conn.fetch(f"SELECT t::text FROM {table} AS t")
        everything += [row[0] for row in rows]
    assert any(str(deployment.id) in each for each in everything)
    assert "notification_failed" in written.out + written.err
    for planted in (secret, secret.removeprefix("whsec_"), TOKEN, PATH, "SecretPath"):
        assert not [each for each in everything if planted in each]


async def test_a_new_master_key_reads_what_the_old_one_wrote(
    conn: Connection, project: Project, receiver: Receiver, context: tasks.Context
) -> None:
    old = context.vault
    both = Vault("n" * 40, old.master_key)
    channel, before = await add(conn, old, project, receiver)
    secret = await channels.rotate_secret(conn, old, project.id, channel.id, 3600)
    assert (await rotation.rotate(conn, both)).secrets == 3
    assert (await rotation.rotate(conn, both)).secrets == 0
    await notifying.test(conn, project.id, channel.id)
    await finish(conn, replace(context, vault=Vault(both.master_key)))
    for each in (before, secret):
        Webhook(each).verify(receiver.last.body, receiver.last.headers)


async def test_names_and_numbers_of_channels_are_bounded(
    conn: Connection, vault: Vault, project: Project, receiver: Receiver
) -> None:
    first, _ = await add(conn, vault, project, receiver)
    with pytest.raises(ConflictError, match="called 'ops'"):
        await add(conn, vault, project, receiver)
    for number in range(channels.MOST - 1):
        await add(conn, vault, project, receiver, name=str(number))
    with pytest.raises(ConflictError, match="20 channels"):
        await add(conn, vault, project, receiver, name="one more")
    with pytest.raises(ConflictError, match="called '1'"):
        await channels.change(conn, vault, project.id, first.id, Changes(name="1"))
    with pytest.raises(NotFoundError):
        await add(conn, vault, replace(project, id=first.id), receiver)


async def test_what_is_deleted_takes_its_deliveries_along(
    conn: Connection, vault: Vault, project: Project, deployment: Deployment,
    receiver: Receiver, context: tasks.Context,
) -> None:  # fmt: skip
    channel, _ = await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    await channels.delete(conn, project.id, channel.id)
    assert await log_of(conn, project) == []
    [outcome] = await work(conn, context)
    assert (outcome.status, outcome.last_error) == (Status.FAILED, "the delivery is gone")
    again, _ = await add(conn, vault, project, receiver)
    await notifying.test(conn, project.id, again.id)
    await removal.delete(conn, project.id)
    for table in ("channels", "deliveries"):
        assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_old_deliveries_go_with_old_runs(
    conn: Connection, database_url: str, vault: Vault, project: Project, deployment: Deployment,
    receiver: Receiver, context: tasks.Context,
) -> None:  # fmt: skip
    channel, _ = await add(conn, vault, project, receiver)
    await judged(conn, deployment)
    await finish(conn, context)
    await notifying.test(conn, project.id, channel.id)
    assert await house.keep(database_url, Rules())
    assert len(await log_of(conn, project)) == 2
    await conn.execute("UPDATE deliveries SET settled_at = now() - interval '31 days' "
                       "WHERE status = 'delivered'")  # fmt: skip
    await deliveries.forget(conn, await bulk.read_clock(conn) - Rules().retention.runs)
    [left] = await log_of(conn, project)
    assert left.status is DeliveryStatus.PENDING
