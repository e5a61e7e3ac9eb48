-- name: insert
-- Verdicts with everything that belongs to them, all or nothing; JSON rows by the columns' names.
-- Who waits for one is told by its commit (`sql.lookups`), so nobody has to look and none is missed.
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
SELECT deployment_id, pg_notify('seqpulse_verdicts', deployment_id::text) FROM verdict

-- name: insert_shadows
INSERT INTO shadow_verdicts (deployment_id, policy, policy_digest, verdict, conclusive,
                             reason_code, confidence, failed_metrics, as_of)
SELECT deployment_id, policy, policy_digest, verdict, conclusive, reason_code, confidence,
       failed_metrics, as_of
  FROM json_populate_recordset(NULL::shadow_verdicts, $1::json)
 ORDER BY deployment_id, policy
ON CONFLICT DO NOTHING

-- name: lock
-- Whoever judges a deployment again waits here for the one that is at it already.
SELECT revision, policy_digest FROM verdicts WHERE deployment_id = $1 FOR UPDATE

-- name: set_aside
-- What is said now becomes a former revision, with everything that belongs to it.
WITH former AS (
    INSERT INTO former_verdicts (deployment_id, revision, policy, policy_digest, verdict,
                                 conclusive, reason_code, confidence, coverage_ratio,
                                 quality_ratio, penalties, confounders, decided_at, profile_until,
                                 as_of, created_at, evidence, hints, shadows)
    SELECT r.deployment_id, r.revision, r.policy, r.policy_digest, r.verdict, r.conclusive,
           r.reason_code, r.confidence, r.coverage_ratio, r.quality_ratio, r.penalties,
           r.confounders, r.decided_at, r.profile_until, r.as_of, r.created_at, r.evidence,
           r.hints, r.shadows
      FROM report.verdict_revisions AS r
     WHERE r.deployment_id = $1 AND r.newest
    RETURNING deployment_id
), piece AS (
    DELETE FROM evidence AS e USING former WHERE e.deployment_id = former.deployment_id
), hint AS (
    DELETE FROM hints AS h USING former WHERE h.deployment_id = former.deployment_id
)
DELETE FROM shadow_verdicts AS s USING former WHERE s.deployment_id = former.deployment_id

-- name: revise
-- The next revision, in the place of the one that was set aside.
WITH verdict AS (
    UPDATE verdicts AS v
       SET revision = v.revision + 1, policy = s.policy, policy_digest = s.policy_digest,
           verdict = s.verdict, conclusive = s.conclusive, reason_code = s.reason_code,
           confidence = s.confidence, coverage_ratio = s.coverage_ratio,
           quality_ratio = s.quality_ratio, penalties = s.penalties, confounders = s.confounders,
           decided_at = s.decided_at, profile_until = s.profile_until, as_of = s.as_of,
           created_at = now()
      FROM json_populate_recordset(NULL::verdicts, $1::json) AS s
     WHERE v.deployment_id = s.deployment_id
    RETURNING v.deployment_id, v.revision
), piece AS (
    INSERT INTO evidence SELECT * FROM json_populate_recordset(NULL::evidence, $2::json)
), hint AS (
    INSERT INTO hints SELECT * FROM json_populate_recordset(NULL::hints, $3::json)
)
SELECT revision, pg_notify('seqpulse_verdicts', deployment_id::text) FROM verdict

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

-- name: put_feedback
-- Without $2 the verdict tells: an alarm that was right ($3), or an ok that was wrong, was about a
-- harmful deployment. Without a verdict, too, nothing is said.
INSERT INTO feedback (deployment_id, harmful, revision, given_by, rolled_back_by, note)
SELECT d.id, coalesce($2, (v.verdict <> 'ok') = $3), v.revision, $4, $5, $6
  FROM deployments AS d
  LEFT JOIN verdicts AS v ON v.deployment_id = d.id
 WHERE d.id = $1 AND ($2::boolean IS NOT NULL OR v.verdict IS NOT NULL)
ON CONFLICT (deployment_id)
DO UPDATE SET harmful = excluded.harmful, revision = excluded.revision,
              given_by = excluded.given_by, rolled_back_by = excluded.rolled_back_by,
              note = excluded.note, given_at = now()
RETURNING deployment_id, harmful, revision, rolled_back_by, note, given_by, given_at
