"""A worker killed in the middle of a post window loses nothing and duplicates nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from core.database import Connection
from tests.acceptance.installation import Installation


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process, nothing to await
            await asyncio.sleep(0.02)


async def test_kill_9_in_the_post_window(installation: Installation, conn: Connection) -> None:
    await installation.start_api()
    first = installation.start("worker")
    shop = await installation.start_shop()
    identity = installation.pipeline("trigger", shop)["deployment_id"]
    installation.pipeline("finish", shop, deployment_id=identity)

    async def two_collected() -> bool:
        count = "SELECT count(*) FROM metric_samples WHERE phase = 'post'"
        return bool(await conn.fetchval(count) >= 2)

    async def everything_settled() -> bool:
        unsettled = (
            "SELECT count(*) FROM scheduled_jobs WHERE deployment_id IS NOT NULL "
            "AND status IN ('pending', 'running')"
        )
        return bool(await conn.fetchval(unsettled) == 0)

    await until(two_collected)
    first.send_signal(signal.SIGKILL)
    first.wait()
    # Whatever it was doing when it died: leave one slot claimed under its key, which is free now.
    await conn.execute(
        "UPDATE scheduled_jobs SET status = 'running', attempt = 1, "
        "owner = (SELECT last_value FROM worker_keys) "
        "WHERE phase = 'post' AND status = 'pending' AND sequence_index = 4"
    )
    installation.start("worker")
    await until(everything_settled)
    slots = await conn.fetch(
        "SELECT sequence_index FROM metric_samples WHERE phase = 'post' "
        "UNION ALL SELECT sequence_index FROM missed_slots WHERE phase = 'post'"
    )
    assert sorted(row["sequence_index"] for row in slots) == [0, 1, 2, 3, 4]
    assert await conn.fetchval("SELECT count(*) FROM verdicts") == 1
    assert await conn.fetchval("SELECT count(*) FROM evidence") == 5
