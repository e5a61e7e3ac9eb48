-- name: slots
-- Every slot of a deployment, and of the continuous baseline around it until $6; copies of held ones
-- stand in for what is gone.
SELECT DISTINCT ON (slot_at) *
  FROM (SELECT slot_at, phase, NULL AS code,
               requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage
          FROM metric_samples
         WHERE project_id = $2 AND env = $3 AND slot_at BETWEEN $4 AND $5
           AND (deployment_id = $1 OR phase IS NULL AND slot_at < $6)
         UNION ALL
        SELECT slot_at, phase, NULL,
               requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage
          FROM kept_samples
         WHERE held_for = $1 AND slot_at BETWEEN $4 AND $5
           AND (deployment_id = $1 OR phase IS NULL AND slot_at < $6)
         UNION ALL
        SELECT slot_at, phase, code, NULL, NULL, NULL, NULL, NULL
          FROM missed_slots
         WHERE project_id = $2 AND env = $3 AND slot_at BETWEEN $4 AND $5
           AND (deployment_id = $1 OR phase IS NULL AND slot_at < $6)
         UNION ALL
        SELECT slot_at, phase, code, NULL, NULL, NULL, NULL, NULL
          FROM kept_missed
         WHERE held_for = $1 AND slot_at BETWEEN $4 AND $5
           AND (deployment_id = $1 OR phase IS NULL AND slot_at < $6)) AS s
 ORDER BY slot_at, code NULLS FIRST

-- name: origin
SELECT revision, policy_digest FROM verdicts WHERE deployment_id = $1
