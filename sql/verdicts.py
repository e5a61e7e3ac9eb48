"""Verdicts with their evidence and hints, written together; shadows beside them.

The tables hold the newest revision of each. What was said before lies in `former_verdicts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from core.database import Connection
from core.errors import ConflictError
from core.judgement import Direction, Evidence, Judgement, Pattern
from core.types import METRICS, Attribution, Hint, Metric, Severity, Verdict
from sql.texts import query

EVIDENCE = tuple(field.name for field in fields(Evidence))
ENUMS = {"metric": Metric, "attribution": Attribution, "direction": Direction, "pattern": Pattern}


@dataclass(frozen=True, slots=True)
class ShadowVerdict:
    """What another policy said of a deployment, at the same moment."""

    policy: str
    verdict: Verdict
    conclusive: bool
    reason_code: str
    confidence: float
    failed_metrics: tuple[Metric, ...]


async def save(
    conn: Connection,
    judged: Sequence[tuple[Judgement, Sequence[Hint]]],
    policy_digest: str | None = None,
) -> set[UUID]:
    """Store verdicts with evidence and hints and mark the deployments analyzed, all or nothing.

    Args:
        conn: Connection.
        judged: Judgements, each with its hints, most important first.
        policy_digest: Content of the policy that judged them all.

    Returns:
        The deployments that had no verdict before; of the others nothing is written.
    """
    rows = await conn.fetch(query("verdicts.insert"), *_pack(judged, policy_digest))
    return {row["deployment_id"] for row in rows}


async def lock(conn: Connection, deployment_id: UUID) -> tuple[int, str | None] | None:
    """Return revision and policy digest of a verdict, or None; others who lock it wait.

    Args:
        conn: Connection, in a transaction: it ends the lock.
        deployment_id: Which deployment.
    """
    row = await conn.fetchrow(query("verdicts.lock"), deployment_id)
    return None if row is None else (row["revision"], row["policy_digest"])


async def revise(
    conn: Connection, judgement: Judgement, hints: Sequence[Hint], policy_digest: str
) -> int:
    """Store the next revision of a verdict that is locked; what was said before is set aside.

    Returns:
        Its number.
    """
    await conn.execute(query("verdicts.set_aside"), judgement.deployment_id)
    packed = _pack([(judgement, hints)], policy_digest)
    revision: int = await conn.fetchval(query("verdicts.revise"), *packed)
    return revision


async def save_shadows(
    conn: Connection, judgements: Sequence[Judgement], policy_digest: str | None = None
) -> None:
    """Store what a shadow policy said; what is stored already stays."""
    rows = (_shadow_row(judgement, policy_digest) for judgement in judgements)
    await conn.execute(query("verdicts.insert_shadows"), _json(rows))


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
        quality_ratio=row["quality_ratio"],
        penalties=tuple(row["penalties"]),
        confounders=tuple(row["confounders"]),
        decided_at=row["decided_at"],
        profile_until=row["profile_until"],
    )


async def find_hints(conn: Connection, deployment_id: UUID) -> list[Hint]:
    """Return the hints of a deployment, most important first."""
    return [_hint(row) for row in await conn.fetch(query("verdicts.hints"), deployment_id)]


async def find_shadows(conn: Connection, deployment_id: UUID) -> list[ShadowVerdict]:
    """Return what shadow policies said of a deployment, by name."""
    return [
        ShadowVerdict(
            policy=row["policy"],
            verdict=Verdict(row["verdict"]),
            conclusive=row["conclusive"],
            reason_code=row["reason_code"],
            confidence=row["confidence"],
            failed_metrics=tuple(Metric(name) for name in row["failed_metrics"]),
        )
        for row in await conn.fetch(query("verdicts.shadows"), deployment_id)
    ]


async def put_feedback(
    conn: Connection,
    deployment_id: UUID,
    *,
    harmful: bool | None = None,
    right: bool | None = None,
    given_by: str,
    rolled_back_by: str | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Note what somebody says of a deployment; the last word counts.

    Args:
        conn: Connection.
        deployment_id: Which deployment.
        harmful: Whether it did harm; None: as `right` and the verdict tell.
        right: Whether the verdict was right: an alarm that was, or an ok that was not, was about a
            harmful deployment.
        given_by: Who says so.
        rolled_back_by: Who or what rolled it back.
        note: In their own words.

    Returns:
        The row.

    Raises:
        ConflictError: There is no verdict that could be right or wrong.
    """
    row = await conn.fetchrow(
        query("verdicts.put_feedback"),
        deployment_id,
        harmful,
        right,
        given_by,
        rolled_back_by,
        note,
    )
    if row is None:
        raise ConflictError("there is no verdict yet that could be right or wrong")
    return dict(row)


def _pack(
    judged: Sequence[tuple[Judgement, Sequence[Hint]]], policy_digest: str | None
) -> tuple[str, str, str]:
    """Return rows of verdicts, evidence and hints."""
    return (
        _json(_verdict_row(judgement, policy_digest) for judgement, _ in judged),
        _json(row for judgement, _ in judged for row in _evidence_rows(judgement)),
        _json(row for judgement, hints in judged for row in _hint_rows(judgement, hints)),
    )


def _json(rows: Iterable[dict[str, object]]) -> str:
    # As text, because JSON has no infinity; the columns' types read it back.
    return to_json(list(rows), inf_nan_mode="strings").decode()


def _verdict_row(judgement: Judgement, policy_digest: str | None) -> dict[str, object]:
    names = (field.name for field in fields(Judgement) if field.name != "evidence")
    return {"policy_digest": policy_digest, **{name: getattr(judgement, name) for name in names}}


def _evidence_rows(judgement: Judgement) -> Iterable[dict[str, object]]:
    for evidence in judgement.evidence:
        values = {name: getattr(evidence, name) for name in EVIDENCE}
        yield {"deployment_id": judgement.deployment_id, **values}


def _hint_rows(judgement: Judgement, hints: Sequence[Hint]) -> Iterable[dict[str, object]]:
    for position, hint in enumerate(hints):
        values = {field.name: getattr(hint, field.name) for field in fields(Hint)}
        yield {"deployment_id": judgement.deployment_id, "position": position, **values}


def _shadow_row(judgement: Judgement, policy_digest: str | None) -> dict[str, object]:
    failed = [evidence.metric for evidence in judgement.evidence if evidence.failed]
    return {**_verdict_row(judgement, policy_digest), "failed_metrics": failed}


def _evidence(row: asyncpg.Record) -> Evidence:
    values = {name: row[name] for name in EVIDENCE}
    named = {name: enum(values[name]) for name, enum in ENUMS.items() if values[name] is not None}
    return Evidence(**{**values, **named})


def _hint(row: asyncpg.Record) -> Hint:
    return Hint(
        rule=row["rule"],
        severity=Severity(row["severity"]),
        title=row["title"],
        diagnosis=row["diagnosis"],
        actions=tuple(row["actions"]),
        metrics=tuple(Metric(name) for name in row["metrics"]),
    )
