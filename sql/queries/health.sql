-- name: queue
-- How the queue is: what is planned, due, running; overdue for more than $1 seconds; and stuck: held
-- for more than ten minutes, or failed again and again without a deadline that would end it.
-- Notifications are retried for a day and give up by themselves.
SELECT count(*) FILTER (WHERE owner IS NULL AND scheduled_at > now()) AS planned,
       count(*) FILTER (WHERE owner IS NULL AND scheduled_at <= now()) AS due,
       count(*) FILTER (WHERE owner IS NOT NULL) AS running,
       count(*) FILTER (WHERE owner IS NULL
                          AND scheduled_at < now() - make_interval(secs => $1::float8)) AS overdue,
       coalesce(extract(epoch FROM now() - min(scheduled_at)
                        FILTER (WHERE owner IS NULL AND scheduled_at <= now())), 0)::float8
           AS oldest_due_seconds,
       count(*) FILTER (WHERE claimed_at < now() - interval '10 minutes' AND owner IS NOT NULL
                           OR attempt > 5 AND last_error IS NOT NULL AND deadline_at IS NULL
                              AND kind <> 'notify') AS stuck
  FROM scheduled_jobs

-- name: workers
-- Workers that live (see queries/workers.sql: tick), and when one last said something to the
-- database; null where there is none, or where its sessions are not ours to look at.
SELECT count(*) AS workers,
       extract(epoch FROM clock_timestamp() - max(a.state_change))::float8 AS heartbeat_age_seconds
  FROM pg_locks AS l
  LEFT JOIN pg_stat_activity AS a USING (pid)
 WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid = $1::bigint::oid

-- name: collection
-- Slots of the last $1 seconds that were filled, and those that were given up.
SELECT (SELECT count(*) FROM metric_samples
         WHERE slot_at > now() - make_interval(secs => $1::float8) AND slot_at <= now())
           AS collected,
       (SELECT count(*) FROM missed_slots
         WHERE slot_at > now() - make_interval(secs => $1::float8) AND slot_at <= now()) AS missed

-- name: policies
-- What the Community edition does by itself to our tables, and how much of it failed last time.
SELECT count(*) AS policies,
       count(*) FILTER (WHERE s.last_run_status = 'Failed') AS failed
  FROM timescaledb_information.jobs AS j
  LEFT JOIN timescaledb_information.job_stats AS s USING (job_id)
 WHERE j.hypertable_schema = current_schema()
