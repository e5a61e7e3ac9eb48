-- Processes that own nothing, and readers who see nothing but schema `report` (sql/roles.py).

-- The conditions are always true. Without them the planner makes one list of all chunks of both tables,
-- and chunks are not excluded any more by a moment that is only known when the query runs.
CREATE VIEW report.slots AS
SELECT slot_at, project_id, env, true AS present, requests_per_sec, latency_p95, error_rate,
       cpu_usage, memory_usage
  FROM metric_samples
 WHERE slot_at >= '-infinity'
UNION ALL
SELECT slot_at, project_id, env, false, NULL, NULL, NULL, NULL, NULL
  FROM missed_slots
 WHERE slot_at >= '-infinity';
COMMENT ON VIEW report.slots IS 'Every slot there was, collected or missed; filter on slot_at';
COMMENT ON COLUMN report.slots.present IS 'Whether it has a sample';

-- A function that becomes part of a query reads with the rights of whoever asks, so it may not name
-- tables that readers may not read: a view reads with the rights of its owner.
CREATE OR REPLACE FUNCTION buckets(width interval, since timestamptz, until timestamptz)
    RETURNS SETOF samples_5m
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT bucket_at, project_id, env, samples, missed,
           requests_per_sec_mean, requests_per_sec_min, requests_per_sec_max,
           latency_p95_mean, latency_p95_min, latency_p95_max,
           error_rate_mean, error_rate_min, error_rate_max,
           cpu_usage_mean, cpu_usage_min, cpu_usage_max,
           memory_usage_mean, memory_usage_min, memory_usage_max,
           CASE WHEN samples > 16 THEN compact_sketch(elements) ELSE elements END
      FROM (SELECT time_bucket(width, slot_at) AS bucket_at, project_id, env,
                   count(*) FILTER (WHERE present)::integer AS samples,
                   count(*) FILTER (WHERE NOT present)::integer AS missed,
                   as_real(avg(least(requests_per_sec, 1e100))
                               FILTER (WHERE requests_per_sec IS NOT NULL)) AS requests_per_sec_mean,
                   as_real(min(requests_per_sec)) AS requests_per_sec_min,
                   as_real(max(requests_per_sec)) AS requests_per_sec_max,
                   as_real(avg(least(latency_p95, 1e100))
                               FILTER (WHERE latency_p95 IS NOT NULL)) AS latency_p95_mean,
                   as_real(min(latency_p95)) AS latency_p95_min,
                   as_real(max(latency_p95)) AS latency_p95_max,
                   as_real(avg(error_rate)) AS error_rate_mean,
                   as_real(min(error_rate)) AS error_rate_min,
                   as_real(max(error_rate)) AS error_rate_max,
                   as_real(avg(cpu_usage)) AS cpu_usage_mean,
                   as_real(min(cpu_usage)) AS cpu_usage_min,
                   as_real(max(cpu_usage)) AS cpu_usage_max,
                   as_real(avg(memory_usage)) AS memory_usage_mean,
                   as_real(min(memory_usage)) AS memory_usage_min,
                   as_real(max(memory_usage)) AS memory_usage_max,
                   array_agg(sketch_value(0, requests_per_sec))
                       FILTER (WHERE requests_per_sec >= 0)
                   || array_agg(sketch_value(1, latency_p95)) FILTER (WHERE latency_p95 >= 0)
                   || array_agg(sketch_value(2, error_rate)) FILTER (WHERE error_rate >= 0)
                   || array_agg(sketch_value(3, cpu_usage)) FILTER (WHERE cpu_usage >= 0)
                   || array_agg(sketch_value(4, memory_usage)) FILTER (WHERE memory_usage >= 0)
                       AS elements
              FROM report.slots
             WHERE slot_at >= since AND slot_at < until
             GROUP BY 1, 2, 3) AS rolled;
END;

-- Chunks can only be dropped by the owner of their table, and that is no process that runs all day.
-- A text, not a parsed body: an update of the extension may replace what a parsed one depends on.
CREATE FUNCTION drop_old_chunks(hypertable regclass, since timestamptz, until timestamptz)
    RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path FROM CURRENT
    AS 'SELECT count(*) FROM drop_chunks($1, older_than => $3, newer_than => $2)';
COMMENT ON FUNCTION drop_old_chunks IS 'Drops the chunks between two moments, for who may call it';
REVOKE ALL ON FUNCTION drop_old_chunks FROM PUBLIC;

-- Teams that may see some projects only (sql/teams.py); nobody does unless somebody is named here.
CREATE TABLE team_projects (
    team       text NOT NULL CHECK (team ~ '^[a-z][a-z0-9_]{0,39}$'),
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    PRIMARY KEY (team, project_id)
);
COMMENT ON TABLE team_projects IS 'Which projects the role seqpulse_team_<team> sees in schema team';
CREATE SCHEMA team;
COMMENT ON SCHEMA team IS 'The views of schema report, row by row for whoever asks; empty without teams';
