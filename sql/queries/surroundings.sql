-- name: missed
-- $2 and $3 enclose the post windows, so that only the chunks in between are looked at.
-- Those of held deployments may be left as copies only.
SELECT deployment_id, code, count(*) AS slots
  FROM (SELECT deployment_id, code, slot_at
          FROM missed_slots
         WHERE deployment_id = ANY($1::uuid[]) AND phase = 'post' AND slot_at BETWEEN $2 AND $3
        UNION
        SELECT deployment_id, code, slot_at
          FROM kept_missed
         WHERE held_for = ANY($1::uuid[]) AND deployment_id = held_for AND phase = 'post') AS m
 GROUP BY deployment_id, code

-- name: levels
-- Levels of the metrics after the last $2 harmless deployments before each of $1, oldest first.
-- Verdicts are looked up one by one: a plan made while there are few would read them all each time.
SELECT d.id AS deployment_id, l.levels
  FROM deployments AS d
 CROSS JOIN LATERAL (
       SELECT o.id, o.triggered_at
         FROM deployments AS o
        WHERE o.project_id = d.project_id AND o.env = d.env
          AND o.triggered_at > d.triggered_at - interval '90 days'
          AND o.triggered_at < d.triggered_at
          AND (SELECT v.verdict FROM verdicts AS v WHERE v.deployment_id = o.id) = 'ok'
        ORDER BY o.triggered_at DESC
        LIMIT $2
     ) AS o
 CROSS JOIN LATERAL (
       SELECT jsonb_object_agg(e.metric, e.observed) AS levels
         FROM evidence AS e
        WHERE e.deployment_id = o.id AND e.observed < 'Infinity'
     ) AS l
 WHERE d.id = ANY($1::uuid[]) AND l.levels IS NOT NULL
 ORDER BY d.id, o.triggered_at
