"""Projects: made and listed by the operator, looked at by whoever has a key of theirs."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.auth import OperatorDep, ReaderDep
from api.routes import Route
from api.schemas import NewProjectAnswer, ProjectAnswer, ProjectBody
from api.state import ConnectionDep, StateDep
from core.secrets import new_hmac_secret
from core.types import Project
from scheduler import baseline
from sql import projects, targets

router = APIRouter(prefix="/projects", tags=["projects"], route_class=Route)


@router.post("", status_code=201)
async def create(
    body: ProjectBody, _operator: OperatorDep, conn: ConnectionDep, state: StateDep
) -> NewProjectAnswer:
    """Create a project; its API key and HMAC secret are shown in this answer and never again."""
    hmac_secret = new_hmac_secret() if body.hmac else None
    async with conn.transaction():
        project, key = await projects.create(
            conn,
            state.vault,
            name=body.name,
            plan=body.plan,
            post_slots=body.post_slots,
            hmac_secret=hmac_secret,
        )
        endpoints = {}
        if body.metrics_endpoint is not None:
            endpoints[body.env] = body.metrics_endpoint
            await baseline.watch(
                conn,
                project.id,
                body.env,
                body.metrics_endpoint,
                first_at=project.created_at,
                interval_seconds=state.settings.baseline_interval_seconds,
            )
    state.waker.wake()
    return NewProjectAnswer(
        **_answer(project, endpoints).model_dump(), api_key=str(key), hmac_secret=hmac_secret
    )


@router.get("")
async def list_all(_operator: OperatorDep, conn: ConnectionDep) -> list[ProjectAnswer]:
    """Return every project by name."""
    return [_answer(project) for project in await projects.list_all(conn)]


@router.get("/{project_id}")
async def show(project_id: UUID, caller: ReaderDep, conn: ConnectionDep) -> ProjectAnswer:
    """Return a project with its targets by environment."""
    found = await targets.list_of(conn, project_id)
    return _answer(caller.project, {target.env: target.endpoint for target in found})


def _answer(project: Project, endpoints: dict[str, str] | None = None) -> ProjectAnswer:
    return ProjectAnswer(
        id=project.id,
        name=project.name,
        plan=project.plan.name,
        post_slots=project.post_slots,
        hmac=project.hmac,
        created_at=project.created_at,
        targets=endpoints,
    )
