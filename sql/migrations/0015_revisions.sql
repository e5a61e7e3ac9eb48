-- A deployment can be judged again: what was said before stays, with everything it rested on.

CREATE TABLE former_verdicts (
    LIKE verdicts INCLUDING COMMENTS INCLUDING CONSTRAINTS,
    revision      integer NOT NULL,
    evidence      jsonb NOT NULL,
    hints         jsonb NOT NULL,
    shadows       jsonb NOT NULL,
    superseded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, revision),
    FOREIGN KEY (deployment_id) REFERENCES deployments ON DELETE CASCADE
);
COMMENT ON TABLE former_verdicts IS 'What was said of a deployment before it was judged again';
COMMENT ON COLUMN former_verdicts.revision IS 'Which verdict of its deployment this was, from 1 on';
COMMENT ON COLUMN former_verdicts.evidence IS 'Its rows of evidence, as they were';
COMMENT ON COLUMN former_verdicts.hints IS 'Its hints, as they were, most important first';
COMMENT ON COLUMN former_verdicts.shadows IS 'What shadow policies had said beside it';
COMMENT ON COLUMN former_verdicts.superseded_at IS 'When the next revision took its place';

-- At the end: from here on everybody waits who reads or writes a verdict.
ALTER TABLE verdicts ADD COLUMN revision integer NOT NULL DEFAULT 1;
COMMENT ON TABLE verdicts IS
    'What the judge says of a deployment: its newest revision (see former_verdicts)';
COMMENT ON COLUMN verdicts.revision IS 'From 1 on; one more each time it is judged again';

CREATE VIEW verdict_revisions AS
SELECT deployment_id, revision, verdict, conclusive, as_of FROM verdicts
UNION ALL
SELECT deployment_id, revision, verdict, conclusive, as_of FROM former_verdicts;
COMMENT ON VIEW verdict_revisions IS 'Everything that was ever said, to find what was known when';

CREATE OR REPLACE VIEW report.deployment_overview AS
SELECT d.id AS deployment_id, p.id AS project_id, p.name AS project, d.env, d.branch, d.state,
       d.result, d.triggered_at, d.finished_at, d.analyzed_at, d.post_slots,
       v.verdict, v.conclusive, v.reason_code, v.confidence, v.coverage_ratio, v.policy,
       (SELECT array_agg(e.metric ORDER BY e.metric)
          FROM evidence e WHERE e.deployment_id = d.id AND e.failed) AS failed_metrics,
       (SELECT count(*) FROM hints h WHERE h.deployment_id = d.id) AS hint_count,
       v.policy_digest, v.quality_ratio, v.penalties, v.confounders, v.decided_at, v.profile_until,
       v.as_of, d.extended_at, v.revision
  FROM deployments d
  JOIN projects p ON p.id = d.project_id
  LEFT JOIN verdicts v ON v.deployment_id = d.id;
COMMENT ON COLUMN report.deployment_overview.revision IS
    'Which verdict of the deployment this is, from 1 on; it always is the newest';

CREATE VIEW report.verdict_revisions AS
SELECT r.deployment_id, r.revision, d.project_id, p.name AS project, d.env, d.branch, d.finished_at,
       r.superseded_at IS NULL AS newest, r.verdict, r.conclusive, r.reason_code, r.confidence,
       r.coverage_ratio, r.policy, r.policy_digest, r.quality_ratio, r.penalties, r.confounders,
       r.decided_at, r.profile_until, r.as_of, r.created_at, r.superseded_at, r.evidence, r.hints,
       r.shadows
  FROM (SELECT v.deployment_id, v.revision, v.verdict, v.conclusive, v.reason_code, v.confidence,
               v.coverage_ratio, v.policy, v.policy_digest, v.quality_ratio, v.penalties,
               v.confounders, v.decided_at, v.profile_until, v.as_of, v.created_at,
               NULL::timestamptz AS superseded_at,
               (SELECT coalesce(jsonb_agg(to_jsonb(e) - 'deployment_id' ORDER BY e.metric), '[]')
                  FROM evidence e WHERE e.deployment_id = v.deployment_id) AS evidence,
               (SELECT coalesce(jsonb_agg(to_jsonb(h) - 'deployment_id' ORDER BY h.position), '[]')
                  FROM hints h WHERE h.deployment_id = v.deployment_id) AS hints,
               (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'deployment_id' ORDER BY s.policy), '[]')
                  FROM shadow_verdicts s WHERE s.deployment_id = v.deployment_id) AS shadows
          FROM verdicts v
        UNION ALL
        SELECT f.deployment_id, f.revision, f.verdict, f.conclusive, f.reason_code, f.confidence,
               f.coverage_ratio, f.policy, f.policy_digest, f.quality_ratio, f.penalties,
               f.confounders, f.decided_at, f.profile_until, f.as_of, f.created_at,
               f.superseded_at, f.evidence, f.hints, f.shadows
          FROM former_verdicts f) r
  JOIN deployments d ON d.id = r.deployment_id
  JOIN projects p ON p.id = d.project_id;
COMMENT ON VIEW report.verdict_revisions IS
    'Everything that was ever said of deployments, one row per revision; the newest counts';
COMMENT ON COLUMN report.verdict_revisions.revision IS 'From 1 on, by deployment';
COMMENT ON COLUMN report.verdict_revisions.newest IS 'Whether it is the one that counts';
COMMENT ON COLUMN report.verdict_revisions.evidence IS
    'What each metric contributed; columns as in report.verdict_evidence';
COMMENT ON COLUMN report.verdict_revisions.hints IS 'Columns as in report.hints';
COMMENT ON COLUMN report.verdict_revisions.shadows IS 'What shadow policies said beside it';
COMMENT ON COLUMN report.verdict_revisions.superseded_at IS
    'When the next revision took its place; null: it is the newest';
