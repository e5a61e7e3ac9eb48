"""What comes after a verdict: it is judged again, and people say whether it was right."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response
from fastapi.exceptions import RequestValidationError

from analytics import policy
from api.answers import FeedbackAnswer, FeedbackBody, RejudgeBody
from api.auth import AdminDep, CiDep
from api.routes import Route
from api.schemas import VerdictAnswer
from api.state import ConnectionDep, StateDep, connecting
from api.verdicts import respond
from core.errors import NotFoundError
from core.settings import Settings
from scheduler.judging import Policies
from scheduler.rejudging import rejudge
from sql import deployments, lookups, verdicts

router = APIRouter(prefix="/deployments", tags=["verdicts"], route_class=Route)

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Somebody judged it again already, and the same would be said"},
    201: {"model": VerdictAnswer, "description": "The new revision"},
}


@router.post("/{deployment_id}/rejudge", response_model=VerdictAnswer, responses=ANSWERS)
async def judge_again(
    request: Request,
    deployment_id: UUID,
    caller: AdminDep,
    state: StateDep,
    body: Annotated[RejudgeBody | None, Body()] = None,
) -> Response:
    """Judge a deployment again by the samples it was judged by; the old verdict is kept.

    The policy is the configured one, or another one that is shipped or configured. 201 and the new
    revision; 200 and the newest one where somebody has judged again already and the same would be
    said: so many who ask at once make one. 409 if there is no verdict yet, or its samples are gone.
    """
    policies = _choose(state.settings, None if body is None else body.policy)
    seconds = state.settings.baseline_window_seconds
    # One at a time, and who waits for a turn holds no connection meanwhile.
    with state.rejudges.take(str(caller.project.id)):
        async with state.turn, connecting(request, state) as conn:
            await deployments.find(conn, deployment_id, caller.project.id)
            _, made = await rejudge(conn, policies, seconds, deployment_id)
            answer = (await lookups.find_answers(conn, [deployment_id])).get(deployment_id)
    if made:
        state.waker.wake()  # somebody may have to be told
    if answer is None:
        raise NotFoundError(f"no deployment {deployment_id}")
    return respond(answer, status=HTTPStatus.CREATED if made else HTTPStatus.OK)


@router.post("/{deployment_id}/feedback")
async def say(
    deployment_id: UUID, body: FeedbackBody, caller: CiDep, conn: ConnectionDep
) -> FeedbackAnswer:
    """Say whether a deployment did harm, or whether its verdict was right; the last word counts.

    409 if `right` is said of a deployment without a verdict.
    """
    await deployments.find(conn, deployment_id, caller.project.id)
    row = await verdicts.put_feedback(conn, deployment_id, **body.model_dump())
    return FeedbackAnswer.model_validate(row)


def _choose(settings: Settings, wanted: str | None) -> Policies:
    """Return who judges.

    Raises:
        RequestValidationError: There is no policy of this name. A file is never taken from outside.
    """
    live = policy.choose(settings.policy)
    shadows = [policy.choose(each) for each in settings.shadow_policies]
    if wanted is not None:
        known = {each.name: each for each in (*policy.POLICIES.values(), *shadows, live)}
        if wanted not in known:
            message = f"not one of {', '.join(sorted(known))}"
            raise RequestValidationError(
                [{"type": "value_error", "loc": ("body", "policy"), "msg": message}]
            )
        live = known[wanted]
    return Policies(live, tuple(each for each in shadows if each.name != live.name))
