-- name: set
UPDATE deployments SET keep = $2 WHERE id = $1 RETURNING keep

-- name: empty
DELETE FROM kept_samples WHERE held_for = $1

-- name: fill
-- Everything a held deployment may be judged by (see `windows.samples` and `windows.fallbacks`): its
-- own window, the post window of the last harmless deployment before it, the same minutes of a week
-- ago. Of all held deployments that have finished, or of $2.
INSERT INTO kept_samples
SELECT d.id, s.*
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
           AND (SELECT v.verdict = 'ok' AND v.as_of <= d.triggered_at
                  FROM verdicts AS v WHERE v.deployment_id = o.id)
         ORDER BY o.triggered_at DESC
         LIMIT 1)
     ) AS w
  JOIN metric_samples AS s
    ON s.project_id = d.project_id AND s.env = d.env AND s.slot_at BETWEEN w.since AND w.until
 WHERE d.keep AND d.finished_at IS NOT NULL AND ($2::uuid IS NULL OR d.id = $2)
ON CONFLICT (held_for, slot_at) DO NOTHING
