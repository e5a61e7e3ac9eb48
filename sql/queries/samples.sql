-- name: insert
-- A baseline reading may stand at the very slot of a post window; then the window needs it more.
-- Here and below: what is too old to be kept is left out, and who writes into hours that are closed
-- notes them, so that they are rolled up again (see sql/rollups.py).
WITH given AS MATERIALIZED (
    SELECT DISTINCT ON (project_id, env COLLATE "C", slot_at) *
      FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::uuid[], $5::text[],
                  $6::smallint[], $7::float8[], $8::float8[], $9::float8[], $10::float8[],
                  $11::float8[], $12::jsonb[])
           AS s(slot_at, project_id, env, deployment_id, phase, sequence_index,
                requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage, extra)
     WHERE slot_at >= (SELECT samples_since FROM history_edges WHERE only_row)
     ORDER BY project_id, env COLLATE "C", slot_at, phase NULLS LAST
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT project_id, env, time_bucket('1 hour', slot_at)
      FROM given
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
)
INSERT INTO metric_samples (slot_at, project_id, env, deployment_id, phase, sequence_index,
                            requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage,
                            extra)
SELECT * FROM given
ON CONFLICT (project_id, env, slot_at)
DO UPDATE SET deployment_id = excluded.deployment_id, phase = excluded.phase,
              sequence_index = excluded.sequence_index
        WHERE metric_samples.phase IS NULL AND excluded.phase IS NOT NULL

-- name: insert_missed
WITH given AS MATERIALIZED (
    SELECT *
      FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::uuid[], $5::text[],
                  $6::smallint[], $7::text[], $8::text[])
           AS s(slot_at, project_id, env, deployment_id, phase, sequence_index, code, detail)
     WHERE slot_at >= (SELECT samples_since FROM history_edges WHERE only_row)
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT project_id, env, time_bucket('1 hour', slot_at)
      FROM given
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
)
INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index,
                          code, detail)
SELECT * FROM given
ON CONFLICT (project_id, env, slot_at) DO NOTHING

-- name: first_pushed
-- The first sample of the continuous baseline in a slot: of any moment of it, and as it stands
-- there, not the worst of several, so that it means what a single one of the baseline means.
SELECT requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage, extra
  FROM metric_samples
 WHERE project_id = $1 AND env = $2 AND slot_at >= $3 AND slot_at < $4 AND phase IS NULL
 ORDER BY slot_at
 LIMIT 1

-- name: has_any
SELECT EXISTS (SELECT FROM metric_samples WHERE project_id = $1 AND env = $2)

-- name: chunks
-- The pieces the tables are made of, as spans of time: what is done to one of them stays bounded.
SELECT DISTINCT range_start, range_end
  FROM timescaledb_information.chunks
 WHERE hypertable_name = ANY($1::text[])
   AND hypertable_schema = current_schema()
 ORDER BY range_start

-- name: remove
DELETE FROM metric_samples WHERE project_id = $1 AND slot_at >= $2 AND slot_at < $3

-- name: remove_missed
DELETE FROM missed_slots WHERE project_id = $1 AND slot_at >= $2 AND slot_at < $3
