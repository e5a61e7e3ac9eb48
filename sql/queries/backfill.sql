-- name: insert
-- Readings of the past, as of their slots' own moments. What was read at the time stays; a slot that
-- was missed then is not missed any more.
WITH added AS (
    INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec,
                                latency_p95, error_rate, cpu_usage, memory_usage)
    SELECT slot_at, slot_at, $1, $2, requests_per_sec, latency_p95, error_rate, cpu_usage,
           memory_usage
      FROM unnest($3::timestamptz[], $4::float8[], $5::float8[], $6::float8[], $7::float8[],
                  $8::float8[])
           AS s(slot_at, requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage)
     WHERE slot_at >= (SELECT samples_since FROM history_edges WHERE only_row)
    ON CONFLICT (project_id, env, slot_at) DO NOTHING
    RETURNING slot_at
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT $1::uuid, $2::text, time_bucket('1 hour', slot_at)
      FROM added
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
), found AS (
    DELETE FROM missed_slots AS m
     USING added AS a
     WHERE m.project_id = $1 AND m.env = $2 AND m.slot_at = a.slot_at
)
SELECT count(*) FROM added
