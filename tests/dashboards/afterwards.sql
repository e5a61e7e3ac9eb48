-- What came true: people say of every third alarm, and of every tenth deployment.
INSERT INTO feedback (deployment_id, harmful, given_by)
SELECT id, nth % 4 <> 0, 'somebody'
  FROM (SELECT d.id, row_number() OVER (ORDER BY d.finished_at) AS nth, v.verdict
          FROM deployments AS d JOIN verdicts AS v ON v.deployment_id = d.id) AS d
 WHERE nth % 10 = 0 OR (verdict <> 'ok' AND nth % 3 = 0);
INSERT INTO shadow_verdicts (deployment_id, policy, policy_digest, verdict, conclusive, reason_code,
                             confidence, failed_metrics, as_of)
SELECT deployment_id, 'bolder', 'abcdef0123456789', 'ok', true, reason_code, confidence, '{}', as_of FROM verdicts;
INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index, code, detail)
SELECT d.finished_at + i * interval '1 minute', d.project_id, d.env, d.id, 'post', i, 'timeout', 'no answer'
  FROM deployments AS d, generate_series(0, d.post_slots - 1) AS i
 WHERE NOT EXISTS (SELECT FROM metric_samples AS m WHERE m.deployment_id = d.id AND m.phase = 'post'
                      AND m.sequence_index = i)
ON CONFLICT DO NOTHING;
INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, deployment_id, phase, sequence_index,
                      slot_at, scheduled_at, claimed_at, status, attempt)
SELECT s.slot_at + interval '2 seconds', row_number() OVER (), 'collect', 0, s.project_id, s.env, s.deployment_id,
       s.phase, s.sequence_index, s.slot_at, s.slot_at, s.slot_at + interval '400 milliseconds', 'completed', 1
  FROM metric_samples AS s WHERE s.phase = 'post';
INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, deployment_id, phase, sequence_index,
                      slot_at, scheduled_at, claimed_at, status, attempt, last_error)
SELECT m.slot_at + interval '9 seconds', 100000 + row_number() OVER (), 'collect', 0, m.project_id, m.env,
       m.deployment_id, m.phase, m.sequence_index, m.slot_at, m.slot_at, m.slot_at + interval '1 second',
       'failed', 4, m.code
  FROM missed_slots AS m WHERE m.deployment_id IS NOT NULL;
