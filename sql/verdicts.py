"""Verdicts with their evidence and hints, written once and together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from core.database import Connection
from core.judgement import Evidence, Judgement
from core.types import METRICS, Attribution, Hint, Metric, Severity, Verdict
from sql.texts import query


@dataclass(frozen=True, slots=True)
class ProjectHint:
    """A hint with the deployment it belongs to."""

    deployment_id: UUID
    env: str
    branch: str
    finished_at: datetime
    verdict: Verdict
    hint: Hint


async def save(conn: Connection, judgement: Judgement, hints: Sequence[Hint]) -> bool:
    """Store a verdict with evidence and hints and mark the deployment analyzed, all or nothing.

    Returns:
        False if the deployment has a verdict already; then nothing is written.
    """
    async with conn.transaction():
        first = await conn.fetchval(
            query("verdicts.insert"),
            judgement.deployment_id,
            judgement.policy,
            judgement.verdict,
            judgement.conclusive,
            judgement.reason_code,
            judgement.confidence,
            judgement.coverage_ratio,
            judgement.as_of,
        )
        if first is None:
            return False
        await conn.executemany(query("verdicts.insert_evidence"), _evidence_rows(judgement))
        await conn.executemany(
            query("verdicts.insert_hint"), _hint_rows(judgement.deployment_id, hints)
        )
        await conn.execute(query("deployments.mark_analyzed"), judgement.deployment_id)
    return True


async def find(conn: Connection, deployment_id: UUID) -> Judgement | None:
    """Return the verdict of a deployment with its evidence in metric order, or None."""
    row = await conn.fetchrow(query("verdicts.find"), deployment_id)
    if row is None:
        return None
    rows = await conn.fetch(query("verdicts.evidence"), deployment_id)
    return Judgement(
        deployment_id=deployment_id,
        policy=row["policy"],
        verdict=Verdict(row["verdict"]),
        conclusive=row["conclusive"],
        reason_code=row["reason_code"],
        confidence=row["confidence"],
        coverage_ratio=row["coverage_ratio"],
        evidence=tuple(
            _evidence(item) for item in sorted(rows, key=lambda item: METRICS.index(item["metric"]))
        ),
        as_of=row["as_of"],
    )


async def find_hints(conn: Connection, deployment_id: UUID) -> list[Hint]:
    """Return the hints of a deployment, most important first."""
    return [_hint(row) for row in await conn.fetch(query("verdicts.hints"), deployment_id)]


async def project_hints(
    conn: Connection,
    project_id: UUID,
    *,
    severity: Severity | None = None,
    env: str | None = None,
    limit: int = 100,
) -> list[ProjectHint]:
    """Return the latest hints of a project, newest deployment first."""
    rows = await conn.fetch(query("verdicts.project_hints"), project_id, severity, env, limit)
    return [
        ProjectHint(
            deployment_id=row["deployment_id"],
            env=row["env"],
            branch=row["branch"],
            finished_at=row["finished_at"],
            verdict=Verdict(row["verdict"]),
            hint=_hint(row),
        )
        for row in rows
    ]


def _evidence_rows(judgement: Judgement) -> list[tuple[object, ...]]:
    return [
        (
            judgement.deployment_id,
            evidence.metric,
            evidence.baseline_source,
            evidence.baseline_n,
            evidence.post_n,
            evidence.expected,
            evidence.observed,
            evidence.threshold,
            evidence.exceedance_ratio,
            evidence.tolerance_ratio,
            evidence.failed,
            evidence.attribution,
        )
        for evidence in judgement.evidence
    ]


def _hint_rows(deployment_id: UUID, hints: Sequence[Hint]) -> list[tuple[object, ...]]:
    return [
        (
            deployment_id,
            position,
            hint.rule,
            hint.severity,
            hint.title,
            hint.diagnosis,
            list(hint.actions),
            list(hint.metrics),
        )
        for position, hint in enumerate(hints)
    ]


def _evidence(row: asyncpg.Record) -> Evidence:
    attribution = row["attribution"]
    return Evidence(
        metric=Metric(row["metric"]),
        baseline_source=row["baseline_source"],
        baseline_n=row["baseline_n"],
        post_n=row["post_n"],
        expected=row["expected"],
        observed=row["observed"],
        threshold=row["threshold"],
        exceedance_ratio=row["exceedance_ratio"],
        tolerance_ratio=row["tolerance_ratio"],
        failed=row["failed"],
        attribution=None if attribution is None else Attribution(attribution),
    )


def _hint(row: asyncpg.Record) -> Hint:
    return Hint(
        rule=row["rule"],
        severity=Severity(row["severity"]),
        title=row["title"],
        diagnosis=row["diagnosis"],
        actions=tuple(row["actions"]),
        metrics=tuple(Metric(name) for name in row["metrics"]),
    )
