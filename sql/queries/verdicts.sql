-- name: insert
INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,
                      coverage_ratio, as_of)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (deployment_id) DO NOTHING
RETURNING deployment_id

-- name: insert_evidence
INSERT INTO evidence (deployment_id, metric, baseline_source, baseline_n, post_n, expected,
                      observed, threshold, exceedance_ratio, tolerance_ratio, failed, attribution)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: insert_hint
INSERT INTO hints (deployment_id, position, rule, severity, title, diagnosis, actions, metrics)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: find
SELECT * FROM verdicts WHERE deployment_id = $1

-- name: evidence
SELECT * FROM evidence WHERE deployment_id = $1

-- name: hints
SELECT rule, severity, title, diagnosis, actions, metrics
  FROM hints
 WHERE deployment_id = $1
 ORDER BY position

-- name: project_hints
SELECT h.deployment_id, d.env, d.branch, d.finished_at, v.verdict,
       h.rule, h.severity, h.title, h.diagnosis, h.actions, h.metrics
  FROM hints h
  JOIN deployments d ON d.id = h.deployment_id
  JOIN verdicts v ON v.deployment_id = h.deployment_id
 WHERE d.project_id = $1
   AND ($2::text IS NULL OR h.severity = $2)
   AND ($3::text IS NULL OR d.env = $3)
 ORDER BY d.finished_at DESC, d.id, h.position
 LIMIT $4
