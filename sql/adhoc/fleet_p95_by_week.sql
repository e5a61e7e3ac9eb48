-- How fast is everything together, week by week? Quantiles of latency_p95 over all samples of an
-- environment, off by at most 2 %. The mean of percentiles would be no percentile of anything.
-- Values: weeks = 12
-- Gives: week, env, samples, coverage_ratio, median_ms, p95_ms, p99_ms
SELECT week, env, samples, coverage_ratio,
       report.quantile_of(sketch, 'latency_p95', 0.5) AS median_ms,
       report.quantile_of(sketch, 'latency_p95', 0.95) AS p95_ms,
       report.quantile_of(sketch, 'latency_p95', 0.99) AS p99_ms
  FROM (SELECT time_bucket('7 days', bucket_at) AS week, env, sum(samples)::bigint AS samples,
               sum(samples)::float8 / nullif(sum(samples + missed), 0) AS coverage_ratio,
               report.merge_sketches(sketch) AS sketch
          FROM report.samples_fleet_1h
         WHERE bucket_at >= now() - make_interval(weeks => :'weeks'::integer)
         GROUP BY 1, 2) AS weeks
 ORDER BY week, env;
