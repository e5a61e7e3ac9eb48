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

-- name: read_samples
-- A row per service, whose cells are columns in the order of their slots, in wire format (see
-- sql/frames.py). Of the five numbers come those that are there, and the slots of the others
-- (*_gaps); of what is null nearly everywhere, the values and their slots (*_at). The digest is that
-- of `digest_samples`.
SELECT project_id::text AS project_id, env, count(*) AS rows,
       bit_xor(hash_record_extended((slot_at, collected_at, project_id, env, deployment_id, phase,
                                     sequence_index, requests_per_sec, latency_p95, error_rate,
                                     cpu_usage, memory_usage, extra), 0)) AS digest,
       string_agg(timestamptz_send(slot_at), NULL) AS slot_at,
       string_agg(timestamptz_send(collected_at), NULL) AS collected_at,
       string_agg(float8send(requests_per_sec), NULL) AS requests_per_sec,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE requests_per_sec IS NULL)
           AS requests_per_sec_gaps,
       string_agg(float8send(latency_p95), NULL) AS latency_p95,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE latency_p95 IS NULL)
           AS latency_p95_gaps,
       string_agg(float8send(error_rate), NULL) AS error_rate,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE error_rate IS NULL)
           AS error_rate_gaps,
       string_agg(float8send(cpu_usage), NULL) AS cpu_usage,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE cpu_usage IS NULL)
           AS cpu_usage_gaps,
       string_agg(float8send(memory_usage), NULL) AS memory_usage,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE memory_usage IS NULL)
           AS memory_usage_gaps,
       array_agg(deployment_id::text) FILTER (WHERE deployment_id IS NOT NULL) AS deployment_id,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE deployment_id IS NOT NULL)
           AS deployment_id_at,
       array_agg(phase) FILTER (WHERE phase IS NOT NULL) AS phase,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE phase IS NOT NULL) AS phase_at,
       array_agg(sequence_index) FILTER (WHERE sequence_index IS NOT NULL) AS sequence_index,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE sequence_index IS NOT NULL)
           AS sequence_index_at,
       array_agg(extra::text) FILTER (WHERE extra IS NOT NULL) AS extra,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE extra IS NOT NULL) AS extra_at
  FROM (SELECT *
          FROM metric_samples
         WHERE slot_at >= $1 AND slot_at < $2
         ORDER BY project_id, env, slot_at) AS s
 GROUP BY project_id, env

-- name: read_missed
SELECT project_id::text AS project_id, env, count(*) AS rows,
       bit_xor(hash_record_extended((slot_at, missed_at, project_id, env, deployment_id, phase,
                                     sequence_index, code, detail), 0)) AS digest,
       string_agg(timestamptz_send(slot_at), NULL) AS slot_at,
       string_agg(timestamptz_send(missed_at), NULL) AS missed_at,
       array_agg(deployment_id::text) FILTER (WHERE deployment_id IS NOT NULL) AS deployment_id,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE deployment_id IS NOT NULL)
           AS deployment_id_at,
       array_agg(phase) FILTER (WHERE phase IS NOT NULL) AS phase,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE phase IS NOT NULL) AS phase_at,
       array_agg(sequence_index) FILTER (WHERE sequence_index IS NOT NULL) AS sequence_index,
       string_agg(timestamptz_send(slot_at), NULL) FILTER (WHERE sequence_index IS NOT NULL)
           AS sequence_index_at,
       array_agg(code) AS code,
       array_agg(detail) AS detail
  FROM (SELECT *
          FROM missed_slots
         WHERE slot_at >= $1 AND slot_at < $2
         ORDER BY project_id, env, slot_at) AS s
 GROUP BY project_id, env

-- name: digest_samples
-- Stands for all rows of a span: it changes with every row that comes, goes or changes.
SELECT count(*) AS rows,
       coalesce(bit_xor(hash_record_extended(
           (slot_at, collected_at, project_id, env, deployment_id, phase, sequence_index,
            requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage, extra), 0)), 0)
           AS digest
  FROM metric_samples
 WHERE slot_at >= $1 AND slot_at < $2

-- name: digest_missed
SELECT count(*) AS rows,
       coalesce(bit_xor(hash_record_extended(
           (slot_at, missed_at, project_id, env, deployment_id, phase, sequence_index, code,
            detail), 0)), 0) AS digest
  FROM missed_slots
 WHERE slot_at >= $1 AND slot_at < $2

-- name: sort_in
SELECT set_config('work_mem', $1, true)

-- name: wait_at_most
SELECT set_config('lock_timeout', $1, true)

-- name: hold
-- Against whoever writes; readers go on. The name is quoted by the server.
LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE

-- name: drop
SELECT drop_chunks($1::text::regclass, older_than => $3::timestamptz, newer_than => $2::timestamptz)

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
