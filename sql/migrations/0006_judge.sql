-- What the judge says in full, its shadows, what it knows of a service's past, and what came true.

ALTER TABLE verdicts
    ADD COLUMN policy_digest text,
    ADD COLUMN quality_ratio double precision NOT NULL DEFAULT 1
               CHECK (quality_ratio BETWEEN 0 AND 1),
    ADD COLUMN penalties     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN confounders   uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN decided_at    smallint,
    ADD COLUMN profile_until timestamptz;
COMMENT ON COLUMN verdicts.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN verdicts.policy_digest IS 'Of its content: another one under the same name differs';
COMMENT ON COLUMN verdicts.confidence IS '0..1, meaning defined by the policy';
COMMENT ON COLUMN verdicts.quality_ratio IS 'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN verdicts.penalties IS 'What was wrong with the data, see docs/method.md';
COMMENT ON COLUMN verdicts.confounders IS 'Other deployments that overlap roll-out or post window';
COMMENT ON COLUMN verdicts.decided_at IS
    'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN verdicts.profile_until IS 'End of the history behind the profile; null: none used';

ALTER TABLE evidence
    ADD COLUMN severe                     boolean NOT NULL DEFAULT false,
    ADD COLUMN direction                  text,
    ADD COLUMN pattern                    text,
    ADD COLUMN effect                     double precision,
    ADD COLUMN effect_low                 double precision,
    ADD COLUMN effect_high                double precision,
    ADD COLUMN minimum_effect             double precision,
    ADD COLUMN smallest_detectable_effect double precision,
    ADD COLUMN test                       text,
    ADD COLUMN statistic                  double precision,
    ADD COLUMN p_value                    double precision,
    ADD COLUMN contribution               double precision NOT NULL DEFAULT 0,
    ADD COLUMN distance_to_flip           double precision,
    ADD COLUMN trend_per_hour             double precision;
COMMENT ON COLUMN evidence.baseline_source IS 'baseline, pre, previous, history or none';
COMMENT ON COLUMN evidence.expected IS 'Level without the deployment, unit of the metric';
COMMENT ON COLUMN evidence.observed IS 'Level of the post window, unit of the metric';
COMMENT ON COLUMN evidence.threshold IS 'Level a slot must not cross, unit of the metric';
COMMENT ON COLUMN evidence.exceedance_ratio IS 'Share of post slots beyond the threshold, 0..1';
COMMENT ON COLUMN evidence.tolerance_ratio IS 'Share of post slots that may lie beyond it, 0..1';
COMMENT ON COLUMN evidence.failed IS 'Whether the metric contributes to an alarm';
COMMENT ON COLUMN evidence.attribution IS
    'introduced, worsened, pre_existing, recovered, unknown; null: no deviation';
COMMENT ON COLUMN evidence.severe IS 'Whether the failure takes part in recommending a rollback';
COMMENT ON COLUMN evidence.direction IS 'worse or better, if the metric surely moved';
COMMENT ON COLUMN evidence.pattern IS 'step, ramp, transient or flapping, if it deviates';
COMMENT ON COLUMN evidence.effect IS
    'Size of the change, positive is worse: a difference (error rate) or a share of expected';
COMMENT ON COLUMN evidence.effect_low IS 'Lower end of the 95 % interval of effect';
COMMENT ON COLUMN evidence.effect_high IS 'Upper end of the 95 % interval of effect';
COMMENT ON COLUMN evidence.minimum_effect IS 'Smallest effect that matters under the policy';
COMMENT ON COLUMN evidence.smallest_detectable_effect IS 'Effect found nine times of ten';
COMMENT ON COLUMN evidence.test IS 'Name of the test, see docs/method.md';
COMMENT ON COLUMN evidence.statistic IS 'Value of the test';
COMMENT ON COLUMN evidence.p_value IS 'Probability of such a value without a change, 0..1';
COMMENT ON COLUMN evidence.contribution IS 'Share of this metric in the alarm, 0..1';
COMMENT ON COLUMN evidence.distance_to_flip IS
    'Growth of the effect until the metric fails; negative: fall until it does not';
COMMENT ON COLUMN evidence.trend_per_hour IS 'Slope in the post window, unit of the metric per hour';

CREATE TABLE shadow_verdicts (
    deployment_id  uuid NOT NULL REFERENCES deployments ON DELETE CASCADE,
    policy         text NOT NULL,
    policy_digest  text,
    verdict        text NOT NULL CHECK (verdict IN ('ok', 'warning', 'rollback_recommended')),
    conclusive     boolean NOT NULL,
    reason_code    text NOT NULL,
    confidence     double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    failed_metrics text[] NOT NULL,
    as_of          timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, policy)
);
COMMENT ON TABLE shadow_verdicts IS 'What other policies would have said, at the same moment';
COMMENT ON COLUMN shadow_verdicts.failed_metrics IS 'Metrics that contribute to an alarm';
COMMENT ON COLUMN shadow_verdicts.as_of IS 'The moment the judge was told it is';

CREATE TABLE service_profiles (
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    env        text NOT NULL,
    until      timestamptz NOT NULL,
    built_at   timestamptz NOT NULL DEFAULT now(),
    packed     bytea NOT NULL,
    PRIMARY KEY (project_id, env, until)
);
COMMENT ON TABLE service_profiles IS 'How much a service moves by itself, from its own history';
COMMENT ON COLUMN service_profiles.until IS 'End of the history it was made of';
COMMENT ON COLUMN service_profiles.built_at IS 'Deployments decided before this do not know it';
COMMENT ON COLUMN service_profiles.packed IS 'Numbers of analytics.profile, packed';
-- The bytes are incompressible floats: do not try.
ALTER TABLE service_profiles ALTER COLUMN packed SET STORAGE EXTERNAL;

CREATE TABLE feedback (
    deployment_id uuid PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
    harmful       boolean NOT NULL,
    given_by      text NOT NULL CHECK (length(given_by) BETWEEN 1 AND 255),
    given_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE feedback IS 'What people say afterwards: did the deployment hurt? The last word counts';
COMMENT ON COLUMN feedback.harmful IS 'Whether the deployment did harm, whatever the verdict was';

-- Neighbours of a deployment, and replay in order of time.
CREATE INDEX deployments_finished ON deployments (finished_at, id) WHERE finished_at IS NOT NULL;

DROP VIEW report.deployment_overview;
CREATE VIEW report.deployment_overview AS
SELECT d.id AS deployment_id, p.id AS project_id, p.name AS project, d.env, d.branch, d.state,
       d.result, d.triggered_at, d.finished_at, d.analyzed_at, d.post_slots,
       v.verdict, v.conclusive, v.reason_code, v.confidence, v.coverage_ratio, v.policy,
       (SELECT array_agg(e.metric ORDER BY e.metric)
          FROM evidence e WHERE e.deployment_id = d.id AND e.failed) AS failed_metrics,
       (SELECT count(*) FROM hints h WHERE h.deployment_id = d.id) AS hint_count,
       v.policy_digest, v.quality_ratio, v.penalties, v.confounders, v.decided_at, v.profile_until,
       v.as_of
  FROM deployments d
  JOIN projects p ON p.id = d.project_id
  LEFT JOIN verdicts v ON v.deployment_id = d.id;
COMMENT ON VIEW report.deployment_overview IS 'One row per deployment with its verdict, if any';

DROP VIEW report.verdict_evidence;
CREATE VIEW report.verdict_evidence AS
SELECT e.deployment_id, d.project_id, p.name AS project, d.env, d.finished_at, v.verdict,
       e.metric, e.baseline_source, e.baseline_n, e.post_n, e.expected, e.observed, e.threshold,
       e.exceedance_ratio, e.tolerance_ratio, e.failed, e.attribution, e.severe, e.direction,
       e.pattern, e.effect, e.effect_low, e.effect_high, e.minimum_effect,
       e.smallest_detectable_effect, e.test, e.statistic, e.p_value, e.contribution,
       e.distance_to_flip, e.trend_per_hour
  FROM evidence e
  JOIN verdicts v ON v.deployment_id = e.deployment_id
  JOIN deployments d ON d.id = e.deployment_id
  JOIN projects p ON p.id = d.project_id;
COMMENT ON VIEW report.verdict_evidence IS 'Five rows per verdict: what each metric contributed';

-- Branches are all we know of versions, so a rollback shows only where versions are branches (or
-- tags): the branch that was there right before is back within two hours.
CREATE VIEW report.detected_rollbacks AS
SELECT deployment_id, project_id, env, branch, finished_at, next_id AS rollback_id,
       next_branch AS back_to, next_at AS rolled_back_at
  FROM (SELECT id AS deployment_id, project_id, env, branch, finished_at,
               lag(branch) OVER service AS previous_branch,
               lead(id) OVER service AS next_id,
               lead(branch) OVER service AS next_branch,
               lead(triggered_at) OVER service AS next_at
          FROM deployments
         WHERE finished_at IS NOT NULL
        WINDOW service AS (PARTITION BY project_id, env ORDER BY triggered_at, id)) AS d
 WHERE next_branch = previous_branch AND next_branch <> branch
   AND next_at <= finished_at + interval '2 hours';
COMMENT ON VIEW report.detected_rollbacks IS
    'Deployments whose predecessor''s branch was deployed again within two hours of their finish';

CREATE VIEW report.deployment_labels AS
SELECT d.id AS deployment_id, coalesce(f.harmful, true) AS harmful,
       CASE WHEN f.deployment_id IS NULL THEN 'rollback' ELSE 'feedback' END AS source
  FROM deployments d
  LEFT JOIN feedback f ON f.deployment_id = d.id
  LEFT JOIN report.detected_rollbacks r ON r.deployment_id = d.id
 WHERE f.deployment_id IS NOT NULL OR r.deployment_id IS NOT NULL;
COMMENT ON VIEW report.deployment_labels IS
    'Whether a deployment did harm, where that is known: from feedback, else from a rollback';

CREATE VIEW report.shadow_verdicts AS
SELECT s.deployment_id, d.project_id, p.name AS project, d.env, d.finished_at, s.policy,
       s.policy_digest, s.verdict, s.conclusive, s.reason_code, s.confidence, s.failed_metrics,
       v.policy AS live_policy, v.verdict AS live_verdict
  FROM shadow_verdicts s
  JOIN deployments d ON d.id = s.deployment_id
  JOIN projects p ON p.id = d.project_id
  LEFT JOIN verdicts v ON v.deployment_id = s.deployment_id;
COMMENT ON VIEW report.shadow_verdicts IS 'What shadow policies said, beside the live verdict';

CREATE VIEW report.policy_accuracy AS
SELECT policy, policy_digest, live, project,
       count(*) AS labelled,
       count(*) FILTER (WHERE from_feedback) AS from_feedback,
       count(*) FILTER (WHERE harmful) AS harmful,
       count(*) FILTER (WHERE alarm) AS alarms,
       count(*) FILTER (WHERE alarm AND harmful) AS true_alarms,
       count(*) FILTER (WHERE NOT conclusive) AS inconclusive,
       (count(*) FILTER (WHERE alarm AND harmful))::float8
           / nullif(count(*) FILTER (WHERE alarm), 0) AS precision_ratio,
       (count(*) FILTER (WHERE alarm AND harmful))::float8
           / nullif(count(*) FILTER (WHERE harmful), 0) AS recall_ratio
  FROM (SELECT v.policy, v.policy_digest, v.live, p.name AS project, v.conclusive,
               v.conclusive AND v.verdict <> 'ok' AS alarm,
               l.harmful, l.source = 'feedback' AS from_feedback
          FROM (SELECT deployment_id, policy, policy_digest, verdict, conclusive, true AS live
                  FROM verdicts
                UNION ALL
                SELECT deployment_id, policy, policy_digest, verdict, conclusive, false
                  FROM shadow_verdicts) AS v
          JOIN report.deployment_labels l ON l.deployment_id = v.deployment_id
          JOIN deployments d ON d.id = v.deployment_id
          JOIN projects p ON p.id = d.project_id) AS labelled
 GROUP BY GROUPING SETS ((policy, policy_digest, live, project), (policy, policy_digest, live));
COMMENT ON VIEW report.policy_accuracy IS
    'How right each policy was where the truth is known: from feedback, else from a rollback';
COMMENT ON COLUMN report.policy_accuracy.project IS 'Null: all projects together';
COMMENT ON COLUMN report.policy_accuracy.alarms IS 'Conclusive verdicts other than ok';
COMMENT ON COLUMN report.policy_accuracy.precision_ratio IS
    'Share of alarms that were harmful, 0..1; unlabelled alarms are in no count';
COMMENT ON COLUMN report.policy_accuracy.recall_ratio IS 'Share of harmful ones with an alarm, 0..1';
