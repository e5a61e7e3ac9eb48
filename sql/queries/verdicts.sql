-- name: insert
-- Verdicts with everything that belongs to them, all or nothing; JSON rows by the columns' names.
WITH verdict AS (
    INSERT INTO verdicts (deployment_id, policy, policy_digest, verdict, conclusive, reason_code,
                          confidence, coverage_ratio, quality_ratio, penalties, confounders,
                          decided_at, profile_until, as_of)
    SELECT deployment_id, policy, policy_digest, verdict, conclusive, reason_code, confidence,
           coverage_ratio, quality_ratio, penalties, confounders, decided_at, profile_until, as_of
      FROM json_populate_recordset(NULL::verdicts, $1::json)
     ORDER BY deployment_id
    ON CONFLICT (deployment_id) DO NOTHING
    RETURNING deployment_id
), piece AS (
    INSERT INTO evidence
    SELECT e.*
      FROM json_populate_recordset(NULL::evidence, $2::json) AS e
      JOIN verdict USING (deployment_id)
), hint AS (
    INSERT INTO hints
    SELECT h.*
      FROM json_populate_recordset(NULL::hints, $3::json) AS h
      JOIN verdict USING (deployment_id)
), deployment AS (
    UPDATE deployments AS d
       SET state = 'analyzed', analyzed_at = now()
      FROM verdict
     WHERE d.id = verdict.deployment_id
)
SELECT deployment_id FROM verdict

-- name: insert_shadows
INSERT INTO shadow_verdicts (deployment_id, policy, policy_digest, verdict, conclusive,
                             reason_code, confidence, failed_metrics, as_of)
SELECT deployment_id, policy, policy_digest, verdict, conclusive, reason_code, confidence,
       failed_metrics, as_of
  FROM json_populate_recordset(NULL::shadow_verdicts, $1::json)
 ORDER BY deployment_id, policy
ON CONFLICT DO NOTHING

-- name: find
SELECT * FROM verdicts WHERE deployment_id = $1

-- name: evidence
SELECT * FROM evidence WHERE deployment_id = $1

-- name: hints
SELECT rule, severity, title, diagnosis, actions, metrics
  FROM hints
 WHERE deployment_id = $1
 ORDER BY position

-- name: shadows
SELECT policy, verdict, conclusive, reason_code, confidence, failed_metrics
  FROM shadow_verdicts
 WHERE deployment_id = $1
 ORDER BY policy

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

-- name: put_feedback
INSERT INTO feedback (deployment_id, harmful, given_by)
VALUES ($1, $2, $3)
ON CONFLICT (deployment_id)
DO UPDATE SET harmful = excluded.harmful, given_by = excluded.given_by, given_at = now()
