-- The days before those with samples: what is rolled up of one whole day, again for every day.
INSERT INTO {table}
SELECT r.bucket_at - i * interval '1 day', r.project_id, r.env, r.samples, r.missed,
       r.requests_per_sec_mean, r.requests_per_sec_min, r.requests_per_sec_max,
       r.latency_p95_mean, r.latency_p95_min, r.latency_p95_max,
       r.error_rate_mean, r.error_rate_min, r.error_rate_max,
       r.cpu_usage_mean, r.cpu_usage_min, r.cpu_usage_max,
       r.memory_usage_mean, r.memory_usage_min, r.memory_usage_max, r.sketch
  FROM {table} AS r, generate_series(1, $1::integer) AS i
 WHERE r.bucket_at >= $2 AND r.bucket_at < $2 + interval '1 day'
ON CONFLICT DO NOTHING
