-- name: set
UPDATE deployments SET keep = $2 WHERE id = $1 RETURNING keep

-- name: empty
WITH missed AS (
    DELETE FROM kept_missed WHERE held_for = $1
)
DELETE FROM kept_samples WHERE held_for = $1

-- name: fill
-- Everything a held deployment may be judged by (see `windows.samples` and `windows.fallbacks`): its
-- own window, the post window of the last harmless deployment before it, the same minutes of a week
-- ago. Of all held deployments that have finished, or of $2. They may overlap. A reading of the
-- baseline may become one of a deployment, see `samples.insert`.
WITH spans AS MATERIALIZED (
    SELECT d.id AS held_for, d.project_id, d.env, w.since, w.until
      FROM deployments AS d
     CROSS JOIN LATERAL (
           SELECT d.triggered_at - make_interval(secs => $1::float8) AS since,
                  d.finished_at + make_interval(secs => d.post_slots * d.slot_seconds) AS until
           UNION ALL
           SELECT d.triggered_at - interval '7 days 15 minutes',
                  d.triggered_at - interval '6 days 23 hours 45 minutes'
           UNION ALL
           (SELECT o.finished_at,
                   o.finished_at + make_interval(secs => o.post_slots * o.slot_seconds)
              FROM deployments AS o
             WHERE o.project_id = d.project_id AND o.env = d.env
               AND o.triggered_at > d.triggered_at - interval '90 days'
               AND o.triggered_at < d.triggered_at
               AND (SELECT v.verdict
                      FROM verdict_revisions AS v
                     WHERE v.deployment_id = o.id AND v.as_of <= d.triggered_at
                     ORDER BY v.revision DESC
                     LIMIT 1) = 'ok'
             ORDER BY o.triggered_at DESC
             LIMIT 1)
         ) AS w
     WHERE d.keep AND d.finished_at IS NOT NULL AND ($2::uuid IS NULL OR d.id = $2)
), missed AS (
    INSERT INTO kept_missed
    SELECT w.held_for, m.*
      FROM spans AS w
      JOIN missed_slots AS m
        ON m.project_id = w.project_id AND m.env = w.env AND m.slot_at BETWEEN w.since AND w.until
    ON CONFLICT (held_for, slot_at) DO NOTHING
)
INSERT INTO kept_samples AS k
SELECT DISTINCT ON (w.held_for, s.slot_at) w.held_for, s.*
  FROM spans AS w
  JOIN metric_samples AS s
    ON s.project_id = w.project_id AND s.env = w.env AND s.slot_at BETWEEN w.since AND w.until
ON CONFLICT (held_for, slot_at)
DO UPDATE SET deployment_id = excluded.deployment_id, phase = excluded.phase,
              sequence_index = excluded.sequence_index
        WHERE k.phase IS NULL AND excluded.phase IS NOT NULL

-- name: kept
-- Copies for the held deployments $1, see `sql.spans.ROWS`; for several of them one may be there
-- several times.
SELECT array_agg(project_id::text) AS project_id, array_agg(env) AS env,
       string_agg(timestamptz_send(slot_at), NULL) AS slot_at,
       string_agg(timestamptz_send(collected_at), NULL) AS collected_at,
       array_agg(deployment_id::text) AS deployment_id, array_agg(phase) AS phase,
       string_agg(int2send(coalesce(sequence_index, -1::int2)), NULL) AS sequence_index,
       string_agg(float8send(coalesce(requests_per_sec, 'NaN')), NULL) AS requests_per_sec,
       string_agg(float8send(coalesce(latency_p95, 'NaN')), NULL) AS latency_p95,
       string_agg(float8send(coalesce(error_rate, 'NaN')), NULL) AS error_rate,
       string_agg(float8send(coalesce(cpu_usage, 'NaN')), NULL) AS cpu_usage,
       string_agg(float8send(coalesce(memory_usage, 'NaN')), NULL) AS memory_usage
  FROM kept_samples
 WHERE held_for = ANY($1::uuid[])
