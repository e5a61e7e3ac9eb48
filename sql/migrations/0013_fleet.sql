-- The fleet by the hour, and rollups in less time.

-- An hour of all services is found without reading three months. Only upkeep writes here, so nobody
-- waits for this; it may take minutes, so it comes before what others wait for.
CREATE INDEX samples_1h_bucket_at ON samples_1h USING brin (bucket_at) WITH (autosummarize);

-- All services of an environment as one row: thousands of sketches a day are too many to merge when
-- somebody asks. Made of samples_1h, hour by hour (sql/rollups.py).
CREATE TABLE samples_fleet_1h (
    bucket_at timestamptz NOT NULL,
    env       text NOT NULL,
    services  integer NOT NULL,
    samples   bigint NOT NULL,
    missed    bigint NOT NULL,
    sketch    integer[],
    UNIQUE (env, bucket_at)
);
COMMENT ON TABLE samples_fleet_1h IS 'Samples of all services of an environment, an hour each';
COMMENT ON COLUMN samples_fleet_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN samples_fleet_1h.services IS 'Services with a sample or a missed slot';
COMMENT ON COLUMN samples_fleet_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN samples_fleet_1h.missed IS 'Slots that were missed';
COMMENT ON COLUMN samples_fleet_1h.sketch IS 'Distribution of every metric, for report.quantile_of';
SELECT create_hypertable('samples_fleet_1h', 'bucket_at', chunk_time_interval => interval '90 days',
                         create_default_indexes => false);

CREATE VIEW report.samples_fleet_1h AS
SELECT bucket_at, env, services, samples, missed,
       samples::float8 / (samples + missed) AS coverage_ratio, sketch
  FROM samples_fleet_1h;
COMMENT ON VIEW report.samples_fleet_1h IS
    'An hour of all services of an environment per row, once it is rolled up; filter on bucket_at';
COMMENT ON COLUMN report.samples_fleet_1h.coverage_ratio IS
    'Share of the slots with a sample, 0..1';

-- As in 0011, but values are counted right here: calling a function for every bucket costs twice as
-- much. Where a count may not fit into an element compact_sketch sees to it.
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
           CASE WHEN samples <= 16 THEN elements
                WHEN samples > 65535 THEN compact_sketch(elements)
                ELSE (SELECT array_agg(element + more)
                        FROM (SELECT element, count(*)::integer - 1 AS more
                                FROM unnest(elements) AS element
                               GROUP BY 1) AS bins)
           END
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

-- At the end: whoever stores a sample reads these edges, and waits from here on.
ALTER TABLE history_edges
    ADD COLUMN rolled_fleet_1h_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN history_edges.rolled_fleet_1h_until IS 'End of what samples_fleet_1h holds';
