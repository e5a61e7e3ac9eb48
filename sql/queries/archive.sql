-- name: identity
SELECT id FROM archive_identity

-- name: expired
-- Whole chunks whose last slot is older than $2. Days somebody restored wait until their time is
-- over.
SELECT format('%I.%I', c.chunk_schema, c.chunk_name) AS name, c.chunk_name AS short_name,
       c.range_start AS since, c.range_end AS until
  FROM timescaledb_information.chunks AS c
 WHERE c.hypertable_schema = current_schema() AND c.hypertable_name = $1
   AND c.range_end <= $2
   AND NOT EXISTS (SELECT FROM restored_days AS r
                    WHERE r.keep_until > $3
                      AND r.day::timestamp AT TIME ZONE 'UTC' < c.range_end
                      AND (r.day + 1)::timestamp AT TIME ZONE 'UTC' > c.range_start)
 ORDER BY c.range_start

-- name: set_up
-- For this transaction: values come as they are, whatever the role says; it may take its time.
SELECT set_config('extra_float_digits', '1', true), set_config('bytea_output', 'hex', true),
       set_config('statement_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('lock_timeout', $1, true)

-- name: read_samples
-- In the order of the disk: sorting costs the server more than all the rest. Moments in wire format
-- (see sql/frames.py), which is cheaper to write and to read than text.
SELECT timestamptz_send(slot_at) AS slot_at, timestamptz_send(collected_at) AS collected_at,
       project_id, env, deployment_id, phase, sequence_index, requests_per_sec, latency_p95,
       error_rate, cpu_usage, memory_usage, extra
  FROM metric_samples
 WHERE slot_at >= $1 AND slot_at < $2 AND ($3::uuid IS NULL OR project_id = $3)

-- name: read_missed
SELECT timestamptz_send(slot_at) AS slot_at, timestamptz_send(missed_at) AS missed_at,
       project_id, env, deployment_id, phase, sequence_index, code, detail
  FROM missed_slots
 WHERE slot_at >= $1 AND slot_at < $2 AND ($3::uuid IS NULL OR project_id = $3)

-- name: count_samples
SELECT count(*) FROM metric_samples WHERE slot_at >= $1 AND slot_at < $2

-- name: count_missed
SELECT count(*) FROM missed_slots WHERE slot_at >= $1 AND slot_at < $2

-- name: hold
-- Against whoever writes; readers go on. The name is quoted by the server.
LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE

-- name: record
INSERT INTO archived_chunks (chunk, range_start, range_end, rows, archived_at, verified_at)
VALUES ($1, $2, $3, $4, $5, now())

-- name: keep_days
-- Until the later moment, if they are kept already.
INSERT INTO restored_days (day, keep_until)
SELECT day, $2 FROM unnest($1::date[]) AS day
ON CONFLICT (day) DO UPDATE SET keep_until = greatest(restored_days.keep_until, excluded.keep_until)

-- name: forget_days
DELETE FROM restored_days WHERE keep_until <= $1

-- name: prepare_samples
CREATE TEMPORARY TABLE IF NOT EXISTS restored_samples (LIKE metric_samples) ON COMMIT DELETE ROWS

-- name: prepare_missed
CREATE TEMPORARY TABLE IF NOT EXISTS restored_missed (LIKE missed_slots) ON COMMIT DELETE ROWS

-- name: take_in_samples
-- Rows of a project that was deleted meanwhile stay where they are. The lock keeps the others from
-- being deleted before their rows are there to be found.
WITH owners AS MATERIALIZED (
    SELECT id FROM projects
     WHERE id IN (SELECT project_id FROM restored_samples)
     ORDER BY id FOR KEY SHARE
)
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate, cpu_usage,
                            memory_usage, extra)
SELECT slot_at, collected_at, project_id, env, deployment_id, phase, sequence_index,
       requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage, extra
  FROM restored_samples
 WHERE project_id IN (SELECT id FROM owners)
 ORDER BY project_id, env, slot_at
ON CONFLICT (project_id, env, slot_at) DO NOTHING

-- name: take_in_missed
WITH owners AS MATERIALIZED (
    SELECT id FROM projects
     WHERE id IN (SELECT project_id FROM restored_missed)
     ORDER BY id FOR KEY SHARE
)
INSERT INTO missed_slots (slot_at, missed_at, project_id, env, deployment_id, phase,
                          sequence_index, code, detail)
SELECT slot_at, missed_at, project_id, env, deployment_id, phase, sequence_index, code, detail
  FROM restored_missed
 WHERE project_id IN (SELECT id FROM owners)
 ORDER BY project_id, env, slot_at
ON CONFLICT (project_id, env, slot_at) DO NOTHING

-- name: dropped
-- What was dropped after all of it had been found in the archive.
SELECT chunk, range_start AS since, range_end AS until, rows FROM archived_chunks ORDER BY 2, 1
