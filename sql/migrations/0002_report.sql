-- Schema `report`: what dashboards and analysts read. Stable names; base tables may change below.

CREATE SCHEMA report;
COMMENT ON SCHEMA report IS 'Stable views for Grafana and analysts; base tables are private';

CREATE VIEW report.deployment_overview AS
SELECT d.id AS deployment_id, p.id AS project_id, p.name AS project, d.env, d.branch, d.state,
       d.result, d.triggered_at, d.finished_at, d.analyzed_at, d.post_slots,
       v.verdict, v.conclusive, v.reason_code, v.confidence, v.coverage_ratio, v.policy,
       (SELECT array_agg(e.metric ORDER BY e.metric)
          FROM evidence e WHERE e.deployment_id = d.id AND e.failed) AS failed_metrics,
       (SELECT count(*) FROM hints h WHERE h.deployment_id = d.id) AS hint_count
  FROM deployments d
  JOIN projects p ON p.id = d.project_id
  LEFT JOIN verdicts v ON v.deployment_id = d.id;
COMMENT ON VIEW report.deployment_overview IS 'One row per deployment with its verdict, if any';

CREATE VIEW report.deployment_samples AS
SELECT s.slot_at, s.collected_at, s.project_id, p.name AS project, s.env, s.deployment_id, s.phase,
       s.sequence_index, s.requests_per_sec, s.latency_p95, s.error_rate, s.cpu_usage,
       s.memory_usage
  FROM metric_samples s
  JOIN projects p ON p.id = s.project_id;
COMMENT ON VIEW report.deployment_samples IS 'Every collected slot; filter on slot_at';

CREATE VIEW report.missed_slots AS
SELECT m.slot_at, m.project_id, p.name AS project, m.env, m.deployment_id, m.phase,
       m.sequence_index, m.code, m.detail
  FROM missed_slots m
  JOIN projects p ON p.id = m.project_id;
COMMENT ON VIEW report.missed_slots IS 'Every slot that could not be collected, and why';

CREATE VIEW report.verdict_evidence AS
SELECT e.deployment_id, d.project_id, p.name AS project, d.env, d.finished_at, v.verdict,
       e.metric, e.baseline_source, e.baseline_n, e.post_n, e.expected, e.observed, e.threshold,
       e.exceedance_ratio, e.tolerance_ratio, e.failed, e.attribution
  FROM evidence e
  JOIN verdicts v ON v.deployment_id = e.deployment_id
  JOIN deployments d ON d.id = e.deployment_id
  JOIN projects p ON p.id = d.project_id;
COMMENT ON VIEW report.verdict_evidence IS 'Five rows per verdict: what each metric contributed';

CREATE VIEW report.hints AS
SELECT h.deployment_id, d.project_id, p.name AS project, d.env, d.finished_at, h.severity, h.rule,
       h.position, h.title, h.diagnosis, h.actions, h.metrics
  FROM hints h
  JOIN deployments d ON d.id = h.deployment_id
  JOIN projects p ON p.id = d.project_id;
COMMENT ON VIEW report.hints IS 'Composite diagnoses (SDH hints) with the actions to take';

CREATE VIEW report.jobs AS
SELECT id, kind, priority, status, project_id, env, deployment_id, phase, sequence_index, slot_at,
       scheduled_at, claimed_at, NULL::timestamptz AS finished_at, attempt, owner, last_error
  FROM scheduled_jobs
UNION ALL
SELECT id, kind, priority, status, project_id, env, deployment_id, phase, sequence_index, slot_at,
       scheduled_at, claimed_at, finished_at, attempt, owner, last_error
  FROM job_runs;
COMMENT ON VIEW report.jobs IS 'Every job, live or done; filter on finished_at for history';

CREATE VIEW report.scheduler_health AS
SELECT (SELECT count(*) FROM scheduled_jobs WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM scheduled_jobs WHERE status = 'running') AS running,
       (SELECT count(*) FROM scheduled_jobs
         WHERE status = 'pending' AND scheduled_at < now()) AS overdue,
       (SELECT extract(epoch FROM now() - min(scheduled_at)) FROM scheduled_jobs
         WHERE status = 'pending' AND scheduled_at < now())::float8 AS oldest_overdue_seconds,
       (SELECT count(*) FROM workers) AS workers,
       (SELECT count(*) FROM job_runs
         WHERE status = 'failed' AND finished_at > now() - interval '15 minutes') AS failed_15m;
COMMENT ON VIEW report.scheduler_health IS 'One row: how the scheduler feels right now';
COMMENT ON COLUMN report.scheduler_health.overdue IS 'Pending jobs whose time has come';
