-- name: concerned
-- Who is to be told of verdicts that were just stored. Locked, so that none is deleted meanwhile: the
-- verdict would go down with its delivery.
SELECT c.id AS channel_id, d.project_id, d.id AS deployment_id, d.env, 1 AS revision
  FROM verdicts AS v
  JOIN deployments AS d ON d.id = v.deployment_id
  JOIN channels AS c ON c.project_id = d.project_id
 WHERE v.deployment_id = ANY($1::uuid[]) AND c.enabled
   AND (c.envs = '{}' OR d.env = ANY(c.envs))
   AND v.verdict = ANY(c.verdicts) AND (v.conclusive OR NOT c.conclusive_only)
 ORDER BY d.id, c.id
   FOR KEY SHARE OF c

-- name: insert
INSERT INTO deliveries (id, project_id, channel_id, deployment_id, revision)
SELECT *
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[])
ON CONFLICT (deployment_id, revision, channel_id) DO NOTHING
RETURNING id, project_id, deployment_id, created_at

-- name: load
SELECT n.id, n.status, n.attempts, n.deployment_id, n.revision, n.created_at,
       c.id AS channel_id, c.kind, c.name AS channel, c.enabled, c.shown, c.access_encrypted,
       c.secret_encrypted,
       CASE WHEN c.secret_before_until > now() THEN c.secret_before_encrypted END
           AS secret_before_encrypted,
       p.id AS project_id, p.name AS project, d.env, d.branch, d.triggered_at, d.finished_at,
       v.verdict, v.conclusive, v.reason_code, v.confidence, v.coverage_ratio, v.policy,
       v.created_at AS judged_at,
       (SELECT jsonb_agg(jsonb_build_object('rule', h.rule, 'severity', h.severity,
                                            'title', h.title, 'diagnosis', h.diagnosis,
                                            'actions', h.actions, 'metrics', h.metrics)
                         ORDER BY h.position)
          FROM hints AS h
         WHERE h.deployment_id = v.deployment_id) AS hints
  FROM deliveries AS n
  JOIN channels AS c ON c.id = n.channel_id
  JOIN projects AS p ON p.id = n.project_id
  LEFT JOIN deployments AS d ON d.id = n.deployment_id
  LEFT JOIN verdicts AS v ON v.deployment_id = n.deployment_id
 WHERE n.id = $1

-- name: begin
-- Before anything is sent, so that an attempt whose worker dies counts, too.
UPDATE deliveries
   SET attempts = attempts + 1, tried_at = now(), next_at = NULL
 WHERE id = $1 AND status = 'pending'
RETURNING attempts

-- name: settle
UPDATE deliveries
   SET status = $2, status_code = $3, last_error = $4,
       next_at = CASE WHEN $2 = 'pending' THEN now() + make_interval(secs => $5) END,
       settled_at = CASE WHEN $2 <> 'pending' THEN now() END
 WHERE id = $1 AND status = 'pending'
