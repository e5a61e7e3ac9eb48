-- name: seen
-- A deployment with what is said of it.
d.id, d.env, d.branch, d.state, d.result, d.triggered_at, d.finished_at, d.analyzed_at,
       d.post_slots, d.slot_seconds, d.extended_at, v.verdict, v.conclusive, v.reason_code,
       v.confidence, v.revision
  FROM deployments AS d
  LEFT JOIN verdicts AS v ON v.deployment_id = d.id

-- name: deployment
SELECT {seen}
 WHERE d.id = $2 AND d.project_id = $1

-- name: deployments
-- A page, newest first, after the place ($8, $9). What arrives meanwhile is newer than every page
-- but the first, so no page shows a row twice or leaves one out.
SELECT {seen}
 WHERE d.project_id = $1
   AND (d.triggered_at, d.id) < ($8::timestamptz, $9::uuid)
   AND d.triggered_at >= $6 AND d.triggered_at < $7
   AND ($2::text IS NULL OR d.env = $2)
   AND ($3::text IS NULL OR d.branch = $3)
   AND ($4::text IS NULL OR d.state = $4)
   AND ($5::text IS NULL OR v.verdict = $5)
   AND ($10::boolean IS NULL OR v.conclusive = $10)
 ORDER BY d.triggered_at DESC, d.id DESC
 LIMIT $11

-- name: hints
-- The same for hints; those of one deployment by their importance.
SELECT h.deployment_id, d.env, d.branch, d.triggered_at, d.finished_at, v.verdict,
       h.position, h.rule, h.severity, h.title, h.diagnosis, h.actions, h.metrics
  FROM deployments AS d
  JOIN verdicts AS v ON v.deployment_id = d.id
  JOIN hints AS h ON h.deployment_id = d.id
 WHERE d.project_id = $1
   AND (d.triggered_at, d.id) <= ($6::timestamptz, $7::uuid)
   AND ((d.triggered_at, d.id) < ($6::timestamptz, $7::uuid) OR h.position > $8)
   AND d.triggered_at >= $5
   AND ($2::text IS NULL OR h.severity = $2)
   AND ($3::text IS NULL OR d.env = $3)
   AND ($4::text IS NULL OR h.rule = $4)
 ORDER BY d.triggered_at DESC, d.id DESC, h.position
 LIMIT $9

-- name: revisions
SELECT revision, newest, verdict, conclusive, reason_code, confidence, coverage_ratio, policy,
       policy_digest, as_of, created_at, superseded_at, quality_ratio, penalties, confounders,
       decided_at, profile_until, evidence, hints, shadows
  FROM report.verdict_revisions
 WHERE deployment_id = $1
 ORDER BY revision DESC
 LIMIT $2

-- name: samples
-- Around a deployment: what was collected in its baseline window, and for it. Of a held one the
-- copies, too; of a slot that is in the table what stands there counts. $4 and $5 enclose it all, so
-- that only the chunks in between are looked at.
SELECT DISTINCT ON (slot_at)
       slot_at, collected_at, coalesce(phase, 'baseline') AS phase, sequence_index,
       requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage
  FROM (SELECT 0 AS place, slot_at, collected_at, deployment_id, phase, sequence_index,
               requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage
          FROM metric_samples
         WHERE project_id = $1 AND env = $2 AND slot_at BETWEEN $4 AND $5
        UNION ALL
        SELECT 1, slot_at, collected_at, deployment_id, phase, sequence_index,
               requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage
          FROM kept_samples
         WHERE held_for = $3 AND slot_at BETWEEN $4 AND $5) AS s
 WHERE CASE WHEN phase IS NULL THEN slot_at <= $6 ELSE deployment_id = $3 END
 ORDER BY slot_at DESC, place
 LIMIT $7

-- name: missed
SELECT DISTINCT ON (slot_at)
       slot_at, coalesce(phase, 'baseline') AS phase, sequence_index, code, detail
  FROM (SELECT 0 AS place, slot_at, deployment_id, phase, sequence_index, code, detail
          FROM missed_slots
         WHERE project_id = $1 AND env = $2 AND slot_at BETWEEN $4 AND $5
        UNION ALL
        SELECT 1, slot_at, deployment_id, phase, sequence_index, code, detail
          FROM kept_missed
         WHERE held_for = $3 AND slot_at BETWEEN $4 AND $5) AS s
 WHERE CASE WHEN phase IS NULL THEN slot_at <= $6 ELSE deployment_id = $3 END
 ORDER BY slot_at DESC, place
 LIMIT $7
