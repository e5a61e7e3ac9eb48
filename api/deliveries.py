"""What became of notifications, and another try at one."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import AdminDep, ProjectDep, ReaderDep
from api.routes import Route
from api.state import ConnectionDep, StateDep
from core.codes import ChannelKind, DeliveryStatus
from scheduler import notifying
from sql import deliveries, deployments

router = APIRouter(tags=["notifications"], route_class=Route)

Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000)]


class DeliveryAnswer(BaseModel):
    """One message to one channel."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID = Field(description="the webhook-id of every attempt")
    channel_id: UUID
    channel: str
    kind: ChannelKind
    deployment_id: UUID | None = Field(description="null: a test of the channel")
    env: str | None
    revision: int | None
    status: DeliveryStatus
    attempts: int
    status_code: int | None = Field(description="of the last answer, if there was one")
    last_error: str | None
    created_at: datetime
    tried_at: datetime | None
    next_at: datetime | None
    settled_at: datetime | None


@router.get("/projects/{project_id}/deliveries")
async def list_of_project(
    project_id: UUID,
    _caller: ReaderDep,
    conn: ConnectionDep,
    channel_id: UUID | None = None,
    status: DeliveryStatus | None = None,
    before: Annotated[UUID | None, Query(description="the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[DeliveryAnswer]:
    """Return deliveries of the project, newest first."""
    found = await deliveries.list_of(
        conn, project_id, channel_id=channel_id, status=status, before=before, limit=limit
    )
    return [DeliveryAnswer.model_validate(each) for each in found]


@router.get("/deployments/{deployment_id}/deliveries")
async def list_of_deployment(
    deployment_id: UUID, project: ProjectDep, conn: ConnectionDep
) -> list[DeliveryAnswer]:
    """Return who was told of the verdicts of a deployment, newest first."""
    await deployments.find(conn, deployment_id, project.id)
    found = await deliveries.list_of(conn, project.id, deployment_id=deployment_id, limit=1000)
    return [DeliveryAnswer.model_validate(each) for each in found]


@router.post(
    "/projects/{project_id}/deliveries/{delivery_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    response_class=Response,
)
async def retry(
    project_id: UUID, delivery_id: UUID, _caller: AdminDep, conn: ConnectionDep, state: StateDep
) -> None:
    """Try a delivery that failed or waits once more, now, with all its attempts before it."""
    await notifying.try_again(conn, project_id, delivery_id)
    state.waker.wake()
