-- name: own
-- The spans of time whose samples `windows.samples` looks for, for samples that are elsewhere. A row
-- per deployment of $1, by its place (from 0).
SELECT string_agg(int8send(w.place - 1), NULL) AS row,
       string_agg(int8send(0), NULL) AS source,
       array_agg(d.project_id::text) AS project_id,
       array_agg(d.env) AS env,
       array_agg(d.id::text) AS owner,
       string_agg(timestamptz_send(d.triggered_at - make_interval(secs => $2::float8)), NULL)
           AS since,
       string_agg(timestamptz_send(d.finished_at
                                   + make_interval(secs => d.post_slots * d.slot_seconds)), NULL)
           AS until,
       string_agg(timestamptz_send(d.triggered_at), NULL) AS continuous_by,
       string_agg(timestamptz_send(d.finished_at), NULL) AS pre_by
  FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, place)
  JOIN deployments AS d ON d.id = w.id AND d.id = ANY($1::uuid[])

-- name: substitutes
-- The same for `windows.fallbacks`. Who is nobody's has no owner; what does not count, however early
-- it was read, has the beginning of time.
SELECT string_agg(int8send(w.place - 1), NULL) AS row,
       string_agg(int8send(s.source), NULL) AS source,
       array_agg(d.project_id::text) AS project_id,
       array_agg(d.env) AS env,
       array_agg(s.owner::text) AS owner,
       string_agg(timestamptz_send(s.since), NULL) AS since,
       string_agg(timestamptz_send(s.until), NULL) AS until,
       string_agg(timestamptz_send(s.continuous_by), NULL) AS continuous_by,
       string_agg(timestamptz_send('0001-01-01Z'), NULL) AS pre_by
  FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, place)
  JOIN deployments AS d ON d.id = w.id AND d.id = ANY($1::uuid[])
 CROSS JOIN LATERAL (
       (SELECT 2 AS source, o.id AS owner, o.finished_at AS since,
               o.finished_at + make_interval(secs => o.post_slots * o.slot_seconds) AS until,
               timestamptz '0001-01-01Z' AS continuous_by
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
        UNION ALL
       SELECT 3, NULL, d.triggered_at - interval '7 days 15 minutes',
              d.triggered_at - interval '6 days 23 hours 45 minutes', d.triggered_at
     ) AS s
