"""Deployments: created by trigger, finished by CI, analyzed by the judge."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from core.database import Connection
from core.errors import NotFoundError
from core.ids import new_id
from core.types import Deployment, DeploymentResult, DeploymentState
from sql.texts import query


class Begin(StrEnum):
    """What a trigger found."""

    CREATED = "created"
    EXISTING = "existing"
    RENEWED = "renewed"


def _deployment(row: asyncpg.Record) -> Deployment:
    return Deployment(
        id=row["id"],
        project_id=row["project_id"],
        env=row["env"],
        branch=row["branch"],
        idempotency_key=row["idempotency_key"],
        state=DeploymentState(row["state"]),
        triggered_at=row["triggered_at"],
        result=None if row["result"] is None else DeploymentResult(row["result"]),
        finished_at=row["finished_at"],
        analyzed_at=row["analyzed_at"],
        post_slots=row["post_slots"],
        slot_seconds=row["slot_seconds"],
        extended_at=row["extended_at"],
    )


async def create(
    conn: Connection,
    project_id: UUID,
    *,
    env: str,
    branch: str,
    idempotency_key: str | None,
    abandoned_seconds: float,
) -> tuple[Deployment, Begin]:
    """Create a deployment, or find the one this trigger is a repetition of.

    A repetition has the idempotency key of an earlier trigger of this environment, or comes while
    another deployment of it is under way. Unique indexes decide, so concurrent triggers agree.
    A live deployment that was triggered more than `abandoned_seconds` ago with another key was
    abandoned by its pipeline: it begins anew for this one.
    """
    while True:
        row = await conn.fetchrow(
            query("deployments.insert"), new_id(), project_id, env, branch, idempotency_key
        )
        if row is not None:
            return _deployment(row), Begin.CREATED
        row = await conn.fetchrow(
            query("deployments.find_existing"), project_id, env, idempotency_key
        )
        if row is not None:
            renewed = await conn.fetchrow(
                query("deployments.renew"), row["id"], branch, idempotency_key, abandoned_seconds
            )
            return _deployment(renewed or row), Begin.RENEWED if renewed else Begin.EXISTING
        # The one that was in the way has finished between the two statements: now there is room.


async def mark_finished(
    conn: Connection,
    deployment_id: UUID,
    project_id: UUID,
    *,
    result: DeploymentResult,
    post_slots: int,
    slot_seconds: float,
) -> Deployment | None:
    """Move a deployment to `finished`, or return None if there is no live one with this id."""
    row = await conn.fetchrow(
        query("deployments.mark_finished"),
        deployment_id,
        project_id,
        result,
        post_slots,
        slot_seconds,
    )
    return None if row is None else _deployment(row)


async def extend(conn: Connection, deployment_id: UUID) -> Deployment | None:
    """Double the post window of a finished deployment, or return None if that was done already.

    None, too, if the deployment is gone or has a verdict.
    """
    row = await conn.fetchrow(query("deployments.extend"), deployment_id)
    return None if row is None else _deployment(row)


async def find(conn: Connection, deployment_id: UUID, project_id: UUID) -> Deployment:
    """Return a deployment of a project.

    Raises:
        NotFoundError: There is none, or it belongs to another project.
    """
    row = await conn.fetchrow(query("deployments.find"), deployment_id, project_id)
    if row is None:
        raise NotFoundError(f"no deployment {deployment_id}")
    return _deployment(row)


async def load(conn: Connection, deployment_id: UUID) -> tuple[Deployment, datetime]:
    """Return a deployment of any project, and the database's clock.

    Raises:
        NotFoundError: It is gone.
    """
    row = await conn.fetchrow(query("deployments.load"), deployment_id)
    if row is None:
        raise NotFoundError(f"no deployment {deployment_id}")
    return _deployment(row), row["as_of"]
