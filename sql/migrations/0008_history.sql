-- History: rollups, what is too old to be taken, rows that come late, samples that are held.

-- The moments everything about history turns around.
CREATE TABLE history_edges (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    samples_since   timestamptz NOT NULL DEFAULT '-infinity',
    chunks_since    timestamptz NOT NULL DEFAULT 'infinity',
    dropped_until   timestamptz NOT NULL DEFAULT '-infinity',
    closed_until    timestamptz NOT NULL DEFAULT '-infinity',
    rolled_5m_until timestamptz NOT NULL DEFAULT '-infinity',
    rolled_1h_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO history_edges DEFAULT VALUES;
COMMENT ON TABLE history_edges IS 'How far history is rolled up and retained; one row';
COMMENT ON COLUMN history_edges.samples_since IS 'Slots before it are not stored any more';
COMMENT ON COLUMN history_edges.chunks_since IS 'Begin of the oldest chunk of samples, when last seen';
COMMENT ON COLUMN history_edges.dropped_until IS 'Samples before it may have been dropped';
COMMENT ON COLUMN history_edges.closed_until IS 'Who writes a slot before it notes a late hour';
COMMENT ON COLUMN history_edges.rolled_5m_until IS 'End of what samples_5m holds';
COMMENT ON COLUMN history_edges.rolled_1h_until IS 'End of what samples_1h holds';

-- A log, not a set: writers only ever add to it, so none waits for another or for the roll-up.
CREATE TABLE late_hours (
    project_id uuid NOT NULL,
    env        text NOT NULL,
    hour_at    timestamptz NOT NULL
);
COMMENT ON TABLE late_hours IS 'Hours that changed after they were rolled up, to be rolled up again';

-- Sketches: bins grow by 4 %, so a quantile is off by at most 2 %. An element is
-- metric * 2^28 + bin * 2^16 + count: four bytes, and the order of numbers is that of values. Bin 0
-- is everything below 1e-34. The elements of several sketches together are a sketch.
CREATE FUNCTION sketch_value(metric integer, value double precision) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (metric << 28) + 1 + (CASE WHEN value < 1e-34 THEN 0
                                      ELSE least(4095, ceil(ln(value) / ln(1.04::float8)) + 2048)
                                 END::integer << 16);
COMMENT ON FUNCTION sketch_value IS 'The element of a sketch that stands for one value';

CREATE FUNCTION compact_sketch(sketch integer[]) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT array_agg((bin << 16) + least(65535, n - 65535 * part)::integer ORDER BY bin, part)
              FROM (SELECT element >> 16 AS bin, sum(element & 65535) AS n
                      FROM unnest(sketch) AS element
                     GROUP BY 1) AS bins
             CROSS JOIN LATERAL generate_series(0, (n - 1) / 65535) AS part);
COMMENT ON FUNCTION compact_sketch IS 'The same sketch with one element per bin (and 65,535 values)';

-- Rollups hold 4-byte floats: seven digits are plenty for a mean, and half the room. What targets
-- may send goes beyond their range.
CREATE FUNCTION as_real(value double precision) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value > 1e37 THEN 1e37 WHEN value < 1e-37 THEN 0 ELSE value END::real;
COMMENT ON FUNCTION as_real IS 'A number that is not negative, squeezed into a 4-byte float';

CREATE TABLE samples_5m (
    bucket_at             timestamptz NOT NULL,
    project_id            uuid NOT NULL,
    env                   text NOT NULL,
    samples               integer NOT NULL,
    missed                integer NOT NULL,
    requests_per_sec_mean real,
    requests_per_sec_min  real,
    requests_per_sec_max  real,
    latency_p95_mean      real,
    latency_p95_min       real,
    latency_p95_max       real,
    error_rate_mean       real,
    error_rate_min        real,
    error_rate_max        real,
    cpu_usage_mean        real,
    cpu_usage_min         real,
    cpu_usage_max         real,
    memory_usage_mean     real,
    memory_usage_min      real,
    memory_usage_max      real,
    sketch                integer[]
);
COMMENT ON TABLE samples_5m IS 'Samples of five minutes each, rolled up';
COMMENT ON COLUMN samples_5m.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN samples_5m.samples IS 'Slots with a sample';
COMMENT ON COLUMN samples_5m.missed IS 'Slots that were missed';
COMMENT ON COLUMN samples_5m.sketch IS 'Distribution of every metric, for report.quantile_of';
CREATE TABLE samples_1h (LIKE samples_5m INCLUDING COMMENTS);
COMMENT ON TABLE samples_1h IS 'Samples of an hour each, rolled up';
ALTER TABLE samples_5m ADD UNIQUE (project_id, env, bucket_at);
ALTER TABLE samples_1h ADD UNIQUE (project_id, env, bucket_at);
SELECT create_hypertable('samples_5m', 'bucket_at', chunk_time_interval => interval '14 days',
                         create_default_indexes => false);
SELECT create_hypertable('samples_1h', 'bucket_at', chunk_time_interval => interval '90 days',
                         create_default_indexes => false);

-- The one definition of a bucket: of whole ones, of late hours and of what is not rolled up yet.
CREATE FUNCTION buckets(width interval, since timestamptz, until timestamptz)
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
              FROM (SELECT slot_at, project_id, env, true AS present, requests_per_sec,
                           latency_p95, error_rate, cpu_usage, memory_usage
                      FROM metric_samples
                     WHERE slot_at >= since AND slot_at < until
                    UNION ALL
                    SELECT slot_at, project_id, env, false, NULL, NULL, NULL, NULL, NULL
                      FROM missed_slots
                     WHERE slot_at >= since AND slot_at < until) AS slots
             GROUP BY 1, 2, 3) AS rolled;
END;
COMMENT ON FUNCTION buckets IS 'Samples and missed slots in [since, until), rolled up';

-- See 0009.
CREATE INDEX missed_slots_slot_at ON missed_slots USING brin (slot_at) WITH (autosummarize);

-- What a verdict was made of stays as long as its deployment is held, whatever becomes of the rest.
ALTER TABLE deployments ADD COLUMN keep boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN deployments.keep IS 'Held: its samples outlive their retention';
CREATE INDEX deployments_kept ON deployments (id) WHERE keep;
CREATE TABLE kept_samples (
    held_for uuid NOT NULL REFERENCES deployments ON DELETE CASCADE,
    LIKE metric_samples INCLUDING COMMENTS,
    PRIMARY KEY (held_for, slot_at)
);
COMMENT ON TABLE kept_samples IS 'Copies of the samples that held deployments were judged by';
COMMENT ON COLUMN kept_samples.held_for IS 'The deployment that is held';

CREATE AGGREGATE report.merge_sketches(integer[]) (
    SFUNC = array_cat, STYPE = integer[], COMBINEFUNC = array_cat, PARALLEL = SAFE
);
COMMENT ON AGGREGATE report.merge_sketches(integer[]) IS 'Several sketches as one';

CREATE FUNCTION report.quantile_of(sketch integer[], metric text, q double precision)
    RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT CASE bin WHEN 0 THEN 0 ELSE 2 / 2.04::float8 * 1.04::float8 ^ (bin - 2048) END
              FROM (SELECT bin, sum(n) OVER (ORDER BY bin) AS up_to, sum(n) OVER () AS total
                      FROM (SELECT (element >> 16) & 4095 AS bin, element & 65535 AS n
                              FROM unnest(sketch) AS element
                             WHERE element >> 28 = array_position(
                                       ARRAY['requests_per_sec', 'latency_p95', 'error_rate',
                                             'cpu_usage', 'memory_usage'], metric) - 1) AS bins
                   ) AS summed
             WHERE up_to >= ceil(q * total)
             ORDER BY bin
             LIMIT 1);
COMMENT ON FUNCTION report.quantile_of IS
    'The value below which the share q of the samples lies, off by at most 2 %';

CREATE VIEW report.samples_5m AS
SELECT b.bucket_at, b.project_id, p.name AS project, b.env, b.samples, b.missed,
       b.samples::float8 / (b.samples + b.missed) AS coverage_ratio,
       b.requests_per_sec_mean, b.requests_per_sec_min, b.requests_per_sec_max,
       b.latency_p95_mean, b.latency_p95_min, b.latency_p95_max,
       b.error_rate_mean, b.error_rate_min, b.error_rate_max,
       b.cpu_usage_mean, b.cpu_usage_min, b.cpu_usage_max,
       b.memory_usage_mean, b.memory_usage_min, b.memory_usage_max,
       b.sketch
  FROM (SELECT *
          FROM samples_5m
         WHERE bucket_at < (SELECT rolled_5m_until FROM history_edges)
        UNION ALL
        SELECT tail.*
          FROM history_edges AS e
         CROSS JOIN LATERAL buckets('5 minutes', e.rolled_5m_until, 'infinity') AS tail) AS b
  JOIN projects AS p ON p.id = b.project_id;
COMMENT ON COLUMN report.samples_5m.coverage_ratio IS 'Share of the slots with a sample, 0..1';
COMMENT ON VIEW report.samples_5m IS 'Five minutes of a service per row; filter on bucket_at';

CREATE VIEW report.samples_1h AS
SELECT b.bucket_at, b.project_id, p.name AS project, b.env, b.samples, b.missed,
       b.samples::float8 / (b.samples + b.missed) AS coverage_ratio,
       b.requests_per_sec_mean, b.requests_per_sec_min, b.requests_per_sec_max,
       b.latency_p95_mean, b.latency_p95_min, b.latency_p95_max,
       b.error_rate_mean, b.error_rate_min, b.error_rate_max,
       b.cpu_usage_mean, b.cpu_usage_min, b.cpu_usage_max,
       b.memory_usage_mean, b.memory_usage_min, b.memory_usage_max,
       b.sketch
  FROM (SELECT *
          FROM samples_1h
         WHERE bucket_at < (SELECT rolled_1h_until FROM history_edges)
        UNION ALL
        SELECT tail.*
          FROM history_edges AS e
         CROSS JOIN LATERAL buckets('1 hour', e.rolled_1h_until, 'infinity') AS tail) AS b
  JOIN projects AS p ON p.id = b.project_id;
COMMENT ON COLUMN report.samples_1h.coverage_ratio IS 'Share of the slots with a sample, 0..1';
COMMENT ON VIEW report.samples_1h IS 'An hour of a service per row; filter on bucket_at';

CREATE VIEW report.coverage AS
SELECT time_bucket('1 day', bucket_at) AS day, project_id, project, env,
       sum(samples)::bigint AS samples, sum(missed)::bigint AS missed,
       sum(samples)::float8 / sum(samples + missed) AS coverage_ratio
  FROM report.samples_1h
 GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW report.coverage IS 'How much of each day was collected, per service; filter on day';
COMMENT ON COLUMN report.coverage.coverage_ratio IS 'Share of the planned slots with a sample, 0..1';

CREATE VIEW report.service_status AS
SELECT s.project_id, p.name AS project, s.env, t.health,
       last.slot_at AS last_sample_at, last.requests_per_sec, last.latency_p95, last.error_rate,
       last.cpu_usage, last.memory_usage,
       d.deployment_id, d.branch, d.state, d.triggered_at, d.verdict, d.conclusive
  FROM (SELECT project_id, env FROM targets
        UNION
        SELECT project_id, env FROM deployments) AS s
  JOIN projects AS p ON p.id = s.project_id
  LEFT JOIN report.targets AS t ON t.project_id = s.project_id AND t.env = s.env
  LEFT JOIN LATERAL (
       SELECT m.*
         FROM metric_samples AS m
        WHERE m.project_id = s.project_id AND m.env = s.env
        ORDER BY m.slot_at DESC
        LIMIT 1
     ) AS last ON true
  LEFT JOIN LATERAL (
       SELECT o.id AS deployment_id, o.branch, o.state, o.triggered_at, v.verdict, v.conclusive
         FROM deployments AS o
         LEFT JOIN verdicts AS v ON v.deployment_id = o.id
        WHERE o.project_id = s.project_id AND o.env = s.env
        ORDER BY o.triggered_at DESC
        LIMIT 1
     ) AS d ON true;
COMMENT ON VIEW report.service_status IS
    'One row per service: its last sample and its last deployment';
COMMENT ON COLUMN report.service_status.health IS 'Of its target; null: it pushes its samples';

CREATE VIEW report.dora AS
SELECT time_bucket('7 days', d.finished_at) AS week, d.project_id, p.name AS project, d.env,
       count(*) AS deployments,
       count(*) FILTER (WHERE d.result = 'failed') AS failed_pipelines,
       count(*) FILTER (WHERE l.harmful) AS harmful,
       count(*) FILTER (WHERE l.harmful)::float8 / count(*) AS change_failure_ratio,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM r.rolled_back_at - d.finished_at)::float8)
           AS median_restore_seconds,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM d.finished_at - d.triggered_at)::float8)
           AS median_rollout_seconds
  FROM deployments AS d
  JOIN projects AS p ON p.id = d.project_id
  LEFT JOIN report.deployment_labels AS l ON l.deployment_id = d.id
  LEFT JOIN report.detected_rollbacks AS r ON r.deployment_id = d.id
 WHERE d.finished_at IS NOT NULL
 GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW report.dora IS
    'Delivery by week and service: how often, how often harmful, how long until rolled back';
COMMENT ON COLUMN report.dora.week IS 'Its Monday';
COMMENT ON COLUMN report.dora.harmful IS 'Labelled harmful by feedback, else by a rollback';
COMMENT ON COLUMN report.dora.median_restore_seconds IS
    'From the finish of a deployment that was rolled back to the trigger of the rollback';
COMMENT ON COLUMN report.dora.median_rollout_seconds IS
    'From trigger to finish. Lead time needs commits, which are not known here';
