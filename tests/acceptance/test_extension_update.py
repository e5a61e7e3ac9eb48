"""ALTER EXTENSION timescaledb UPDATE under a running installation.

Machines have one version of the extension. So a copy of the private server gets a second one: the
same library under the next number, with the update script of the distribution. What the update does
to open sessions is real: each of them is ended at its next use of the extension.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.database import connect
from demo.stage import environment
from sql import embedded, migrate
from sql.embedded.psql import execute
from sql.texts import query
from tests.acceptance.installation import Installation
from tests.acceptance.test_sdk import verdict_of
from tests.programs import Programs, copy_programs

POOL = 10
"""Connections of the API."""


@pytest.fixture
def programs() -> Iterator[Programs]:
    with copy_programs() as programs:
        yield programs


async def test_processes_carry_on_after_an_update_of_the_extension(
    programs: Programs, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        data = programs.cache_dir / "data"
        server = stack.enter_context(embedded.running(data, programs.cache_dir))
        conn = await connect(server.url)
        await migrate.migrate(conn)
        async with httpx.AsyncClient(trust_env=False) as http:
            log = tmp_path / "processes.log"
            installation = Installation(environment(server.url), log, http, stack)
            await installation.start_api()
            installation.start("worker")
            shop = await installation.start_shop()
            first = installation.pipeline("trigger", shop, branch="v1")["deployment_id"]
            installation.pipeline("finish", shop, deployment_id=first, result="success")
            assert (await verdict_of(installation, first))["coverage_ratio"] > 0
            await conn.close()

            present, following = programs.bring_next_version()
            second = installation.pipeline("trigger", shop, branch="v2")["deployment_id"]
            execute(programs.root, server.url, query("embedded.update_extension"))
            conn = await connect(server.url)
            version = await conn.fetchval(query("migrations.extension_version"))
            assert version == following != present
            # Every open session ends when it is next used: so often a request may meet a 503.
            for _ in range(POOL):
                if installation.pipeline("finish", shop, deployment_id=second)["ok"]:
                    break
            assert (await verdict_of(installation, second))["coverage_ratio"] > 0
            await installation.logged("database_lost")
            third = installation.pipeline("trigger", shop, branch="v3")["deployment_id"]
            installation.pipeline("finish", shop, deployment_id=third, result="success")
            assert (await verdict_of(installation, third))["coverage_ratio"] > 0
            assert "worker_stopped" not in installation.log
            counts = await conn.fetch(
                "SELECT count(*) FROM metric_samples WHERE phase = 'post' GROUP BY deployment_id"
            )
            assert len(counts) == 3
            await conn.close()
