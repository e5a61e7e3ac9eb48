-- name: deployments
-- Finished deployments in the order of $1. The join alone would do; but to find a few thousand of a
-- hundred thousand the planner then reads them all. ANY makes it take the index, here and below.
SELECT array_agg(id::text) AS deployment_id,
       array_agg(project_id::text) AS project_id,
       array_agg(env) AS env,
       string_agg(timestamptz_send(triggered_at), NULL) AS triggered_at,
       string_agg(timestamptz_send(finished_at), NULL) AS finished_at,
       string_agg(int2send(post_slots), NULL) AS post_slots,
       string_agg(float8send(slot_seconds), NULL) AS slot_seconds,
       array_agg(settled) AS settled,
       array_agg(extended_at IS NOT NULL) AS extended, array_agg(keep) AS held,
       string_agg(timestamptz_send(now()), NULL) AS as_of
  FROM (SELECT d.*, NOT EXISTS (SELECT FROM scheduled_jobs AS j
                                 WHERE j.deployment_id = d.id AND j.phase = 'post') AS settled
          FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, place)
          JOIN deployments AS d
            ON d.id = w.id AND d.id = ANY($1::uuid[])
         WHERE d.finished_at IS NOT NULL
         ORDER BY w.place) AS d

-- name: samples
-- What was read only after the change had begun says nothing of before, whatever its slot.
-- $3 and $4 enclose all windows, so that only the chunks in between are looked at. The key holds
-- place in $1 (from 1) and what the sample is: 0 continuous, 1 pre, 2 previous, 3 history, from 7 on
-- post, of sequence_index key - 8 (-1: none). Columns of their own would cost half as much again.
SELECT string_agg(int8send(w.place * 65536
                           + CASE m.phase WHEN 'post' THEN 8 + greatest(m.sequence_index, -1)
                                          WHEN 'pre' THEN 1 ELSE 0 END), NULL) AS key,
       string_agg(timestamptz_send(m.slot_at), NULL) AS slot_at,
       string_agg(float8send(coalesce(m.requests_per_sec, 'NaN')), NULL) AS requests_per_sec,
       string_agg(float8send(coalesce(m.latency_p95, 'NaN')), NULL) AS latency_p95,
       string_agg(float8send(coalesce(m.error_rate, 'NaN')), NULL) AS error_rate,
       string_agg(float8send(coalesce(m.cpu_usage, 'NaN')), NULL) AS cpu_usage,
       string_agg(float8send(coalesce(m.memory_usage, 'NaN')), NULL) AS memory_usage
  FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, place)
  JOIN deployments AS d ON d.id = w.id AND d.id = ANY($1::uuid[])
  JOIN metric_samples AS m
    ON m.project_id = d.project_id AND m.env = d.env
   AND m.slot_at BETWEEN $3 AND $4
   AND m.slot_at >= d.triggered_at - make_interval(secs => $2::float8)
   AND m.slot_at <= d.finished_at + make_interval(secs => d.post_slots * d.slot_seconds)
   AND CASE WHEN m.phase IS NULL THEN m.collected_at <= d.triggered_at
            WHEN m.phase = 'pre' THEN m.deployment_id = d.id AND m.collected_at <= d.finished_at
            ELSE m.deployment_id = d.id END

-- name: fallbacks
-- For deployments that hardly anybody was watching before: what the last harmless one looked like
-- afterwards (at most 90 days ago), and the same minutes a week ago. Columns as in `samples`.
-- OFFSET 0 keeps the bounds of time from becoming those of a join, which would look into all chunks.
SELECT string_agg(int8send(place * 65536 + source), NULL) AS key,
       string_agg(timestamptz_send(slot_at), NULL) AS slot_at,
       string_agg(float8send(coalesce(requests_per_sec, 'NaN')), NULL) AS requests_per_sec,
       string_agg(float8send(coalesce(latency_p95, 'NaN')), NULL) AS latency_p95,
       string_agg(float8send(coalesce(error_rate, 'NaN')), NULL) AS error_rate,
       string_agg(float8send(coalesce(cpu_usage, 'NaN')), NULL) AS cpu_usage,
       string_agg(float8send(coalesce(memory_usage, 'NaN')), NULL) AS memory_usage
  FROM (SELECT w.place, s.*
          FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, place)
          JOIN deployments AS d
            ON d.id = w.id AND d.id = ANY($1::uuid[])
         CROSS JOIN LATERAL (
               SELECT 2 AS source, m.*
                 FROM (SELECT o.*
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
                        LIMIT 1) AS o
                CROSS JOIN LATERAL (
                      SELECT *
                        FROM metric_samples AS m
                       WHERE m.project_id = o.project_id AND m.env = o.env
                         AND m.deployment_id = o.id AND m.phase = 'post'
                         AND m.slot_at >= o.finished_at
                         AND m.slot_at <= o.finished_at
                                          + make_interval(secs => o.post_slots * o.slot_seconds)
                      OFFSET 0) AS m
                UNION ALL
               (SELECT 3, m.*
                  FROM metric_samples AS m
                 WHERE m.project_id = d.project_id AND m.env = d.env AND m.phase IS NULL
                   AND m.slot_at >= d.triggered_at - interval '7 days 15 minutes'
                   AND m.slot_at <= d.triggered_at - interval '6 days 23 hours 45 minutes'
                   AND m.collected_at <= d.triggered_at
                OFFSET 0)
             ) AS s) AS s

-- name: neighbours
-- Deployments of the same service around each of $1, as they were known when its last post slot was
-- planned: at no time before that is it judged, and whenever it is judged again it is the same.
-- It ends with its own last post slot, as long as its window was then. A roll-out that took more than a day is not looked for.
SELECT array_agg(deployment_id) AS service_id,
       array_agg(neighbour_id) AS deployment_id,
       string_agg(timestamptz_send(started_at), NULL) AS started_at,
       string_agg(timestamptz_send(ended_at), NULL) AS ended_at,
       array_agg(bad) AS bad
  FROM (SELECT d.id::text AS deployment_id, o.id::text AS neighbour_id,
               o.triggered_at AS started_at, e.ended_at,
               coalesce((SELECT v.verdict <> 'ok' AND v.conclusive
                           FROM verdict_revisions AS v
                          WHERE v.deployment_id = o.id AND v.as_of <= d.known_at
                          ORDER BY v.revision DESC
                          LIMIT 1), false) AS bad
          FROM (SELECT d.*,
                       finished_at + make_interval(secs => (post_slots - 1) * slot_seconds)
                           AS known_at
                  FROM deployments AS d
                 WHERE id = ANY($1::uuid[]) AND finished_at IS NOT NULL) AS d
          JOIN deployments AS o
            ON o.project_id = d.project_id AND o.env = d.env AND o.id <> d.id
           AND o.triggered_at > d.triggered_at - interval '1 day'
           AND o.triggered_at <= d.known_at
         CROSS JOIN LATERAL (
               SELECT coalesce(o.finished_at
                                   + make_interval(secs => (CASE WHEN o.extended_at > d.known_at
                                                                 THEN o.post_slots / 2
                                                                 ELSE o.post_slots END - 1)
                                                           * o.slot_seconds),
                               d.known_at) AS ended_at
             ) AS e
         WHERE e.ended_at >= d.triggered_at - make_interval(secs => $2::float8)) AS n

-- name: profiles
-- The latest profile each deployment may know (see `neighbours`), every one once.
SELECT array_agg(c.deployment_id::text) AS deployment_ids, p.packed
  FROM (SELECT d.id AS deployment_id, d.project_id, d.env, p.until
          FROM deployments AS d
         CROSS JOIN LATERAL (
               SELECT p.until
                 FROM service_profiles AS p
                WHERE p.project_id = d.project_id AND p.env = d.env
                  AND p.until <= d.triggered_at
                  AND p.built_at <= d.finished_at
                                    + make_interval(secs => (d.post_slots - 1) * d.slot_seconds)
                ORDER BY p.until DESC
                LIMIT 1
             ) AS p
         WHERE d.id = ANY($1::uuid[]) AND d.finished_at IS NOT NULL) AS c
  JOIN service_profiles AS p USING (project_id, env, until)
 GROUP BY p.project_id, p.env, p.until
