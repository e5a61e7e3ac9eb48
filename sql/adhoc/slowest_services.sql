-- Which services are the slowest, and how has that changed since the days before? The 95th
-- percentiles are of the samples' latency_p95, off by at most 2 %.
-- Values: days = 7
-- Gives: project, env, p95_ms, p95_ms_before, change_ratio
SELECT project, env, p95_ms, p95_ms_before, p95_ms / nullif(p95_ms_before, 0) - 1 AS change_ratio
  FROM (SELECT project, env,
               report.quantile_of(report.merge_sketches(sketch)
                   FILTER (WHERE bucket_at >= now() - make_interval(days => :'days'::integer)), 'latency_p95', 0.95)
                   AS p95_ms,
               report.quantile_of(report.merge_sketches(sketch)
                   FILTER (WHERE bucket_at < now() - make_interval(days => :'days'::integer)), 'latency_p95', 0.95)
                   AS p95_ms_before
          FROM report.samples_1h
         WHERE bucket_at >= now() - 2 * make_interval(days => :'days'::integer)
         GROUP BY project, env) AS weeks
 WHERE p95_ms IS NOT NULL
 ORDER BY p95_ms DESC
 LIMIT 20;
