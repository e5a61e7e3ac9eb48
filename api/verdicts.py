"""What was found: the verdict of a deployment and the hints of a project."""

from __future__ import annotations

import math
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.auth import ProjectDep
from api.routes import Route
from api.schemas import (
    EnvName,
    HintAnswer,
    PendingAnswer,
    ProjectHintAnswer,
    ShadowAnswer,
    VerdictAnswer,
)
from api.state import ConnectionDep
from core.types import Deployment, Severity
from sql import deployments, verdicts

router = APIRouter(tags=["verdicts"], route_class=Route)


@router.get("/deployments/{deployment_id}/verdict", responses={202: {"model": PendingAnswer}})
async def show(
    deployment_id: UUID, project: ProjectDep, conn: ConnectionDep, response: Response
) -> VerdictAnswer | PendingAnswer:
    """Return the verdict with evidence and hints, or 202 and Retry-After while there is none."""
    deployment = await deployments.find(conn, deployment_id, project.id)
    judgement = await verdicts.find(conn, deployment_id)
    if judgement is None:
        response.status_code = 202
        response.headers["Retry-After"] = str(_retry_after(deployment))
        return PendingAnswer(
            deployment_id=deployment.id,
            state=deployment.state,
            message=f"no verdict yet: the deployment is {deployment.state}",
        )
    hints = await verdicts.find_hints(conn, deployment_id)
    shadows = await verdicts.find_shadows(conn, deployment_id)
    return VerdictAnswer.model_validate(judgement).model_copy(
        update={
            "hints": [HintAnswer.model_validate(hint) for hint in hints],
            "shadows": [ShadowAnswer.model_validate(shadow) for shadow in shadows],
        }
    )


@router.get("/sdh")
async def list_hints(
    project: ProjectDep,
    conn: ConnectionDep,
    severity: Severity | None = None,
    env: EnvName | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[ProjectHintAnswer]:
    """Return the latest composite diagnoses (SDH hints) of the project, newest first."""
    found = await verdicts.project_hints(conn, project.id, severity=severity, env=env, limit=limit)
    return [
        ProjectHintAnswer(
            deployment_id=item.deployment_id,
            env=item.env,
            branch=item.branch,
            finished_at=item.finished_at,
            verdict=item.verdict,
            hint=HintAnswer.model_validate(item.hint),
        )
        for item in found
    ]


def _retry_after(deployment: Deployment) -> int:
    """Suggest when to ask again: one slot, between a second and half a minute."""
    return math.ceil(min(max(deployment.slot_seconds or 30.0, 1.0), 30.0))
