"""Lists for people and pipelines who look back: deployments, hints, revisions, samples."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from core.database import Connection
from core.errors import NotFoundError
from core.types import Deployment, DeploymentState, Severity, Verdict
from sql.texts import query

Row: TypeAlias = dict[str, Any]
"""A row by the names of its columns; the wire contract says their types."""

MAX_REVISIONS: Final = 100
MAX_SAMPLES: Final = 5_000


class Place(NamedTuple):
    """Where a page ended.

    Attributes:
        at: `triggered_at` of its last deployment.
        deployment_id: Its id.
        position: Of the last hint of it, in a list of hints.
    """

    at: datetime
    deployment_id: UUID
    position: int = -1


BEGIN: Final = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
"""Before the newest."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deployments; None: whichever.

    Attributes:
        since, until: Bounds of `triggered_at`; the second one is outside.
    """

    env: str | None = None
    branch: str | None = None
    state: DeploymentState | None = None
    verdict: Verdict | None = None
    conclusive: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


async def find_deployment(conn: Connection, project_id: UUID, deployment_id: UUID) -> Row:
    """Return a deployment of a project with what is said of it.

    Raises:
        NotFoundError: There is none, or it belongs to another project.
    """
    row = await conn.fetchrow(_text("deployment"), project_id, deployment_id)
    if row is None:
        raise NotFoundError(f"no deployment {deployment_id}")
    return dict(row)


async def list_deployments(
    conn: Connection, project_id: UUID, wanted: Wanted, after: Place, limit: int
) -> list[Row]:
    """Return deployments of a project, newest first, after a place in the list."""
    rows = await conn.fetch(
        _text("deployments"),
        project_id,
        wanted.env,
        wanted.branch,
        wanted.state,
        wanted.verdict,
        _since(wanted.since),
        wanted.until or BEGIN.at,
        after.at,
        after.deployment_id,
        wanted.conclusive,
        limit,
    )
    return [dict(row) for row in rows]


async def list_hints(
    conn: Connection,
    project_id: UUID,
    *,
    severity: Severity | None,
    env: str | None,
    rule: str | None,
    since: datetime | None,
    after: Place,
    limit: int,
) -> list[Row]:
    """Return hints of a project, those of the newest deployment first, after a place."""
    rows = await conn.fetch(
        query("lists.hints"),
        project_id,
        severity,
        env,
        rule,
        _since(since),
        after.at,
        after.deployment_id,
        after.position,
        limit,
    )
    return [dict(row) for row in rows]


async def list_revisions(conn: Connection, deployment_id: UUID) -> list[Row]:
    """Return what was ever said of a deployment, newest first, at most `MAX_REVISIONS`."""
    rows = await conn.fetch(query("lists.revisions"), deployment_id, MAX_REVISIONS)
    return [dict(row) for row in rows]


async def list_slots(
    conn: Connection, deployment: Deployment, baseline_seconds: float
) -> tuple[list[Row], list[Row]]:
    """Return samples and missed slots around a deployment, in order of time.

    Of each the latest `MAX_SAMPLES`.
    """
    since = deployment.triggered_at - timedelta(seconds=baseline_seconds)
    until = deployment.finished_at or deployment.triggered_at
    seconds = (deployment.post_slots or 0) * (deployment.slot_seconds or 0)
    arguments = (
        deployment.project_id,
        deployment.env,
        deployment.id,
        since,
        until + timedelta(seconds=seconds),
        deployment.triggered_at,
        MAX_SAMPLES,
    )
    samples = await conn.fetch(query("lists.samples"), *arguments)
    missed = await conn.fetch(query("lists.missed"), *arguments)
    return [dict(row) for row in reversed(samples)], [dict(row) for row in reversed(missed)]


@cache
def _text(name: str) -> str:
    return query(f"lists.{name}").format(seen=query("lists.seen"))


def _since(moment: datetime | None) -> datetime:
    return moment or datetime.min.replace(tzinfo=UTC)
