"""A worker that dies between sending a message and noting it leaves it to the next, same id."""

from __future__ import annotations

import asyncio
import signal

from core.codes import ChannelKind
from core.database import Connection
from core.secrets import Vault
from core.types import DeploymentResult
from scheduler import queue
from sql import channels, deliveries, deployments, projects
from sql.channels import Access, Interest
from tests.acceptance.installation import Installation
from tests.acceptance.test_crash import until
from tests.integration.telling import judged
from tests.receiver import SILENCE, receiving


async def test_kill_9_between_sending_and_settling(
    installation: Installation, conn: Connection
) -> None:
    vault = Vault(installation.env["SEQPULSE_SECRET_KEY"])
    project, _ = await projects.create(conn, vault, name="shop")
    begun, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key=None, abandoned_seconds=3600
    )
    deployment = await deployments.mark_finished(
        conn, begun.id, project.id, result=DeploymentResult.SUCCESS, post_slots=5, slot_seconds=1
    )
    assert deployment is not None
    async with receiving() as receiver:
        access = Access(receiver.url, receiver.url)
        await channels.create(
            conn, vault, project.id, ChannelKind.WEBHOOK, "ops", access, Interest()
        )
        receiver.script.append(SILENCE)
        await judged(conn, deployment)
        first = installation.start("worker")
        await asyncio.wait_for(receiver.came.wait(), 30)
        first.send_signal(signal.SIGKILL)
        first.wait()
        installation.start("worker")

        async def is_delivered() -> bool:
            [logged] = await deliveries.list_of(conn, project.id)
            return logged.status == "delivered"

        await until(is_delivered)
        [logged] = await deliveries.list_of(conn, project.id)
        assert logged.attempts == 2
        ids = [seen.headers["webhook-id"] for seen in receiver.seen]
        assert ids == [str(logged.id)] * 2
        assert receiver.seen[0].body == receiver.seen[1].body
    await queue.wake(conn)

    async def is_settled() -> bool:
        return not await conn.fetchval("SELECT count(*) FROM scheduled_jobs")

    await until(is_settled)
    runs = "SELECT count(*) FROM job_runs WHERE kind = 'notify' AND status = 'completed'"
    assert await conn.fetchval(runs) == 1
    assert receiver.url not in installation.log
    assert '"notification_delivered"' in installation.log
