"""Looking back: the deployments of a project, their samples and revisions, and its hints."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from api import cursors
from api.answers import ListedAnswer, RevisionAnswer, SlotsAnswer
from api.auth import ProjectDep
from api.cursors import Cursor, Limit
from api.routes import Route
from api.schemas import EnvName, HintAnswer, ProjectHintAnswer
from api.state import ConnectionDep, StateDep
from core.types import DeploymentState, Severity, Verdict
from sql import deployments, lists
from sql.lists import Place, Wanted

router = APIRouter(tags=["lookups"], route_class=Route)

Name = Annotated[str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


def _check_form(text: str) -> str:
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]", text):
        raise ValueError("must be a moment of ISO 8601 with an offset from UTC")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be of the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_check_form), AfterValidator(_in_utc)]
Since = Annotated[Moment | None, Query(description="triggered at this moment or later")]
Until = Annotated[Moment | None, Query(description="triggered before this moment")]


@router.get("/deployments")
async def list_deployments(
    request: Request,
    response: Response,
    project: ProjectDep,
    conn: ConnectionDep,
    state: StateDep,
    env: EnvName | None = None,
    branch: Name = None,
    status: Annotated[DeploymentState | None, Query(alias="state")] = None,
    verdict: Verdict | None = None,
    conclusive: bool | None = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[ListedAnswer]:
    """Return deployments of the project, newest first; the header Link leads to the next page.

    A page stays right while deployments arrive: they are newer, so they are on the first one.
    """
    wanted = Wanted(env, branch, status, verdict, conclusive, since, until)
    after = cursors.read(state.vault, cursor)
    rows = await lists.list_deployments(conn, project.id, wanted, after, limit + 1)
    if len(rows) > limit:
        last = rows[limit - 1]
        place = Place(last["triggered_at"], last["id"])
        cursors.link_next(request, response, cursors.write(state.vault, place))
    return [ListedAnswer.model_validate(row) for row in rows[:limit]]


@router.get("/deployments/{deployment_id}")
async def show(deployment_id: UUID, project: ProjectDep, conn: ConnectionDep) -> ListedAnswer:
    """Return a deployment with the essence of its verdict."""
    return ListedAnswer.model_validate(await lists.find_deployment(conn, project.id, deployment_id))


@router.get("/deployments/{deployment_id}/samples")
async def list_samples(
    deployment_id: UUID, project: ProjectDep, conn: ConnectionDep, state: StateDep
) -> SlotsAnswer:
    """Return what was collected around a deployment, and what could not be.

    Its baseline window, the `pre` sample and the post window.
    """
    deployment = await deployments.find(conn, deployment_id, project.id)
    seconds = state.settings.baseline_window_seconds
    samples, missed = await lists.list_slots(conn, deployment, seconds)
    return SlotsAnswer.model_validate(
        {"deployment_id": deployment_id, "samples": samples, "missed": missed}
    )


@router.get("/deployments/{deployment_id}/revisions")
async def list_revisions(
    deployment_id: UUID, project: ProjectDep, conn: ConnectionDep
) -> list[RevisionAnswer]:
    """Return everything that was ever said of a deployment, newest first, at most 100 revisions."""
    await deployments.find(conn, deployment_id, project.id)
    rows = await lists.list_revisions(conn, deployment_id)
    return [RevisionAnswer.model_validate(row) for row in rows]


@router.get("/sdh")
async def list_hints(
    request: Request,
    response: Response,
    project: ProjectDep,
    conn: ConnectionDep,
    state: StateDep,
    severity: Severity | None = None,
    env: EnvName | None = None,
    rule: Name = None,
    since: Since = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> list[ProjectHintAnswer]:
    """Return composite diagnoses (SDH hints) of the project, those of the newest deployment first.

    The header Link leads to the next page.
    """
    rows = await lists.list_hints(
        conn,
        project.id,
        severity=severity,
        env=env,
        rule=rule,
        since=since,
        after=cursors.read(state.vault, cursor),
        limit=limit + 1,
    )
    if len(rows) > limit:
        last = rows[limit - 1]
        place = Place(last["triggered_at"], last["deployment_id"], last["position"])
        cursors.link_next(request, response, cursors.write(state.vault, place))
    return [
        ProjectHintAnswer.model_validate({**row, "hint": HintAnswer.model_validate(row)})
        for row in rows[:limit]
    ]
