-- name: clock
SELECT now()

-- name: bounds
SELECT now(), samples_since FROM history_edges

-- name: insert
-- The lock keeps the project from being deleted before its rows are there to be found.
-- What is too old to be kept is left out, and who writes into hours that are closed notes them, so
-- that they are rolled up again (see sql/rollups.py); here and below. The order is that of COPY,
-- whatever the database's own: else two writers would wait for each other. What the baseline missed
-- and somebody brings is not missed any more; who else brings it just now does that, too.
WITH owner AS MATERIALIZED (
    SELECT id FROM projects WHERE id = $1 FOR KEY SHARE
), given AS MATERIALIZED (
    SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond' AS slot_at, s.*
      FROM unnest($2::bigint[], $3::text[], $4::float8[], $5::float8[], $6::float8[],
                  $7::float8[], $8::float8[], $9::text[])
           AS s(microseconds, env, requests_per_sec, latency_p95, error_rate, cpu_usage,
                memory_usage, extra)
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT owner.id, env, time_bucket('1 hour', slot_at)
      FROM owner, given
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
), found AS (
    DELETE FROM missed_slots AS m
     USING (SELECT m.project_id, m.env, m.slot_at
              FROM missed_slots AS m
             WHERE m.project_id = $1 AND m.phase IS NULL
               AND m.slot_at >= (SELECT min(slot_at) FROM given)
               AND m.slot_at <= (SELECT max(slot_at) FROM given)
               AND (m.env, m.slot_at) IN (SELECT env, slot_at FROM given)
               FOR UPDATE SKIP LOCKED) AS f
     WHERE m.project_id = f.project_id AND m.env = f.env AND m.slot_at = f.slot_at
)
INSERT INTO metric_samples (slot_at, project_id, env, requests_per_sec, latency_p95, error_rate,
                            cpu_usage, memory_usage, extra)
SELECT slot_at, owner.id, env, requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage,
       nullif(jsonb_strip_nulls(extra::jsonb), '{}')
  FROM owner, given
 WHERE slot_at >= (SELECT samples_since FROM history_edges WHERE only_row)
 ORDER BY env COLLATE "C", slot_at
ON CONFLICT (project_id, env, slot_at) DO NOTHING

-- name: create_incoming
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_samples (
    slot_at          timestamptz NOT NULL,
    env              text NOT NULL,
    requests_per_sec double precision,
    latency_p95      double precision,
    error_rate       double precision,
    cpu_usage        double precision,
    memory_usage     double precision,
    extra            jsonb
) ON COMMIT DELETE ROWS

-- name: take_in
-- All are new, or it fails: ON CONFLICT would make it nearly twice as dear, and history is mostly new.
WITH owner AS MATERIALIZED (
    SELECT id FROM projects WHERE id = $1 FOR KEY SHARE
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT owner.id, env, time_bucket('1 hour', slot_at)
      FROM owner, incoming_samples
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
), found AS (
    DELETE FROM missed_slots AS m
     USING (SELECT m.project_id, m.env, m.slot_at
              FROM missed_slots AS m
             WHERE m.project_id = $1 AND m.phase IS NULL
               AND m.slot_at >= (SELECT min(slot_at) FROM incoming_samples)
               AND m.slot_at <= (SELECT max(slot_at) FROM incoming_samples)
               AND (m.env, m.slot_at) IN (SELECT env, slot_at FROM incoming_samples)
               FOR UPDATE SKIP LOCKED) AS f
     WHERE m.project_id = f.project_id AND m.env = f.env AND m.slot_at = f.slot_at
)
INSERT INTO metric_samples (slot_at, project_id, env, requests_per_sec, latency_p95, error_rate,
                            cpu_usage, memory_usage, extra)
SELECT slot_at, owner.id, env, requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage,
       nullif(jsonb_strip_nulls(extra), '{}')
  FROM owner, incoming_samples
 WHERE slot_at >= (SELECT samples_since FROM history_edges WHERE only_row)

-- name: leave_known
-- The end of `take_in` when some are known.
ON CONFLICT (project_id, env, slot_at) DO NOTHING
