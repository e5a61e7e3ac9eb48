-- What boards read after :days days of :services services, made by the server: samples of the last
-- :raw days a minute apart, rollups of all days, a deployment a day and service with what is said of it.
INSERT INTO projects (id, name, plan, post_slots)
SELECT md5(i::text)::uuid, 'service ' || i, 'pro', 15 FROM generate_series(1, :services) AS i;
INSERT INTO targets (project_id, env, endpoint, failures, last_code)
SELECT id, 'prod', 'https://shop.example.com/metrics', CASE WHEN random() < 0.03 THEN 3 ELSE 0 END, 'timeout'
  FROM projects;

INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec, latency_p95,
                            error_rate, cpu_usage, memory_usage)
SELECT t, t, p.id, 'prod', 20 + 10 * random(), 80 + 20 * random(), 0.01 * random(), 0.4 + 0.1 * random(), 0.5
  FROM generate_series(date_trunc('hour', now()) - interval ':raw days', now(), interval '1 minute') AS t,
       projects AS p
 WHERE random() > 0.02;
INSERT INTO missed_slots (slot_at, project_id, env, code, detail)
SELECT t, p.id, 'prod', 'timeout', ''
  FROM generate_series(date_trunc('hour', now()) - interval ':raw days', now(), interval '1 minute') AS t,
       projects AS p
 WHERE random() < 0.02
ON CONFLICT DO NOTHING;

INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, finished_at, analyzed_at,
                         post_slots, slot_seconds)
SELECT gen_random_uuid(), p.id, 'prod', 'v' || i, 'analyzed', 'success', t.at, t.at + interval '2 minutes',
       t.at + interval '17 minutes', 15, 60
  FROM projects AS p, generate_series(0, :days - 1) AS i,
       LATERAL (SELECT now() - interval '30 minutes' - i * interval '1 day' - random() * interval '20 hours'
                       * (p.id IS NOT NULL)::integer AS at) AS t;
INSERT INTO verdicts (deployment_id, policy, policy_digest, verdict, conclusive, reason_code, confidence,
                      coverage_ratio, as_of, profile_until)
SELECT d.id, 'seqpulse-v1', md5('policy'), CASE WHEN r < 0.8 THEN 'ok' WHEN r < 0.93 THEN 'warning'
                                               ELSE 'rollback_recommended' END,
       random() < 0.9, 'within_thresholds', 0.9, 0.98, d.analyzed_at, d.triggered_at
  FROM (SELECT d.id, d.analyzed_at, d.triggered_at, random() AS r FROM deployments AS d) AS d;
INSERT INTO shadow_verdicts (deployment_id, policy, policy_digest, verdict, conclusive, reason_code,
                             confidence, failed_metrics, as_of)
SELECT deployment_id, 'slo', md5('slo'), verdict, conclusive, reason_code, 0.8, '{}', as_of FROM verdicts;
INSERT INTO evidence (deployment_id, metric, baseline_source, baseline_n, post_n, expected, observed,
                      threshold, exceedance_ratio, tolerance_ratio, failed, attribution)
SELECT v.deployment_id, m, 'baseline', 30, 15, 90, 95, 120, 0.1, 0.2,
       v.verdict <> 'ok' AND m = 'latency_p95', 'introduced'
  FROM verdicts AS v,
       unnest(ARRAY['requests_per_sec', 'latency_p95', 'error_rate', 'cpu_usage', 'memory_usage']) AS m;
INSERT INTO hints (deployment_id, rule, position, severity, title, diagnosis, actions, metrics)
SELECT v.deployment_id, 'rule_' || (random() * 10)::integer || '_' || i, i,
       (ARRAY['info', 'warning', 'critical'])[1 + i], 'title', 'diagnosis of what was seen',
       '{roll back,look at the logs}', '{latency_p95}'
  FROM verdicts AS v, generate_series(0, 2) AS i
 WHERE v.verdict <> 'ok'
ON CONFLICT DO NOTHING;
INSERT INTO feedback (deployment_id, harmful, given_by)
SELECT deployment_id, random() < 0.7, 'somebody' FROM verdicts WHERE verdict <> 'ok' AND random() < 0.4;
INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, deployment_id, phase,
                      sequence_index, slot_at, scheduled_at, claimed_at, status, attempt)
SELECT s.at, row_number() OVER (), 'collect', 0, d.project_id, d.env, d.id, 'post', i, s.at, s.at, s.at,
       'completed', 1
  FROM deployments AS d, generate_series(0, 14) AS i,
       LATERAL (SELECT d.finished_at + i * interval '1 minute' AS at) AS s
 WHERE d.finished_at > now() - interval '30 days';
