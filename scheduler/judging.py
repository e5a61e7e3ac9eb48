"""Judging with the database: load what deployments are judged by, judge, store.

Live verdicts, `seqpulse judge` and `seqpulse replay` come this way: `load`, then the pure judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from analytics import hints, profile, windows
from analytics.judge import judge as pass_judgement
from analytics.policy import Policy
from core.database import Connection, Pool
from core.errors import InvalidInputError
from core.judgement import Judgement
from core.types import Hint
from scheduler.jobs import Outcome, Status
from scheduler.surroundings import look_around
from sql import verdicts
from sql import windows as stored
from sql.windows import Material

log = structlog.get_logger(__name__)

UNSETTLED_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Policies:
    """Who judges.

    Attributes:
        live: Its verdict counts.
        shadows: What they say is noted beside it.
    """

    live: Policy[Any]
    shadows: tuple[Policy[Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Cases:
    """What the pure judge takes.

    Attributes:
        windows: The windows of the deployments.
        as_of: The moment of each judgement.
        profiles: What is known of their services' history, by deployment id.
    """

    windows: windows.Windows
    as_of: Sequence[datetime]
    profiles: Mapping[str, profile.ServiceProfile]

    def judge(self, policy: Policy[Any]) -> list[Judgement]:
        """Return a judgement of each deployment, in order."""
        return pass_judgement(self.windows, policy, self.as_of, self.profiles)


def prepare(material: Material) -> Cases:
    """Cut what was loaded into windows."""
    opened = {packed: _open(packed) for packed in set(material.profiles.values())}
    known = {each: opened[packed] for each, packed in material.profiles.items()}
    cut = windows.split(material.deployments, material.samples, material.neighbours)
    as_of = material.deployments["as_of"].to_list()
    return Cases(cut, as_of, {each: found for each, found in known.items() if found is not None})


def _open(packed: bytes) -> profile.ServiceProfile | None:
    try:
        return profile.unpack(packed)
    except InvalidInputError:  # another version made it: judge as if there were none
        return None


async def judge(
    pool: Pool, policies: Policies, baseline_seconds: float, ids: Sequence[UUID]
) -> dict[UUID, Outcome]:
    """Judge deployments whose post windows are settled; store verdicts, evidence and hints.

    Args:
        pool: Connections.
        policies: Who judges.
        baseline_seconds: Length of the baseline window.
        ids: Deployments, distinct.

    Returns:
        How the job of each ends.
    """
    outcomes = dict.fromkeys(ids, Outcome(Status.FAILED, last_error="the deployment is gone"))
    async with pool.acquire() as conn:
        material = await stored.load(conn, ids, baseline_seconds)
        for settled, each in material.deployments.select("settled", "deployment_id").iter_rows():
            outcomes[UUID(each)] = Outcome(Status.COMPLETED) if settled else _unsettled()
        ready = material.deployments.filter("settled")
        if not ready.is_empty():
            await _save(conn, policies, replace(material, deployments=ready))
    return outcomes


def _unsettled() -> Outcome:
    # The safety deadline came before the slots were settled, say after an outage.
    return Outcome(
        Status.RETRY,
        retry_in_seconds=UNSETTLED_PAUSE_SECONDS,
        last_error="post slots are not settled yet",
    )


async def _save(conn: Connection, policies: Policies, material: Material) -> None:
    # In a thread: judging many takes long enough for the worker's loop to notice.
    cases = await asyncio.to_thread(prepare, material)
    judgements = await asyncio.to_thread(cases.judge, policies.live)
    around = await look_around(conn, material.deployments, judgements)
    judged = [(each, hints.diagnose(each, around[each.deployment_id])) for each in judgements]
    first = await verdicts.save(conn, judged, policies.live.digest)
    projects = material.deployments["project_id"]
    for (judgement, diagnosis), project_id in zip(judged, projects, strict=True):
        if judgement.deployment_id in first:
            _tell(judgement, diagnosis, project_id)
    for shadow in policies.shadows:
        try:
            said = await asyncio.to_thread(cases.judge, shadow)
            await verdicts.save_shadows(conn, said, shadow.digest)
        except Exception:  # whatever is wrong with a shadow, the live verdict stands
            log.exception("shadow_failed", policy=shadow.name)


def _tell(judgement: Judgement, diagnosis: Sequence[Hint], project_id: str) -> None:
    log.info(
        "verdict_saved",
        job_id=None,  # one job judges for many: its id is not that of each
        project_id=project_id,
        deployment_id=judgement.deployment_id,
        verdict=judgement.verdict,
        conclusive=judgement.conclusive,
        reason_code=judgement.reason_code,
        hints=[hint.rule for hint in diagnosis],
    )
