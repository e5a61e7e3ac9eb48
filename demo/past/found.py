"""Projects, targets, deployments and feedback, as they would be on record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from core.codes import CollectCode
from core.database import Connection
from core.types import DeploymentState
from demo.past.releases import Release
from demo.past.services import Fleet
from sql import past

SLOT_SECONDS: Final = 60.0
ASKED: Final = timedelta(hours=2)
"""After a finish people know whether it hurt."""


async def found(
    conn: Connection, since: datetime, fleet: Fleet, shipped: Sequence[Release]
) -> None:
    """Write projects, targets, deployments and feedback, all or nothing."""
    async with conn.transaction():
        await past.insert(
            conn,
            "projects",
            ("id", "name", "plan", "post_slots", "created_at"),
            [(p.id, p.name, p.plan, p.post_slots, since) for p in fleet.projects],
        )
        await past.insert(
            conn,
            "targets",
            ("project_id", "env", "endpoint", "created_at", "updated_at", "failures", "last_code"),
            [_target(since, fleet, service) for service in range(len(fleet))],
        )
        await past.insert(
            conn,
            "deployments",
            ("id", "project_id", "env", "branch", "idempotency_key", "state", "result",
             "triggered_at", "finished_at", "post_slots", "slot_seconds"),
            [_deployment(fleet, each) for each in shipped],
        )  # fmt: skip
        await past.insert(
            conn,
            "feedback",
            ("deployment_id", "harmful", "given_by", "given_at", "revision"),
            [
                (each.id, each.feedback, "a colleague", each.finished_at + ASKED, 1)
                for each in shipped
                if each.feedback is not None
            ],
        )


def _target(since: datetime, fleet: Fleet, service: int) -> tuple[object, ...]:
    """Return a target that no name server will ever know; some have not been answering lately."""
    project, env = fleet.project_of(service), fleet.env[service]
    ill = fleet.traits.misses[service] > 0.08
    return (
        project.id,
        env,
        f"https://{project.name}.{env}.invalid/ds-metrics",
        since,
        since,
        3 if ill else 0,
        CollectCode.TIMEOUT if ill else None,
    )


def _deployment(fleet: Fleet, release: Release) -> tuple[object, ...]:
    project = fleet.project_of(release.service)
    return (
        release.id,
        project.id,
        fleet.env[release.service],
        release.branch,
        str(release.id),
        DeploymentState.FINISHED,
        release.result,
        release.triggered_at,
        release.finished_at,
        project.post_slots,
        SLOT_SECONDS,
    )
