"""Weeks of many services: a sample a minute of every service, as days and weeks go.

Every service has a size and a time zone of its own. Its traffic follows the day, is lower at the
weekend and noisy; latency, errors, processor and memory follow the traffic. How much they vary from
minute to minute is what the median service of the accuracy corpus does: requests 8 %, latency 29 %,
processor 20 %, memory hardly, no error in 86 % of the minutes. Requests and errors are whole, the
rest is as precise as the SDK tells it: a thousandth of a millisecond, of the processor, of memory.
Every 12 hours a quarter of an hour belongs to a deployment.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.database import Connection

DAY: Final = timedelta(days=1)
UNIQUE: Final = "metric_samples_project_id_env_slot_at_key"

PROJECTS: Final = """
INSERT INTO projects (id, name, plan, post_slots)
SELECT md5(i::text)::uuid, 'service ' || i, 'pro', 15 FROM generate_series(1, $1::integer) AS i
ON CONFLICT DO NOTHING
"""
DEPLOYMENTS: Final = """
INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, post_slots,
                         slot_seconds)
SELECT md5(md5(i::text)::uuid::text || $2::bigint)::uuid, md5(i::text)::uuid, 'prod', 'main',
       'finished', to_timestamp($2 * 43200.0) - interval '2 minutes', to_timestamp($2 * 43200.0),
       15, 60
  FROM generate_series(1, $1::integer) AS i
ON CONFLICT DO NOTHING
"""
SAMPLES: Final = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate, cpu_usage,
                            memory_usage)
SELECT slot_at, slot_at + random() * interval '0.3 seconds', project_id, 'prod',
       CASE WHEN place < 15 THEN md5(project_id::text || turn)::uuid END,
       CASE WHEN place < 15 THEN 'post' END, CASE WHEN place < 15 THEN place END,
       round(1000 * requests / 60) / 1000,
       round(1000 * (20 + i % 150) * (1 + 0.3 * load) * exp(0.58 * noise)) / 1000,
       CASE WHEN luck < 0.86 OR requests = 0 THEN 0
            ELSE round(1e6 * least(1, ceil(20 * (luck - 0.86)) / requests)) / 1e6 END,
       round(1000 * least(1, 0.3 * load * (1 + 0.4 * other_noise))) / 1000,
       round(1000 * (0.4 + i % 30 / 100.0 + 0.03 * sin(minute / 1440.0) + 0.001 * noise)) / 1000
  FROM (SELECT at + i * 57 % 60000 * interval '1 millisecond' AS slot_at, i, minute,
               md5(i::text)::uuid AS project_id,
               (minute % 720)::smallint AS place, (minute / 720)::text AS turn, load, noise,
               round(60 * exp(5 * (i % 97) / 97.0::float8 - 1) * load
                     * (0.86 + 0.28 * random())) AS requests,
               random() + random() + random() - 1.5 AS other_noise, random() AS luck
          FROM (SELECT at, minute, i, random() + random() + random() - 1.5 AS noise,
                       (1 + 0.6 * sin((minute % 1440 + i % 24 * 60) * 2 * pi() / 1440))
                       * CASE WHEN extract(isodow FROM at) > 5 THEN 0.6 ELSE 1 END AS load
                  FROM (SELECT at, (extract(epoch FROM at) / 60)::bigint AS minute
                          FROM generate_series($2::timestamptz,
                                               $3::timestamptz - interval '1 minute',
                                               '1 minute') AS at) AS moments,
                       generate_series(1, $1::integer) AS i) AS services) AS rows
"""


async def write(conn: Connection, services: int, since: datetime, until: datetime) -> None:
    """Write the samples of [since, until) day by day, each in the order of time.

    Args:
        conn: Connection to a migrated database that holds nothing else.
        services: How many services there are.
        since: A midnight, UTC.
        until: A later one.
    """
    await conn.execute(PROJECTS, services)
    await conn.execute(DEPLOYMENTS, services, int(until.timestamp()) // 43_200 - 6)
    for day in range((until - since) // DAY):
        await conn.execute(SAMPLES, services, since + day * DAY, since + (day + 1) * DAY)


async def fill(conn: Connection, services: int, since: datetime, until: datetime) -> None:
    """Do the same in less time, or the rest of it: the index comes last."""
    await conn.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
    last = await conn.fetchval("SELECT max(slot_at) FROM metric_samples")
    if last is None:
        await conn.execute(f"ALTER TABLE metric_samples DROP CONSTRAINT IF EXISTS {UNIQUE}")
    else:
        since += (last - since) // DAY * DAY + DAY
    await write(conn, services, since, until)
    if not await conn.fetchval(
        "SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = $1)", UNIQUE
    ):
        await conn.execute("ALTER TABLE metric_samples ADD UNIQUE (project_id, env, slot_at)")
        await conn.execute("VACUUM ANALYZE")
    await conn.execute("RESET ALL")
