-- A window in which too little happened to tell anything is extended, once.

ALTER TABLE deployments ADD COLUMN extended_at timestamptz;
COMMENT ON COLUMN deployments.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN deployments.extended_at IS
    'When the post window was extended to twice its slots; null: it was not';

CREATE OR REPLACE VIEW report.deployment_overview AS
SELECT d.id AS deployment_id, p.id AS project_id, p.name AS project, d.env, d.branch, d.state,
       d.result, d.triggered_at, d.finished_at, d.analyzed_at, d.post_slots,
       v.verdict, v.conclusive, v.reason_code, v.confidence, v.coverage_ratio, v.policy,
       (SELECT array_agg(e.metric ORDER BY e.metric)
          FROM evidence e WHERE e.deployment_id = d.id AND e.failed) AS failed_metrics,
       (SELECT count(*) FROM hints h WHERE h.deployment_id = d.id) AS hint_count,
       v.policy_digest, v.quality_ratio, v.penalties, v.confounders, v.decided_at, v.profile_until,
       v.as_of, d.extended_at
  FROM deployments d
  JOIN projects p ON p.id = d.project_id
  LEFT JOIN verdicts v ON v.deployment_id = d.id;
