"""A deployment is judged again: one new revision, and what was said before stays as it was."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from analytics import policy
from core.database import Connection, Pool
from core.errors import ConflictError
from core.types import Deployment
from scheduler import rejudging
from scheduler.judging import Policies, prepare
from sql import verdicts, windows
from tests.integration.test_judging import (
    BASELINE_SECONDS,
    POLICIES,
    broken_policy,
    judge_one,
    settle,
)

REFERENCE = Policies(policy.REFERENCE_V2)
COUNTS = """
SELECT (SELECT count(*) FROM verdicts) AS verdicts,
       (SELECT count(*) FROM former_verdicts) AS former,
       (SELECT count(*) FROM evidence) AS evidence,
       (SELECT count(*) FROM hints) AS hints,
       (SELECT count(*) FROM shadow_verdicts) AS shadows
"""


async def rejudge(
    pool: Pool, policies: Policies, baseline_seconds: float, deployment_id: UUID
) -> tuple[int, bool]:
    async with pool.acquire() as conn:
        return await rejudging.rejudge(conn, policies, baseline_seconds, deployment_id)


async def count(conn: Connection) -> dict[str, int]:
    row = await conn.fetchrow(COUNTS)
    assert row is not None
    return dict(row)


async def test_a_new_revision_is_the_newest_and_the_old_one_stays(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment, slowness=8.0)
    shadowed = Policies(policy.SEQPULSE_V1, (policy.find("slo"),))
    await judge_one(pool, deployment, shadowed)
    [first] = await conn.fetch("SELECT * FROM report.verdict_revisions")
    before = await verdicts.find(conn, deployment.id)
    asked = Policies(policy.REFERENCE_V2, (broken_policy(), policy.SEQPULSE_V1))
    assert await rejudge(pool, asked, BASELINE_SECONDS, deployment.id) == (2, True)
    old, new = await conn.fetch("SELECT * FROM report.verdict_revisions ORDER BY revision")
    kept = set(first.keys()) - {"newest", "superseded_at"}
    assert {name: old[name] for name in kept} == {name: first[name] for name in kept}
    assert (old["newest"], new["newest"], new["superseded_at"]) == (False, True, None)
    assert (old["policy"], new["policy"]) == ("seqpulse-v1", "reference-v2")
    assert len(old["evidence"]) == len(new["evidence"]) == 5
    assert old["hints"]
    assert [each["policy"] for each in old["shadows"]] == ["slo"]
    assert [each["policy"] for each in new["shadows"]] == ["seqpulse-v1"]
    after = await verdicts.find(conn, deployment.id)
    assert (before and before.policy, after and after.policy) == ("seqpulse-v1", "reference-v2")
    [shown] = await conn.fetch("SELECT * FROM report.deployment_overview")
    assert (shown["revision"], shown["policy"]) == (2, "reference-v2")


async def test_fifty_who_ask_at_once_make_one_revision(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment, slowness=8.0)
    await judge_one(pool, deployment)
    before = await count(conn)
    answers = await asyncio.gather(
        *(rejudge(pool, POLICIES, BASELINE_SECONDS, deployment.id) for _ in range(50))
    )
    assert sorted(answers) == [(2, False)] * 49 + [(2, True)]
    assert await count(conn) == {**before, "former": 1}
    rows = await conn.fetch("SELECT revision FROM report.verdict_revisions ORDER BY revision")
    assert [row["revision"] for row in rows] == [1, 2]


async def test_to_ask_again_makes_a_revision_only_if_something_differs(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    await judge_one(pool, deployment)
    for policies, expected in (
        (POLICIES, (2, True)),
        (POLICIES, (2, False)),
        (REFERENCE, (3, True)),
        (REFERENCE, (3, False)),
        (POLICIES, (4, True)),
    ):
        assert await rejudge(pool, policies, BASELINE_SECONDS, deployment.id) == expected


@pytest.mark.parametrize(
    "lost",
    [
        "DELETE FROM metric_samples",
        "DELETE FROM metric_samples WHERE phase = 'post' AND sequence_index = 2",
        "DELETE FROM metric_samples WHERE slot_at = (SELECT min(slot_at) FROM metric_samples)",
        "DELETE FROM metric_samples WHERE phase IS NULL",
    ],
)
async def test_without_its_samples_nothing_is_judged_again(
    conn: Connection, pool: Pool, deployment: Deployment, lost: str
) -> None:
    await settle(conn, deployment)
    await judge_one(pool, deployment)
    before = await conn.fetch("SELECT * FROM report.verdict_revisions")
    await conn.execute(lost)
    for policies in (POLICIES, REFERENCE):
        with pytest.raises(ConflictError, match="samples are not in the database"):
            await rejudge(pool, policies, BASELINE_SECONDS, deployment.id)
    assert await conn.fetch("SELECT * FROM report.verdict_revisions") == before


async def test_without_a_verdict_there_is_nothing_to_judge_again(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    with pytest.raises(ConflictError, match="no verdict yet"):
        await rejudge(pool, POLICIES, BASELINE_SECONDS, deployment.id)
    assert await conn.fetchval("SELECT count(*) FROM verdict_revisions") == 0


async def test_odd_numbers_of_the_old_one_are_kept(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
    [said] = prepare(material).judge(POLICIES.live)
    odd = replace(said.evidence[0], effect=math.inf, effect_low=1e308, p_value=5e-324)
    await verdicts.save(conn, [(replace(said, evidence=(odd, *said.evidence[1:])), [])])
    await rejudge(pool, POLICIES, BASELINE_SECONDS, deployment.id)
    kept = await conn.fetchrow(
        "SELECT (e).effect, (e).effect_low, (e).p_value FROM (SELECT "
        "jsonb_populate_recordset(NULL::evidence, evidence) AS e FROM former_verdicts) AS f "
        "WHERE (e).metric = $1",
        odd.metric,
    )
    assert kept is not None
    assert tuple(kept) == (math.inf, 1e308, 5e-324)


async def test_others_are_judged_by_what_was_known_of_it_then(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    """A neighbour was harmful when the next one was judged; that is so whatever is said later."""
    await settle(conn, deployment, slowness=8.0)
    await judge_one(pool, deployment)
    known_at = await conn.fetchval(
        "UPDATE verdicts SET as_of = (SELECT finished_at + interval '5 min' FROM deployments) "
        "RETURNING as_of"
    )
    later = await conn.fetchval(
        "INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, "
        "post_slots, slot_seconds) SELECT gen_random_uuid(), project_id, env, 'next', 'finished', "
        "$1::timestamptz, $1::timestamptz + interval '1 min', 5, 60 FROM deployments "
        "RETURNING id",
        known_at - timedelta(minutes=4),  # and its last slot is one minute after that moment
    )

    async def was_bad() -> list[bool]:
        material = await windows.load(conn, [later], BASELINE_SECONDS)
        return material.neighbours["bad"].to_list()

    assert await was_bad() == [True]
    assert await rejudge(pool, REFERENCE, BASELINE_SECONDS, deployment.id) == (2, True)
    await conn.execute("UPDATE verdicts SET verdict = 'ok'")
    assert await was_bad() == [True]
    await conn.execute("UPDATE verdicts SET as_of = $1", known_at)
    assert await was_bad() == [False]
