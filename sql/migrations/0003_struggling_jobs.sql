-- An alarm for jobs that are never given up, a judge above all.
CREATE OR REPLACE VIEW report.scheduler_health AS
SELECT (SELECT count(*) FROM scheduled_jobs WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM scheduled_jobs WHERE status = 'running') AS running,
       (SELECT count(*) FROM scheduled_jobs
         WHERE status = 'pending' AND scheduled_at < now()) AS overdue,
       (SELECT extract(epoch FROM now() - min(scheduled_at)) FROM scheduled_jobs
         WHERE status = 'pending' AND scheduled_at < now())::float8 AS oldest_overdue_seconds,
       (SELECT count(*) FROM workers) AS workers,
       (SELECT count(*) FROM job_runs
         WHERE status = 'failed' AND finished_at > now() - interval '15 minutes') AS failed_15m,
       (SELECT count(*) FROM scheduled_jobs
         WHERE attempt > 3 AND last_error IS NOT NULL) AS struggling;
COMMENT ON COLUMN report.scheduler_health.struggling IS
    'Live jobs that failed at least three times: one that is never given up wants a look';
