"""Judging with a real database: what is loaded and stored, and that the past stays the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from analytics import policy
from analytics.compare import Comparison
from analytics.policy import Policy
from core.database import Connection, Pool
from core.ids import new_id
from core.types import Deployment, Project
from scheduler import judging, profiling
from scheduler.jobs import Outcome, Status
from scheduler.replay import replay
from scheduler.surroundings import look_around
from sql import deployments, history, profiles, verdicts, windows

BASELINE_SECONDS = 1800.0
POLICIES = judging.Policies(policy.SEQPULSE_V1)
GENERATE = (Path(__file__).parent / "many_deployments.sql").read_text()


async def generate(conn: Connection, services: int, each: int) -> list[UUID]:
    """Fill the database with a past: gaps, failures, neighbours, services without a baseline."""
    await conn.execute("SELECT setseed(0.5)")
    await conn.execute(GENERATE.replace(":services", str(services)).replace(":each", str(each)))
    rows = await conn.fetch("SELECT id FROM deployments ORDER BY triggered_at, id")
    return [row["id"] for row in rows]


EXTENDED = """
WITH d AS (
    UPDATE deployments
       SET extended_at = finished_at
                         + make_interval(secs => (post_slots / 2 - 1) * slot_seconds + 1)
     WHERE id = ANY($1) AND extended_at IS NOT NULL
    RETURNING *
), again AS (
    INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                                sequence_index, requests_per_sec, latency_p95, error_rate,
                                cpu_usage, memory_usage)
    SELECT m.slot_at + s.length, m.collected_at + s.length, m.project_id, m.env, d.id, m.phase,
           m.sequence_index + d.post_slots / 2, m.requests_per_sec, m.latency_p95, m.error_rate,
           m.cpu_usage, m.memory_usage
      FROM d
      JOIN metric_samples AS m ON m.deployment_id = d.id AND m.phase = 'post'
     CROSS JOIN LATERAL (
           SELECT make_interval(secs => d.post_slots / 2 * d.slot_seconds) AS length
         ) AS s
    ON CONFLICT DO NOTHING
)
SELECT id FROM d
"""
"""When a window was extended, and that what follows is like what was."""


async def judge_lot(pool: Pool, policies: judging.Policies, ids: list[UUID]) -> None:
    outcomes = await judging.judge(pool, policies, BASELINE_SECONDS, ids)
    assert {outcome.status for outcome in outcomes.values()} <= {Status.COMPLETED}


async def judge_all(conn: Connection, pool: Pool, policies: judging.Policies = POLICIES) -> None:
    """Judge the past in its order, each deployment right after its last post slot."""
    rows = await conn.fetch(
        "SELECT array_agg(id) FROM (SELECT id, row_number() OVER (PARTITION BY project_id "
        "ORDER BY triggered_at) AS nth FROM deployments) AS d GROUP BY nth ORDER BY nth"
    )
    for (ids,) in rows:
        await judge_lot(pool, policies, ids)
        extended = await conn.fetch(EXTENDED, ids)
        await conn.execute("DELETE FROM scheduled_jobs")
        await judge_lot(pool, policies, [row["id"] for row in extended])
        await conn.execute(
            "UPDATE verdicts SET as_of = finished_at + make_interval(secs => (post_slots - 1) "
            "* slot_seconds + 1) FROM deployments WHERE id = deployment_id AND id = ANY($1)",
            ids,
        )


async def test_live_replayed_and_lone_verdicts_agree_bit_for_bit(
    conn: Connection, pool: Pool
) -> None:
    """Judged in the order of time as they came, then all again in other company."""
    ids = await generate(conn, services=24, each=125)
    await profile_services(conn, pool)
    await judge_all(conn, pool)
    lots = [
        lot
        async for lot in replay(
            pool, policy.SEQPULSE_V1, history.Selection(), BASELINE_SECONDS, 731
        )
    ]
    replayed = pl.concat(lots)
    assert replayed.height == len(ids) == 3000
    assert (replayed["verdict"] == replayed["recorded_verdict"]).all()
    # The cases are what they should be: otherwise nothing would be shown.
    assert set(replayed["verdict"]) == {"ok", "warning", "rollback_recommended"}
    assert replayed["reason_code"].n_unique() >= 4
    assert (replayed["confounders"].list.len() > 0).any()
    assert await conn.fetchval("SELECT count(*) FROM deployments WHERE extended_at IS NOT NULL")
    assert replayed["profile_until"].is_not_null().any()
    sources = await conn.fetch("SELECT DISTINCT baseline_source FROM evidence")
    assert {row[0] for row in sources} == {
        "baseline",
        "pre",
        "previous",
        "history",
        "none",
    }
    for some in (ids[:1], ids[7:8], ids[1000:1003], ids[::-1][:257], ids[::9]):
        for said in judging.prepare(await windows.load(conn, some, BASELINE_SECONDS)).judge(
            policy.SEQPULSE_V1
        ):
            found = await verdicts.find(conn, said.deployment_id)
            assert found is not None
            assert replace(found, as_of=said.as_of) == said


async def profile_services(conn: Connection, pool: Pool) -> None:
    """Make the profiles of a few services, as their own jobs would have made them."""
    rows = await conn.fetch(
        "SELECT DISTINCT ON (project_id) d.id, d.finished_at FROM deployments d "
        "JOIN projects p ON p.id = project_id WHERE substr(p.name, 9)::integer % 7 > 4 "
        "AND triggered_at > '2026-03-10' ORDER BY project_id, triggered_at"
    )
    made = 0
    for row in rows:
        deployment = await load_deployment(conn, row["id"])
        made += await profiling.build(pool, deployment, BASELINE_SECONDS, 60.0)
        await conn.execute(
            "UPDATE service_profiles SET built_at = $1 WHERE built_at > $1", row["finished_at"]
        )
    assert made


async def load_deployment(conn: Connection, identity: UUID) -> Deployment:
    return (await deployments.load(conn, identity))[0]


# One deployment at a time


SAMPLES = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate,
                            cpu_usage, memory_usage)
SELECT s.at, s.at, d.project_id, d.env, s.deployment_id, s.phase, s.i,
       20 + 0.1 * coalesce(s.i, 0), 50 * CASE WHEN s.phase = 'post' THEN $2 ELSE 1 END, 0, 0.2, 0.3
  FROM deployments AS d
 CROSS JOIN LATERAL (
       SELECT d.triggered_at - i * interval '1 minute' AS at, NULL::uuid AS deployment_id,
              NULL AS phase, NULL::smallint AS i
         FROM generate_series(1, 30) AS i
        UNION ALL
       SELECT d.finished_at + i * interval '1 minute', d.id, 'post', i
         FROM generate_series(0, d.post_slots - 1) AS i
     ) AS s
 WHERE d.id = $1
"""


async def settle(conn: Connection, deployment: Deployment, slowness: float = 1.0) -> None:
    """Let the post window be over and its samples be there."""
    await conn.execute("DELETE FROM scheduled_jobs WHERE deployment_id = $1", deployment.id)
    await conn.execute(SAMPLES, deployment.id, slowness)


async def judge_one(
    pool: Pool, deployment: Deployment, policies: judging.Policies = POLICIES
) -> Outcome:
    outcomes = await judging.judge(pool, policies, BASELINE_SECONDS, [deployment.id])
    return outcomes[deployment.id]


class BrokenPolicyError(Exception):
    pass


def broken_policy() -> Policy[Any]:
    def compare(*_: object) -> Comparison:
        raise BrokenPolicyError

    return replace(policy.REFERENCE_V2, method=replace(policy.FIXED, compare=compare))


async def test_shadows_are_stored_beside_the_verdict_and_a_broken_one_harms_nobody(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment, slowness=8.0)
    shadows = (policy.find("slo"), broken_policy(), policy.SEQPULSE_V1)
    policies = judging.Policies(policy.REFERENCE_V2, shadows)
    assert (await judge_one(pool, deployment, policies)).status is Status.COMPLETED
    live = await verdicts.find(conn, deployment.id)
    assert live is not None
    assert (live.policy, live.verdict) == ("reference-v2", "warning")
    said = await verdicts.find_shadows(conn, deployment.id)
    assert [shadow.policy for shadow in said] == ["seqpulse-v1", "slo"]
    assert said[0].failed_metrics == ("latency_p95",)
    digests = await conn.fetch("SELECT policy_digest FROM report.shadow_verdicts ORDER BY policy")
    assert [row[0] for row in digests] == [policy.SEQPULSE_V1.digest, policy.find("slo").digest]


async def test_a_second_judge_changes_nothing(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    await judge_one(pool, deployment)
    first = await verdicts.find(conn, deployment.id)
    await conn.execute("DELETE FROM metric_samples")
    assert (await judge_one(pool, deployment)).status is Status.COMPLETED
    assert await verdicts.find(conn, deployment.id) == first
    assert await conn.fetchval("SELECT count(*) FROM evidence") == 5


async def test_one_that_is_not_settled_waits_and_does_not_hold_up_the_others(
    conn: Connection, pool: Pool, deployment: Deployment, project: Project
) -> None:
    other, _ = await deployments.create(
        conn, project.id, env="two", branch="b", idempotency_key=None, abandoned_seconds=3600
    )
    await conn.execute(
        "UPDATE deployments SET state = 'finished', finished_at = triggered_at, post_slots = 5, "
        "slot_seconds = 60 WHERE id = $1",
        other.id,
    )
    gone = new_id()
    ids = [deployment.id, other.id, gone]
    outcomes = await judging.judge(pool, POLICIES, BASELINE_SECONDS, ids)
    assert [outcomes[each].status for each in ids] == ["retry", "completed", "failed"]
    assert await verdicts.find(conn, deployment.id) is None
    assert await verdicts.find(conn, other.id) is not None


async def test_infinite_evidence_survives_storage(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    cases = judging.prepare(await windows.load(conn, [deployment.id], BASELINE_SECONDS))
    [judgement] = cases.judge(policy.SEQPULSE_V1)
    odd = replace(judgement.evidence[0], effect=float("inf"), effect_low=1e308, p_value=5e-324)
    judgement = replace(
        judgement,
        evidence=(odd, *judgement.evidence[1:]),
        penalties=("clock_skew", 'a "quoted", one'),
        confounders=(new_id(), new_id()),
    )
    assert await verdicts.save(conn, [(judgement, [])]) == {deployment.id}
    assert await verdicts.find(conn, deployment.id) == judgement


async def test_a_harmful_neighbour_counts_only_once_it_was_known(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    """A deployment that failed ten minutes before: its time is no baseline, if that was known.

    A warning that rests on too little data knows nothing: it takes no baseline away.
    """
    assert deployment.finished_at is not None
    before = await conn.fetchrow(
        "INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, "
        "post_slots, slot_seconds) SELECT gen_random_uuid(), project_id, env, 'old', 'finished', "
        "triggered_at - interval '10 min', triggered_at - interval '9 min', 5, 60 "
        "FROM deployments WHERE id = $1 RETURNING id",
        deployment.id,
    )
    assert before is not None
    await settle(conn, deployment)
    known_at = deployment.finished_at + timedelta(minutes=4)
    await conn.execute(
        "INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,"
        " coverage_ratio, as_of) VALUES ($1, 'p', 'warning', true, 'regression', 1, 1, $2)",
        before["id"],
        known_at,
    )
    later = known_at + timedelta(seconds=1)
    for as_of, conclusive, bad, baseline_n in (
        (known_at, True, True, 24),
        (later, True, False, 30),
        (known_at, False, False, 30),
    ):
        await conn.execute("UPDATE verdicts SET as_of = $1, conclusive = $2", as_of, conclusive)
        material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
        assert material.neighbours["bad"].to_list() == [bad]
        [said] = judging.prepare(material).judge(policy.SEQPULSE_V1)
        assert said.evidence[0].baseline_n == baseline_n
        assert said.confounders == ()


async def test_the_latest_profile_that_was_known_is_used(
    conn: Connection, deployment: Deployment
) -> None:
    assert deployment.finished_at is not None
    service = (deployment.project_id, deployment.env)
    hour = timedelta(hours=1)
    for number in (3, 2, 1, -1):
        await profiles.save(
            conn, *service, deployment.triggered_at - number * hour, bytes([number + 1])
        )
    known_at = deployment.finished_at + timedelta(minutes=4)
    await conn.execute("UPDATE service_profiles SET built_at = $1", known_at)
    await conn.execute(
        "UPDATE service_profiles SET built_at = $1 WHERE until = $2",
        known_at + timedelta(seconds=1),
        deployment.triggered_at - hour,
    )
    material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
    assert material.profiles == {str(deployment.id): bytes([3])}
    # Made by some other version: judged as if there were none.
    assert judging.prepare(material).profiles == {}


async def test_a_profile_is_built_once_a_day(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    assert await profiling.build(pool, deployment, BASELINE_SECONDS, 60.0) is False
    await conn.execute(
        "INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec, "
        "latency_p95, error_rate, cpu_usage, memory_usage) SELECT t, t, $1, $2, 10 + random(), "
        "50 + random(), 0, 0.2, 0.3 FROM generate_series($3::timestamptz - interval '3 days', "
        "$3, '1 minute') AS t",
        deployment.project_id,
        deployment.env,
        deployment.triggered_at,
    )
    assert await profiling.build(pool, deployment, BASELINE_SECONDS, 60.0) is True
    assert await profiling.build(pool, deployment, BASELINE_SECONDS, 60.0) is False
    next_day = replace(deployment, triggered_at=deployment.triggered_at + timedelta(days=1))
    assert await profiling.build(pool, next_day, BASELINE_SECONDS, 60.0) is True
    until = profiling.choose_until(deployment.triggered_at, BASELINE_SECONDS)
    rows = await conn.fetch("SELECT until FROM service_profiles ORDER BY until")
    assert [row["until"] for row in rows] == [until, until + timedelta(days=1)]


async def test_accuracy_is_counted_where_the_truth_is_known(
    conn: Connection, project: Project
) -> None:
    """Branches a, b, a within an hour: b was rolled back. What people say counts more."""
    ids = {}
    for number, (branch, verdict) in enumerate(
        [("a", "ok"), ("b", "warning"), ("a", "ok"), ("c", "ok"), ("d", "rollback_recommended")]
    ):
        ids[number] = new_id()
        await conn.execute(
            "INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, "
            "finished_at, post_slots, slot_seconds) VALUES ($1, $2, 'prod', $3, 'analyzed', "
            "now() + $4 * interval '1 hour', now() + $4 * interval '1 hour' + interval '5 min', "
            "5, 60)",
            ids[number],
            project.id,
            branch,
            number,
        )
        await conn.execute(
            "INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, "
            "confidence, coverage_ratio, as_of) VALUES ($1, 'p', $2, true, 'r', 1, 1, now())",
            ids[number],
            verdict,
        )
    rolled_back = await conn.fetch("SELECT * FROM report.detected_rollbacks")
    assert [(row["deployment_id"], row["rollback_id"]) for row in rolled_back] == [(ids[1], ids[2])]
    await verdicts.put_feedback(conn, ids[3], harmful=False, given_by="ada")
    await verdicts.put_feedback(conn, ids[3], harmful=True, given_by="bob")
    await verdicts.put_feedback(conn, ids[4], harmful=False, given_by="ada")
    columns = (
        "labelled",
        "from_feedback",
        "harmful",
        "alarms",
        "true_alarms",
        "precision_ratio",
        "recall_ratio",
    )
    rows = await conn.fetch("SELECT * FROM report.policy_accuracy ORDER BY project NULLS FIRST")
    assert [row["project"] for row in rows] == [None, "shop"]
    for row in rows:
        assert [row[name] for name in columns] == [3, 2, 2, 2, 1, 0.5, 0.5]


async def test_replay_leaves_out_what_is_still_watched_and_what_was_not_asked_for(
    conn: Connection, pool: Pool, deployment: Deployment, project: Project
) -> None:
    async def count(selection: history.Selection) -> int:
        lots = replay(pool, policy.REFERENCE_V2, selection, BASELINE_SECONDS)
        return sum([each.height async for each in lots])

    assert deployment.finished_at is not None
    everything = history.Selection()
    assert await history.count(conn, everything) == 1
    assert await count(everything) == 0
    await settle(conn, deployment)
    assert await count(everything) == 1
    later = deployment.finished_at + timedelta(microseconds=1)
    assert await count(history.Selection(env="prod", project_id=project.id, until=later)) == 1
    assert await count(history.Selection(env="dev")) == 0
    assert await count(history.Selection(project_id=new_id())) == 0
    assert await count(history.Selection(since=later)) == 0
    assert await count(history.Selection(until=deployment.finished_at)) == 0


async def test_hints_know_what_went_on_elsewhere(
    conn: Connection, pool: Pool, deployment: Deployment, project: Project
) -> None:
    """All slots of this target were missed, and two of three others went silent: our side did."""
    await conn.execute("DELETE FROM scheduled_jobs")
    missed = (
        "INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, "
        "sequence_index, code, detail) SELECT finished_at + i * interval '1 minute', $1, "
        "'prod', $2, $3, i, 'timeout', '' FROM deployments, generate_series(0, 4) AS i"
    )
    collected = (
        "INSERT INTO metric_samples (slot_at, project_id, env, latency_p95) "
        "SELECT finished_at + i * interval '1 minute', $1, 'prod', 1 "
        "FROM deployments, generate_series($2::integer, $3) AS i"
    )
    await conn.execute(missed, project.id, deployment.id, "post")
    for number, last, silent in ((1, -1, True), (2, -1, True), (3, 4, False)):
        await conn.execute(collected, UUID(int=number), -3, last)
        if silent:
            await conn.execute(missed, UUID(int=number), None, None)
    material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
    judgements = judging.prepare(material).judge(policy.SEQPULSE_V1)
    around = (await look_around(conn, material.deployments, judgements))[deployment.id]
    assert around.missed == {"timeout": 5}
    assert around.elsewhere_silent_ratio == 2 / 3
    assert around.our_fault
    await judge_one(pool, deployment)
    rules = [hint.rule for hint in await verdicts.find_hints(conn, deployment.id)]
    assert rules[0] == "collector_fault"


async def test_drift_is_seen_over_deployments_that_passed(
    conn: Connection, pool: Pool, deployment: Deployment
) -> None:
    await settle(conn, deployment)
    for number in range(6):
        before = new_id()
        await conn.execute(
            "INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, "
            "finished_at, post_slots, slot_seconds) SELECT $1, project_id, env, 'b', 'analyzed', "
            "triggered_at - $2 * interval '1 day', triggered_at - $2 * interval '1 day', 5, 60 "
            "FROM deployments WHERE id = $3",
            before,
            6 - number,
            deployment.id,
        )
        await conn.execute(
            "INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, "
            "confidence, coverage_ratio, as_of) VALUES ($1, 'p', 'ok', true, 'r', 1, 1, now())",
            before,
        )
        await conn.execute(
            "INSERT INTO evidence (deployment_id, metric, baseline_source, baseline_n, post_n, "
            "observed, tolerance_ratio, failed) VALUES ($1, 'latency_p95', 'b', 9, 5, $2, 0, 'no')",
            before,
            20.0 + 4 * number,
        )
    material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
    judgements = judging.prepare(material).judge(policy.SEQPULSE_V1)
    [drift] = (await look_around(conn, material.deployments, judgements))[deployment.id].drifts
    assert (drift.metric, drift.deployments, drift.first) == ("latency_p95", 7, 20)
    assert drift.last == pytest.approx(50)
