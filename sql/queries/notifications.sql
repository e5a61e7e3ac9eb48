-- name: concerned
-- Who is to be told of verdicts that were just stored. Locked, so that none is deleted meanwhile: the
-- verdict would go down with its delivery. A revision is news only if it says something else; it is news
-- for whoever was told what it corrects, too.
SELECT c.id AS channel_id, d.project_id, d.id AS deployment_id, d.env, v.revision
  FROM verdicts AS v
  JOIN deployments AS d ON d.id = v.deployment_id
  JOIN channels AS c ON c.project_id = d.project_id
  LEFT JOIN former_verdicts AS f
    ON f.deployment_id = v.deployment_id AND f.revision = v.revision - 1
 WHERE v.deployment_id = ANY($1::uuid[]) AND c.enabled
   AND (f.revision IS NULL OR (f.verdict, f.conclusive) <> (v.verdict, v.conclusive))
   AND (((c.envs = '{}' OR d.env = ANY(c.envs))
         AND v.verdict = ANY(c.verdicts) AND (v.conclusive OR NOT c.conclusive_only))
        OR EXISTS (SELECT
                     FROM deliveries AS n
                    WHERE n.deployment_id = v.deployment_id AND n.channel_id = c.id))
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
       v.created_at AS judged_at, v.hints
  FROM deliveries AS n
  JOIN channels AS c ON c.id = n.channel_id
  JOIN projects AS p ON p.id = n.project_id
  LEFT JOIN deployments AS d ON d.id = n.deployment_id
  LEFT JOIN report.verdict_revisions AS v
    ON v.deployment_id = n.deployment_id AND v.revision = n.revision
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
