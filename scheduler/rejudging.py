"""Judging a deployment again, because somebody asks: a new revision, and the old one stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import structlog

from analytics import hints
from core.database import Connection
from core.errors import ConflictError
from core.judgement import Evidence, Judgement
from core.types import Hint
from scheduler import notifying
from scheduler.judging import Cases, Policies, prepare
from scheduler.surroundings import look_around
from sql import verdicts, windows
from sql.windows import Material

log = structlog.get_logger(__name__)

NO_VERDICT: Final = "there is no verdict yet, so there is nothing to judge again"
GONE: Final = (
    "its samples are not in the database any more, at least not all that the verdict rests on: "
    "restore their days from the archive first (see docs/archive.md)"
)


async def rejudge(
    conn: Connection, policies: Policies, baseline_seconds: float, deployment_id: UUID
) -> tuple[int, bool]:
    """Judge a deployment again by the samples it was judged by.

    To be asked again is answered by the revision that is there: where somebody has judged again
    already, another revision is made only if it differs in its policy or in what it says. So of
    many who ask at once one makes a revision, and the others, who wait for it, find it.

    Args:
        conn: Connection; everything happens in one transaction of it.
        policies: Who judges; shadows that fail are left out.
        baseline_seconds: Length of the baseline window.
        deployment_id: Which deployment.

    Returns:
        The newest revision, and whether it was made now.

    Raises:
        ConflictError: There is no verdict yet, or its samples are gone.
    """
    async with conn.transaction():
        locked = await verdicts.lock(conn, deployment_id)
        before = await verdicts.find(conn, deployment_id)
        if locked is None or before is None:
            raise ConflictError(NO_VERDICT)
        revision, digest = locked
        material = await windows.load(conn, [deployment_id], baseline_seconds)
        cases, said = await asyncio.to_thread(_judge, material, policies)
        if _has_lost(before.evidence, said.evidence):
            raise ConflictError(GONE)
        around = await look_around(conn, material.deployments, [said])
        diagnosis = hints.diagnose(said, around[deployment_id])
        known = await verdicts.find_hints(conn, deployment_id)
        same = digest == policies.live.digest and _says_the_same(before, known, said, diagnosis)
        if same and revision > 1:
            return revision, False
        revision = await verdicts.revise(conn, said, diagnosis, policies.live.digest)
        await _save_shadows(conn, policies, cases)
        await notifying.announce(conn, [deployment_id])
    log.info(
        "verdict_revised",
        project_id=material.deployments["project_id"].item(),
        deployment_id=deployment_id,
        revision=revision,
        policy=said.policy,
        verdict=said.verdict,
        before=before.verdict,
    )
    return revision, True


def _judge(material: Material, policies: Policies) -> tuple[Cases, Judgement]:
    cases = prepare(material)
    [said] = cases.judge(policies.live)
    return cases, said


def _has_lost(before: Sequence[Evidence], now: Sequence[Evidence]) -> bool:
    """Whether there are fewer samples than there were, or another baseline takes their place."""
    found = {each.metric: each for each in now}
    return any(
        found[each.metric].baseline_source != each.baseline_source
        or found[each.metric].baseline_n < each.baseline_n
        or found[each.metric].post_n < each.post_n
        for each in before
    )


def _says_the_same(
    before: Judgement, known: Sequence[Hint], said: Judgement, diagnosis: Sequence[Hint]
) -> bool:
    return replace(before, as_of=said.as_of) == said and list(known) == list(diagnosis)


async def _save_shadows(conn: Connection, policies: Policies, cases: Cases) -> None:
    for shadow in policies.shadows:
        try:
            said = await asyncio.to_thread(cases.judge, shadow)
        except Exception:  # whatever is wrong with a shadow, the live verdict stands
            log.exception("shadow_not_asked_again", policy=shadow.name)
            continue
        await verdicts.save_shadows(conn, said, shadow.digest)
