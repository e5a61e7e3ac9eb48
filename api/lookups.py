"""Lists: what was found in a project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import ProjectDep
from api.schemas import EnvName, HintAnswer, ProjectHintAnswer
from api.state import ConnectionDep
from core.types import Severity
from sql import verdicts

router = APIRouter(tags=["verdicts"])


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
