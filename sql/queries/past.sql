-- name: others
-- Whether there are projects, and from when on samples are kept.
SELECT (SELECT count(*) FROM projects) AS projects, samples_since FROM history_edges

-- name: known
-- Whether one of these is there already.
SELECT name FROM projects WHERE id = ANY($1::uuid[]) OR name = ANY($2::text[]) ORDER BY name LIMIT 1

-- name: note_late
-- In the transaction that wrote them: see sql/rollups.py. $1 and $2 enclose what was written.
INSERT INTO late_hours (project_id, env, hour_at)
SELECT DISTINCT project_id, env, time_bucket('1 hour', slot_at)
  FROM report.slots
 WHERE $1 < (SELECT closed_until FROM history_edges WHERE only_row)
   AND slot_at >= $1 AND slot_at <= $2 AND project_id = ANY($3::uuid[])
   AND slot_at < (SELECT closed_until FROM history_edges WHERE only_row)

-- name: extend
-- The window of these is extended as the live judge would have done; what was read of the service
-- anyway, minute by minute, is what its further slots have seen.
WITH d AS (
    UPDATE deployments
       SET extended_at = finished_at + make_interval(secs => (post_slots - 1) * slot_seconds + 1),
           post_slots = 2 * post_slots
     WHERE id = ANY($1::uuid[]) AND extended_at IS NULL
    RETURNING *
), more AS (
    SELECT d.id, d.project_id, d.env, i,
           d.finished_at + make_interval(secs => i * d.slot_seconds) AS slot_at
      FROM d
     CROSS JOIN LATERAL generate_series(d.post_slots / 2, d.post_slots - 1) AS i
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT project_id, env, time_bucket('1 hour', slot_at)
      FROM more
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
)
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate, cpu_usage,
                            memory_usage)
SELECT more.slot_at, more.slot_at + interval '0.2 s', more.project_id, more.env, more.id, 'post',
       more.i, m.requests_per_sec, m.latency_p95, m.error_rate, m.cpu_usage, m.memory_usage
  FROM more
 CROSS JOIN LATERAL (
       SELECT *
         FROM metric_samples AS m
        WHERE m.project_id = more.project_id AND m.env = more.env AND m.phase IS NULL
          AND m.slot_at >= more.slot_at AND m.slot_at < more.slot_at + interval '3 minutes'
        ORDER BY m.slot_at
        LIMIT 1
     ) AS m
ON CONFLICT DO NOTHING

-- name: settle
-- Judged when its window was over, not today.
WITH said AS (
    UPDATE verdicts SET created_at = as_of
     WHERE deployment_id = ANY($1::uuid[])
    RETURNING deployment_id, as_of
), shadow AS (
    UPDATE shadow_verdicts SET created_at = as_of WHERE deployment_id = ANY($1::uuid[])
)
UPDATE deployments AS d SET analyzed_at = said.as_of
  FROM said
 WHERE said.deployment_id = d.id

-- name: backdate_profiles
UPDATE service_profiles AS p SET built_at = d.finished_at
  FROM deployments AS d
 WHERE d.id = $1 AND p.project_id = d.project_id AND p.env = d.env AND p.built_at > d.finished_at

-- name: write_runs
-- The jobs these deployments had: their slots, and the judge.
WITH d AS MATERIALIZED (
    SELECT *, finished_at + make_interval(secs => post_slots * slot_seconds) AS until
      FROM deployments
     WHERE id = ANY($1::uuid[])
), jobs AS (
    SELECT m.collected_at AS done_at, 'collect' AS kind, 0 AS priority, d.id, m.phase,
           m.sequence_index, m.slot_at, 'completed' AS status, NULL AS last_error
      FROM d
      JOIN metric_samples AS m
        ON m.project_id = d.project_id AND m.env = d.env AND m.deployment_id = d.id
       AND m.slot_at >= d.triggered_at AND m.slot_at < d.until
    UNION ALL
    SELECT m.missed_at, 'collect', 0, d.id, m.phase, m.sequence_index, m.slot_at, 'failed',
           m.code || ': ' || m.detail
      FROM d
      JOIN missed_slots AS m
        ON m.project_id = d.project_id AND m.env = d.env AND m.deployment_id = d.id
       AND m.slot_at >= d.triggered_at AND m.slot_at < d.until
    UNION ALL
    SELECT v.as_of + interval '80 ms', 'judge', 1, d.id, NULL, NULL, v.as_of, 'completed', NULL
      FROM d
      JOIN verdicts AS v ON v.deployment_id = d.id
)
INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, deployment_id, phase,
                      sequence_index, slot_at, scheduled_at, claimed_at, status, attempt, last_error)
SELECT done_at, nextval(pg_get_serial_sequence('scheduled_jobs', 'id')), kind, priority,
       project_id, env, id, phase, sequence_index, slot_at, slot_at,
       slot_at + least(interval '15 ms', (done_at - slot_at) / 2), status, 1, last_error
  FROM (SELECT jobs.*, d.project_id, d.env
          FROM jobs JOIN d USING (id)
         ORDER BY slot_at, id) AS sorted

-- name: analyze
ANALYZE
