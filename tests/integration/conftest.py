"""A project with a deployment in its post window, as CI would leave it."""

from __future__ import annotations

import shutil

import pytest

from core.database import Connection
from core.secrets import Vault
from core.types import Deployment, DeploymentResult, Project
from scheduler import plan, queue
from sql import deployments, projects, targets


@pytest.fixture
async def project(conn: Connection, vault: Vault) -> Project:
    created, _ = await projects.create(conn, vault, name="shop")
    return created


@pytest.fixture
async def deployment(conn: Connection, project: Project) -> Deployment:
    """A finished deployment whose five post slots are due already; the jobs are written."""
    created, _ = await deployments.create(
        conn, project.id, env="prod", branch="main", idempotency_key="k1", abandoned_seconds=3600
    )
    await targets.put(conn, project.id, "prod", "http://127.0.0.1:9/metrics")
    await conn.execute(
        "UPDATE deployments SET triggered_at = now() - interval '1 hour' WHERE id = $1", created.id
    )
    finished = await deployments.mark_finished(
        conn,
        created.id,
        project.id,
        result=DeploymentResult.SUCCESS,
        post_slots=5,
        slot_seconds=60,
    )
    assert finished is not None
    assert finished.finished_at is not None
    await conn.execute(
        "UPDATE deployments SET finished_at = now() - interval '10 minutes' WHERE id = $1",
        created.id,
    )
    finished, _ = await deployments.load(conn, created.id)
    await queue.enqueue(conn, plan.post_jobs(finished))
    return finished


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The private database needs apt; on a machine without it a server is given instead."""
    if shutil.which("apt-get") is None:
        for item in items:
            if item.path.name.startswith("test_embedded"):
                item.add_marker(pytest.mark.skip(reason="there is no apt-get on this machine"))
