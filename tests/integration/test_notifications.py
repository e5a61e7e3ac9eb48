"""Who is told of a verdict: written with it, once, and without a secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from analytics import policy
from core.codes import ChannelKind, DeliveryStatus
from core.database import Connection, Pool, connect, create_pool
from core.errors import ConflictError, NotFoundError
from core.judgement import Judgement
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Verdict
from scheduler import house, judging, notifying, removal, tasks
from scheduler.house import Rules
from scheduler.jobs import Status
from scheduler.rejudging import rejudge
from sql import bulk, channels, deliveries, roles, rotation, verdicts
from sql.channels import Access, Changes, Interest
from tests.integration.telling import PATH, TOKEN, add, finish, judged, log_of, open_context, work
from tests.receiver import RESET, Receiver, receiving
from tests.roles import make, url_as

GENERATE = (Path(__file__).parent / "many_deployments.sql").read_text()


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


async def revise(conn: Connection, deployment: Deployment, verdict: Verdict) -> None:
    """Say something again, the way it is done when a deployment is judged again."""
    said = Judgement(deployment.id, "p", verdict, True, "other", 0.8, 1.0, (),
                     deployment.triggered_at)  # fmt: skip
    async with conn.transaction():
        await verdicts.lock(conn, deployment.id)
        await verdicts.revise(conn, said, [], "digest")
        await notifying.announce(conn, [deployment.id])


async def test_a_correction_is_told_to_whoever_was_told_the_contrary(
    conn: Connection, vault: Vault, context: tasks.Context, receiver: Receiver,
    project: Project, deployment: Deployment,
) -> None:  # fmt: skip
    alarms = Interest([Verdict.ROLLBACK_RECOMMENDED])
    alarmed, _ = await add(conn, vault, project, receiver, interest=alarms)
    await judged(conn, deployment)
    await add(conn, vault, project, receiver, interest=alarms, name="later")
    everything, _ = await add(conn, vault, project, receiver, name="everything")
    await revise(conn, deployment, Verdict.ROLLBACK_RECOMMENDED)
    assert len(await log_of(conn, project)) == 1, "the same again is no news"
    await revise(conn, deployment, Verdict.OK)
    told = {(each.channel_id, each.revision) for each in await log_of(conn, project)}
    assert told == {(alarmed.id, 1), (alarmed.id, 3), (everything.id, 3)}
    await finish(conn, context)
    said = {(seen.json["data"]["revision"], seen.json["data"]["verdict"]) for seen in receiver.seen}
    assert said == {(1, "rollback_recommended"), (3, "ok")}, "each tells of its own revision"
    [first] = [seen for seen in receiver.seen if seen.json["data"]["revision"] == 1]
    assert first.json["data"]["hints"][0]["rule"] == "errors"


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


async def test_who_is_judged_again_is_told_of_if_it_is_news(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    await conn.execute("SELECT setseed(0.5)")
    await conn.execute(GENERATE.replace(":services", "2").replace(":each", "6"))
    ids = [row["id"] for row in await conn.fetch("SELECT id FROM deployments")]
    strict = judging.Policies(policy.find("reference-v2"))
    await judging.judge(pool, strict, 1800, ids)
    for row in await conn.fetch("SELECT id FROM projects"):
        access = Access("http://127.0.0.1:9/", "http://127.0.0.1:9")
        await channels.create(conn, vault, row["id"], ChannelKind.SLACK, "ops", access, Interest())
    known = "SELECT deployment_id, verdict, conclusive FROM verdicts"
    before = {row["deployment_id"]: tuple(row) for row in await conn.fetch(known)}
    for deployment_id in before:
        await rejudge(conn, judging.Policies(policy.SEQPULSE_V1), 1800, deployment_id)
    now = {row["deployment_id"]: tuple(row) for row in await conn.fetch(known)}
    changed = {each for each, said in now.items() if said != before[each]}
    assert 0 < len(changed) < len(before)
    told = await conn.fetch("SELECT deployment_id, revision FROM deliveries")
    assert {tuple(row) for row in told} == {(each, 2) for each in changed}


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


async def test_processes_that_own_nothing_tell_everybody(
    conn: Connection, database_url: str, vault: Vault, project: Project, deployment: Deployment,
    receiver: Receiver, context: tasks.Context,
) -> None:  # fmt: skip
    await make(database_url)
    url = url_as(database_url, roles.APP)
    async with await create_pool(url, 2) as pool:
        as_app = replace(context, pool=pool)
        app = await connect(url)
        channel, _ = await add(app, vault, project, receiver)
        await judged(app, deployment)
        receiver.script.append("410 Gone")
        await finish(app, as_app)
        await channels.change(app, vault, project.id, channel.id, Changes(enabled=True))
        [logged] = await log_of(app, project)
        await notifying.try_again(app, project.id, logged.id)
        await finish(app, as_app)
        [logged] = await log_of(app, project)
        assert logged.status is DeliveryStatus.DELIVERED
        await channels.rotate_secret(app, vault, project.id, channel.id, 60)
        await rotation.rotate(app, Vault("n" * 40, vault.master_key))
        assert await house.keep(url, Rules())
        await channels.delete(app, project.id, channel.id)
        await app.close()
