"""Judging with the database: load what deployments are judged by, judge, store.

Live verdicts, `seqpulse judge` and `seqpulse replay` come this way: `load`, then the pure judge.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Final
from uuid import UUID

import numpy as np
import polars as pl
import structlog

from analytics import hints, profile, windows
from analytics.blocks import NEVER, Readings, count_microseconds
from analytics.judge import judge as pass_judgement
from analytics.policy import Policy
from core.database import Connection, Pool
from core.errors import InvalidInputError
from core.judgement import Judgement
from core.types import METRICS, Hint, Verdict
from scheduler import notifying, plan, queue
from scheduler.jobs import Outcome, Status
from scheduler.surroundings import look_around
from scheduler.telemetry import Telemetry
from sql import deployments, targets, verdicts
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
        as_of: The moment of each judgement (a column: as objects they would cost replay much).
        profiles: What is known of their services' history, by deployment id.
    """

    windows: windows.Windows
    as_of: pl.Series
    profiles: Mapping[str, profile.ServiceProfile]

    def judge(self, policy: Policy[Any]) -> list[Judgement]:
        """Return a judgement of each deployment, in order."""
        return pass_judgement(self.windows, policy, self.as_of.to_list(), self.profiles)


def prepare(material: Material) -> Cases:
    """Cut what was loaded into windows."""
    opened = {packed: _open(packed) for packed in set(material.profiles.values())}
    known = {each: opened[packed] for each, packed in material.profiles.items()}
    cut = windows.split(material.deployments, _read(material.samples), material.neighbours)
    as_of = material.deployments["as_of"]
    return Cases(cut, as_of, {each: found for each, found in known.items() if found is not None})


def _read(samples: pl.DataFrame) -> Readings:
    return Readings(
        row=samples["row"].to_numpy(),
        phase=samples["phase"].to_numpy(),
        slot_us=count_microseconds(samples["slot_at"]),
        sequence_index=samples["sequence_index"].to_numpy(),
        source_us=np.full(samples.height, NEVER),
        values=np.stack([samples[name].to_numpy() for name in METRICS]),
    )


def _open(packed: bytes) -> profile.ServiceProfile | None:
    try:
        return profile.unpack(packed)
    except InvalidInputError:  # another version made it: judge as if there were none
        return None


async def judge(
    pool: Pool,
    policies: Policies,
    baseline_seconds: float,
    ids: Sequence[UUID],
    telemetry: Telemetry | None = None,
) -> dict[UUID, Outcome]:
    """Judge deployments whose post windows are settled; store verdicts, evidence and hints.

    An ok that could not have seen a real regression is not stored: the window is extended, once,
    and what is found after that is stored whatever it is.

    Args:
        pool: Connections.
        policies: Who judges.
        baseline_seconds: Length of the baseline window.
        ids: Deployments, distinct.
        telemetry: Counts what is stored.

    Returns:
        How the job of each ends.
    """
    telemetry = telemetry or Telemetry()
    outcomes = dict.fromkeys(ids, Outcome(Status.FAILED, last_error="the deployment is gone"))
    began = time.perf_counter()
    async with pool.acquire() as conn:
        material = await stored.load(conn, ids, baseline_seconds)
        for settled, each in material.deployments.select("settled", "deployment_id").iter_rows():
            outcomes[UUID(each)] = Outcome(Status.COMPLETED) if settled else _unsettled()
        ready = material.settled()
        if not ready.deployments.is_empty():
            for unsure in await _decide(conn, policies, ready, telemetry):
                await _extend(conn, unsure)
            telemetry.analysis_duration.observe(time.perf_counter() - began)
    return outcomes


async def judge_past(
    pool: Pool, policies: Policies, baseline_seconds: float, ids: Sequence[UUID]
) -> list[UUID]:
    """Judge deployments of the past as if it were the moment after their last post slot.

    Nothing is extended: that is for the caller, who knows what the further slots would have seen.

    Args:
        pool: Connections.
        policies: Who judges.
        baseline_seconds: Length of the baseline window.
        ids: Finished deployments, no two of one service: they must not be news to each other.

    Returns:
        Those whose window the live judge would have extended; they have no verdict yet.
    """
    async with pool.acquire() as conn:
        material = await stored.load(conn, ids, baseline_seconds)
        length = pl.duration(microseconds=(pl.col("post_slots") - 1) * pl.col("slot_seconds") * 1e6)
        as_of = pl.col("finished_at") + length + pl.duration(seconds=1)
        then = material.deployments.with_columns(as_of=as_of)
        past = replace(material, deployments=then)
        return await _decide(conn, policies, past, Telemetry())


def _unsettled() -> Outcome:
    # The safety deadline came before the slots were settled, say after an outage.
    return Outcome(
        Status.RETRY,
        retry_in_seconds=UNSETTLED_PAUSE_SECONDS,
        last_error="post slots are not settled yet",
    )


async def _decide(
    conn: Connection, policies: Policies, material: Material, telemetry: Telemetry
) -> list[UUID]:
    """Store what is final; return the deployments that want a longer window first."""
    # In a thread: judging many takes long enough for the worker's loop to notice.
    cases = await asyncio.to_thread(prepare, material)
    judgements = await asyncio.to_thread(cases.judge, policies.live)
    extended = material.deployments["extended"]
    final = [done or not _is_blind(said) for done, said in zip(extended, judgements, strict=True)]
    if any(final):
        live = list(compress(judgements, final))
        theirs = material.deployments.filter(final)
        for judgement, diagnosis in await _save(conn, policies.live, theirs, live):
            telemetry.judge(judgement, diagnosis)
        for shadow in policies.shadows:
            await _save_shadow(conn, shadow, cases, final)
    return [
        said.deployment_id for said, is_final in zip(judgements, final, strict=True) if not is_final
    ]


def _is_blind(judgement: Judgement) -> bool:
    """Whether it is an ok that could not have seen a real regression."""
    return judgement.verdict is Verdict.OK and not judgement.conclusive


async def _save(
    conn: Connection,
    policy: Policy[Any],
    theirs: pl.DataFrame,
    judgements: Sequence[Judgement],
) -> list[tuple[Judgement, tuple[Hint, ...]]]:
    """Store verdicts and return those that are the first of their deployments."""
    around = await look_around(conn, theirs, judgements)
    judged = [(each, hints.diagnose(each, around[each.deployment_id])) for each in judgements]
    async with conn.transaction():
        first = await verdicts.save(conn, judged, policy.digest)
        await notifying.announce(conn, list(first))
    for (judgement, diagnosis), project_id in zip(judged, theirs["project_id"], strict=True):
        if judgement.deployment_id in first:
            _tell(judgement, diagnosis, project_id)
    return [said for said in judged if said[0].deployment_id in first]


async def _save_shadow(
    conn: Connection, shadow: Policy[Any], cases: Cases, final: Sequence[bool]
) -> None:
    try:
        said = await asyncio.to_thread(cases.judge, shadow)
        await verdicts.save_shadows(conn, list(compress(said, final)), shadow.digest)
    except Exception:  # whatever is wrong with a shadow, the live verdict stands
        log.exception("shadow_failed", policy=shadow.name)


async def _extend(conn: Connection, deployment_id: UUID) -> None:
    """Plan as many post slots again, and another judge; once, whoever else tries.

    Nobody is woken: the worker that settles this judge learns then when the next slot is due.
    """
    async with conn.transaction():
        deployment = await deployments.extend(conn, deployment_id)
        if deployment is None or deployment.post_slots is None:
            return
        source = await targets.find_source(conn, deployment.project_id, deployment.env)
        planned = deployment.post_slots // 2
        await queue.enqueue(conn, plan.post_jobs(deployment, pushed=source is None, first=planned))
    log.info(
        "window_extended",
        job_id=None,
        project_id=deployment.project_id,
        deployment_id=deployment.id,
        post_slots=deployment.post_slots,
    )


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
