"""Old verdicts stay explainable: judged again by copies of held samples, or by the archive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from analytics import policy
from core.database import Connection, Pool
from core.errors import ArchiveError
from core.judgement import Judgement
from scheduler import house, judging
from scheduler.replay import judge_samples, replay
from scheduler.surroundings import look_around
from sql import archive, history, holds, retention, rollups, windows
from sql.archive import Seeker, expire, manifest
from sql.archive.expire import Fate
from sql.archive.store import Folder
from sql.retention import Retention
from tests.history import SETTLE
from tests.integration.test_judging import generate, judge_all, profile_services

BASELINE_SECONDS = 1800.0
LATER = datetime(2026, 6, 1, tzinfo=UTC)
"""When nothing of the generated past is kept any more."""


@pytest.fixture
async def few(conn: Connection) -> list[UUID]:
    """A past of some days that nobody has judged."""
    return await generate(conn, services=8, each=15)


@pytest.fixture
async def ids(conn: Connection, pool: Pool) -> list[UUID]:
    """A past that was judged as it came; the ends of its chunks lie within windows."""
    for table in ("metric_samples", "missed_slots"):
        await conn.execute("SELECT set_chunk_time_interval($1, interval '24 h 50 min')", table)
    found = await generate(conn, services=21, each=80)
    await profile_services(conn, pool)
    await judge_all(conn, pool)
    return found


async def say(conn: Connection, ids: list[UUID]) -> list[Judgement]:
    """What is said of deployments, to the last number, but for the moment it is said."""
    material = await windows.load(conn, ids, BASELINE_SECONDS)
    said = judging.prepare(material).judge(policy.SEQPULSE_V1)
    return [replace(each, as_of=LATER) for each in said]


async def replay_all(pool: Pool, find: Seeker | None = None) -> pl.DataFrame:
    everything = history.Selection()
    lots = replay(pool, policy.SEQPULSE_V1, everything, BASELINE_SECONDS, 500, find)
    return pl.concat([lot async for lot in lots])


async def archive_until(conn: Connection, store: Folder, until: datetime) -> None:
    outcomes = await expire.run(conn, store, until, timedelta())
    assert outcomes
    assert {each.fate for each in outcomes} == {Fate.DROPPED}


async def test_held_deployments_are_judged_the_same_when_their_samples_are_gone(
    conn: Connection, ids: list[UUID]
) -> None:
    held = ids[::5]
    before = await say(conn, held)
    sources = {each.evidence[0].baseline_source for each in before}
    assert {"baseline", "pre", "previous", "history", "none"} <= sources
    for each in held:
        await holds.hold(conn, each, BASELINE_SECONDS)
    await rollups.prepare(conn)
    await rollups.roll(conn, LATER)
    await house.tidy(conn, LATER, house.Rules(Retention()))
    # The Community edition leaves it to the server, whose clock is the real one.
    await retention.drop_expired(conn, LATER, Retention())
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0
    assert await say(conn, held) == before
    assert await say(conn, held[40:41]) == before[40:41]
    everybody = await say(conn, ids)
    assert [each for each in everybody if each.deployment_id in held] == before
    assert {each.coverage_ratio for each in everybody if each.deployment_id not in held} == {0}
    await holds.release(conn, held[0])
    assert (await say(conn, held))[0].coverage_ratio == 0


async def test_a_copy_does_not_count_beside_the_sample_it_is_of(
    conn: Connection, few: list[UUID]
) -> None:
    before = await say(conn, few)
    for each in few:
        await holds.hold(conn, each, BASELINE_SECONDS)
    assert await say(conn, few) == before


MISS = """
INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index, code,
                          detail)
SELECT d.finished_at + i * interval '1 second', d.project_id, d.env, d.id, 'post', i, 'timeout', ''
  FROM deployments AS d, generate_series(1, 3) AS i WHERE d.id = ANY($1)
"""


async def test_what_a_held_deployment_missed_is_still_known(
    conn: Connection, few: list[UUID]
) -> None:
    pair = few[50:52]
    await conn.execute(MISS, pair)
    await holds.hold(conn, pair[0], BASELINE_SECONDS)

    async def count() -> list[int]:
        material = await windows.load(conn, pair, BASELINE_SECONDS)
        said = judging.prepare(material).judge(policy.SEQPULSE_V1)
        around = await look_around(conn, material.deployments, said)
        return [sum(around[each].missed.values()) for each in pair]

    assert await count() == [3, 3]
    await conn.execute("TRUNCATE missed_slots")
    assert await count() == [3, 0]
    await holds.release(conn, pair[0])
    assert await count() == [0, 0]


async def test_a_copy_follows_a_baseline_sample_that_became_one_of_the_window(
    conn: Connection, few: list[UUID]
) -> None:
    """As `samples.insert` does it where the slots are the same."""
    for held in few:  # until there is one with a baseline
        await holds.hold(conn, held, BASELINE_SECONDS)
        if await conn.fetchval("SELECT count(*) FROM kept_samples WHERE phase IS NULL"):
            break
        await holds.release(conn, held)
    became = "UPDATE metric_samples SET phase = 'post', deployment_id = $1, sequence_index = 99 "
    where = "WHERE slot_at = (SELECT max(slot_at) FROM kept_samples WHERE phase IS NULL)"
    await conn.execute(became + where, held)
    await holds.fill(conn, BASELINE_SECONDS)
    indexes = await conn.fetch("SELECT sequence_index FROM kept_samples WHERE phase = 'post'")
    assert 99 in {row["sequence_index"] for row in indexes}
    await conn.execute(
        "UPDATE metric_samples SET phase = NULL " + where.replace("IS NULL", "= 'post'")
    )
    assert await holds.fill(conn, BASELINE_SECONDS) == 0


PROFILES = """
INSERT INTO service_profiles (project_id, env, until, built_at, packed)
SELECT project_id, env, triggered_at - i * interval '1 day', triggered_at - i * interval '1 day', ''
  FROM deployments, generate_series(0, 2) AS i WHERE id = $1
"""


async def test_the_profile_a_held_deployment_may_know_is_kept(
    conn: Connection, few: list[UUID]
) -> None:
    """Whoever judges it again by another policy may want it."""
    await conn.execute(PROFILES, few[60])
    await conn.execute(
        "UPDATE service_profiles SET built_at = $1 WHERE until = (SELECT max(until) "
        "FROM service_profiles)",
        LATER,
    )  # nobody knew of that one yet
    await holds.hold(conn, few[60], BASELINE_SECONDS)
    assert await retention.forget_profiles(conn, LATER, Retention()) == 2
    await holds.release(conn, few[60])
    assert await retention.forget_profiles(conn, LATER, Retention()) == 1


ACROSS = """
SELECT c.range_end
  FROM timescaledb_information.chunks AS c
  JOIN deployments AS d
    ON c.range_end BETWEEN d.triggered_at - interval '20 min' AND d.finished_at + interval '3 min'
 WHERE c.hypertable_name = 'metric_samples'
 GROUP BY c.range_end ORDER BY abs(extract(epoch FROM c.range_end - '2026-03-07Z'))
 LIMIT 1
"""
"""The end of a chunk in the middle of windows, near the middle of time."""


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


async def test_verdicts_are_the_same_wherever_the_samples_are(
    conn: Connection, pool: Pool, ids: list[UUID], store: Folder
) -> None:
    """All in the database, half of them in the archive, all of them there."""
    before = await replay_all(pool)
    assert before.height == len(ids) == 1680
    assert set(before["verdict"]) == {"ok", "warning", "rollback_recommended"}
    assert before["profile_until"].is_not_null().any()
    await conn.execute(SETTLE)
    edge = await conn.fetchval(ACROSS)
    assert edge is not None
    await archive_until(conn, store, edge)
    assert await conn.fetchval("SELECT min(slot_at) >= $1 FROM metric_samples", edge)
    seeker = Seeker(str(store.root))
    assert (await replay_all(pool, seeker)).equals(before)
    assert not (await replay_all(pool)).equals(before)
    await archive_until(conn, store, LATER)
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0
    assert (await replay_all(pool, seeker)).equals(before)

    # And without the database, but for the samples that any engine may have read.
    samples = archive.scan(str(store.root)).collect()
    said = judge_samples(
        await windows.outline(conn, ids, BASELINE_SECONDS), samples, policy.SEQPULSE_V1
    )
    assert said.equals(
        before.select(said.columns).sort(
            pl.col("deployment_id").cast(pl.Enum(said["deployment_id"]))
        )
    )
    nobody = await windows.outline(conn, [], BASELINE_SECONDS)
    for few in (samples, samples.clear()):
        nothing = judge_samples(nobody, few, policy.SEQPULSE_V1)
        assert (nothing.height, nothing.schema) == (0, said.schema)


async def test_what_is_in_both_places_counts_once(
    conn: Connection, pool: Pool, few: list[UUID], store: Folder
) -> None:
    """A run that was interrupted between the manifest and the drop leaves it so."""
    before = await replay_all(pool)
    await conn.execute(SETTLE)
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("LOCK TABLE metric_samples, missed_slots IN ACCESS SHARE MODE")
        outcomes = await expire.run(conn, store, LATER, timedelta(), lock_seconds=0.01)
    assert {each.fate for each in outcomes} == {Fate.IN_USE}
    assert (await replay_all(pool, Seeker(str(store.root)))).equals(before)


async def test_a_damaged_file_is_named_and_not_judged_by(
    conn: Connection, pool: Pool, few: list[UUID], store: Folder
) -> None:
    await conn.execute(SETTLE)
    await archive_until(conn, store, LATER)
    part = next(part for part in manifest.load(store) if part.path.startswith("samples"))
    file = store.root / part.path
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(ArchiveError, match=part.path):
        await replay_all(pool, Seeker(str(store.root)))
    file.unlink()
    with pytest.raises(ArchiveError, match="missing"):
        await replay_all(pool, Seeker(str(store.root)))
    with pytest.raises(ArchiveError, match="no archive"):
        Seeker(str(store.root / "elsewhere"))
