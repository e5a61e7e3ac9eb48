"""Trigger and finish, the two calls of CI."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request
from fastapi.exceptions import RequestValidationError
from structlog.contextvars import bind_contextvars

from api.auth import CiDep
from api.idempotency import read_key
from api.problems import Kind, ProblemError
from api.routes import Route
from api.schemas import (
    FinishAnswer,
    FinishBody,
    HeaderKey,
    TriggerAnswer,
    TriggerBody,
)
from api.state import ConnectionDep, State, StateDep
from core.codes import SourceKind
from core.errors import NotFoundError
from core.types import Deployment, Project
from scheduler import baseline, plan, queue
from sql import deployments, samples, targets
from sql.deployments import Begin

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/deployments", tags=["deployments"], route_class=Route)


@router.post("/trigger")
async def trigger(
    body: TriggerBody,
    request: Request,
    caller: CiDep,
    conn: ConnectionDep,
    state: StateDep,
    header_key: Annotated[HeaderKey | None, Header(alias="X-Idempotency-Key")] = None,
) -> TriggerAnswer:
    """Say that a deployment begins.

    `idempotency_key` (or the headers X-Idempotency-Key, Idempotency-Key) names the pipeline's run:
    a repeated trigger, or one while a deployment of this project and environment is under way,
    answers with the existing deployment. The target is read by a worker, never by this call. A
    project that pushes its samples names no endpoint.
    """
    project = caller.project
    async with conn.transaction():
        if body.metrics_endpoint is None:
            await _require_samples(conn, project, body.env)
        deployment, begin = await deployments.create(
            conn,
            project.id,
            env=body.env,
            branch=body.branch,
            idempotency_key=_idempotency_key(body.idempotency_key, header_key) or read_key(request),
            abandoned_seconds=state.settings.abandoned_seconds,
        )
        bind_contextvars(deployment_id=deployment.id)
        if begin is not Begin.EXISTING:
            source = await _watch(conn, deployment, body.metrics_endpoint, state)
            jobs = [plan.pre_job(deployment, state.settings.slot_seconds)]
            if source is SourceKind.PROMETHEUS:
                jobs.append(plan.backfill_job(deployment))
            await queue.enqueue(conn, jobs)
    state.waker.wake()
    if begin is not Begin.CREATED:
        message = f"this is deployment {deployment.id}, {deployment.state}: " + (
            "its pipeline never finished it, so it begins anew"
            if begin is Begin.RENEWED
            else "nothing was created"
        )
        return TriggerAnswer(deployment_id=deployment.id, status="existing", message=message)
    log.info("deployment_triggered")
    return TriggerAnswer(
        deployment_id=deployment.id,
        status="created",
        message=f"call finish once {project.name} is deployed to {body.env}",
    )


@router.post("/finish")
async def finish(
    body: FinishBody, caller: CiDep, conn: ConnectionDep, state: StateDep
) -> FinishAnswer:
    """Say that a deployment is rolled out; its post window begins now.

    A rollout that failed is observed too: what it left behind may hurt. An unknown deployment is
    answered with `not_found` (and 200, as the SDK expects); a repeated finish with `ignored`.
    """
    project = caller.project
    deployment_id = _parse_id(body.deployment_id)
    bind_contextvars(deployment_id=deployment_id)
    async with conn.transaction():
        deployment = deployment_id and await deployments.mark_finished(
            conn,
            deployment_id,
            project.id,
            result=body.result,
            post_slots=project.post_slots,
            slot_seconds=state.settings.slot_seconds,
        )
        if not deployment:
            return await _not_finished(conn, deployment_id, project)
        if body.metrics_endpoint is not None:
            await targets.put(conn, project.id, deployment.env, body.metrics_endpoint)
        pushed = await targets.find_source(conn, project.id, deployment.env) is None
        jobs = [*plan.post_jobs(deployment, pushed=pushed), plan.profile_job(deployment)]
        await queue.enqueue(conn, jobs)
    state.waker.wake()
    log.info("deployment_finished", result=body.result, post_slots=project.post_slots)
    minutes = project.post_slots * state.settings.slot_seconds / 60
    return FinishAnswer(
        status="accepted",
        message=f"observing {project.post_slots} slots; verdict in about {minutes:.3g} min at "
        f"/deployments/{deployment.id}/verdict",
    )


async def _require_samples(conn: ConnectionDep, project: Project, env: str) -> None:
    """Let a trigger without an endpoint pass if there is a target, or if samples are pushed.

    Raises:
        RequestValidationError: With nothing to judge by, the verdict would be worth nothing.
    """
    if await targets.find_source(conn, project.id, env) is not None:
        return
    if not await samples.has_any(conn, project.id, env):
        message = (
            f"needed, because {env} has no target yet and nothing was pushed for it "
            f"(POST /projects/{project.id}/samples)"
        )
        raise RequestValidationError(
            [{"type": "missing", "loc": ("body", "metrics_endpoint"), "msg": message}]
        )


async def _watch(
    conn: ConnectionDep, deployment: Deployment, endpoint: str | None, state: State
) -> SourceKind | None:
    """Collect the target from now on, if there is one; samples may be pushed instead.

    The `pre` sample covers the moment of the trigger itself.
    """
    if endpoint is None and not await targets.find_source(
        conn, deployment.project_id, deployment.env
    ):
        return None
    interval = state.settings.baseline_interval_seconds
    return await baseline.watch(
        conn,
        deployment.project_id,
        deployment.env,
        endpoint,
        first_at=deployment.triggered_at,
        interval_seconds=interval,
    )


async def _not_finished(
    conn: ConnectionDep, deployment_id: UUID | None, project: Project
) -> FinishAnswer:
    """Say why a finish changed nothing."""
    try:
        deployment = deployment_id and await deployments.find(conn, deployment_id, project.id)
    except NotFoundError:
        deployment = None
    if not deployment:
        message = "this project has no deployment with that id"
        return FinishAnswer(status="not_found", message=message)
    message = f"the deployment is {deployment.state} already: nothing was changed"
    return FinishAnswer(status="ignored", message=message)


def _idempotency_key(in_body: str | None, in_header: str | None) -> str | None:
    in_header = (in_header or "").strip() or None
    if in_body and in_header and in_body != in_header:
        raise ProblemError(
            Kind.INVALID,
            "idempotency_key: the body and the header X-Idempotency-Key disagree",
        )
    return in_body or in_header


def _parse_id(text: str) -> UUID | None:
    """Return an id, or None for a text that cannot be one of ours."""
    try:
        return UUID(text)
    except ValueError:
        return None
