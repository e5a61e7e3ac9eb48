"""A long past: deployments with 30 samples before and 15 after, as frames or in a database."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.database import Connection
from core.types import METRICS

BEFORE: Final = 30
AFTER: Final = 15
SERVICES: Final = 400
EPOCH: Final = np.datetime64("2026-01-01T00:00:00", "us")
MINUTE: Final = np.timedelta64(60_000_000, "us")

PROJECTS: Final = """
INSERT INTO projects (id, name, plan, post_slots)
SELECT gen_random_uuid(), 'service ' || i, 'pro', 15 FROM generate_series(1, $1::integer) AS i
"""
DEPLOYMENTS: Final = """
INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, finished_at,
                         analyzed_at, post_slots, slot_seconds)
SELECT gen_random_uuid(), p.id, 'prod', 'main', 'analyzed', 'success', t.at,
       t.at + interval '3 minutes', t.at + interval '18 minutes', $1, 60
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM projects) AS p
 CROSS JOIN generate_series($2::integer, $3::integer - 1) AS i
 CROSS JOIN LATERAL (SELECT timestamptz '2026-01-01' + p.n * interval '17 seconds'
                            + i * interval '4 hours' AS at) AS t
 ORDER BY t.at
"""
# What a worker writes lies on disk in the order of time, so this does, too.
SAMPLES: Final = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate,
                            cpu_usage, memory_usage)
SELECT s.at, s.at, d.project_id, d.env, s.deployment_id, s.phase, s.i, 20 + random(),
       (50 + 5 * random()) * CASE WHEN s.phase = 'post' AND d.hurts THEN 2 ELSE 1 END,
       0.002 * random(), 0.3 + 0.02 * random(), 0.5 + 0.01 * random()
  FROM (SELECT *, random() < 0.05 AS hurts FROM deployments
         WHERE triggered_at >= $1 AND triggered_at < $2) AS d
 CROSS JOIN LATERAL (
       SELECT d.triggered_at - i * interval '1 minute' AS at, NULL::uuid AS deployment_id,
              NULL AS phase, NULL::smallint AS i
         FROM generate_series(1, 30) AS i
        UNION ALL
       SELECT d.finished_at + i * interval '1 minute', d.id, 'post', i
         FROM generate_series(0, d.post_slots - 1) AS i
     ) AS s
 ORDER BY s.at
"""


def make_frames(count: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return deployments and samples as `analytics.windows.split` takes them.

    One in twenty gets twice as slow, one in thirty fails requests.
    """
    random = np.random.default_rng(seed)
    ids = pl.Series([str(UUID(int=seed * 10_000_000 + i)) for i in range(count)])
    triggered = EPOCH + np.arange(count) * np.timedelta64(7_000_000, "us")
    finished = triggered + 3 * MINUTE
    place = np.repeat(np.arange(count), BEFORE + AFTER)
    step = np.tile(np.arange(BEFORE + AFTER) - BEFORE, count)
    post = step >= 0
    chance = random.random(count)[place]
    slow, failing = post & (chance < 0.05), post & (chance > 1 - 1 / 30)
    noise = random.random((5, place.size))
    values = {
        "requests_per_sec": 20 + noise[0],
        "latency_p95": (50 + 5 * noise[1]) * np.where(slow, 2, 1),
        "error_rate": 0.002 * noise[2] + np.where(failing, 0.1, 0),
        "cpu_usage": 0.3 + 0.02 * noise[3],
        "memory_usage": 0.5 + 0.01 * noise[4],
    }
    deployments = pl.DataFrame(
        {
            "deployment_id": ids,
            "service_id": ids,
            "triggered_at": _moments(triggered),
            "finished_at": _moments(finished),
            "post_slots": np.full(count, AFTER, dtype=np.int16),
            "slot_seconds": np.full(count, 60.0),
        }
    )
    samples = pl.DataFrame(
        {
            "deployment_id": ids.gather(place),
            "slot_at": _moments(np.where(post, finished[place], triggered[place]) + step * MINUTE),
            "phase": pl.Series([None, "post"], dtype=pl.String).gather(post.astype(np.int64)),
            "sequence_index": np.where(post, step, -1).astype(np.int32),
            **{metric: values[metric] for metric in METRICS},
        }
    )
    return deployments, samples


def _moments(values: NDArray[Any]) -> pl.Series:
    return pl.Series(values).dt.replace_time_zone("UTC")


async def fill(conn: Connection, count: int) -> None:
    """Write a past of `count` deployments, a multiple of `SERVICES`, and let it settle on disk."""
    rounds = count // SERVICES
    await conn.execute(PROJECTS, SERVICES)
    await conn.execute(DEPLOYMENTS, AFTER, 0, rounds)
    week = 42  # rounds
    for first in range(0, rounds, week):
        since, until = await conn.fetchrow(  # type: ignore[misc]
            "SELECT timestamptz '2026-01-01' + $1 * interval '4 hours', "
            "timestamptz '2026-01-01' + $2 * interval '4 hours'",
            first,
            first + week,
        )
        await conn.execute(SAMPLES, since, until, timeout=600)
    await conn.execute("VACUUM ANALYZE", timeout=600)
