-- name: latest
SELECT max(until) FROM service_profiles WHERE project_id = $1 AND env = $2 AND until <= $3

-- name: history
SELECT string_agg(timestamptz_send(slot_at), NULL) AS slot_at,
       string_agg(float8send(coalesce(requests_per_sec, 'NaN')), NULL) AS requests_per_sec,
       string_agg(float8send(coalesce(latency_p95, 'NaN')), NULL) AS latency_p95,
       string_agg(float8send(coalesce(error_rate, 'NaN')), NULL) AS error_rate,
       string_agg(float8send(coalesce(cpu_usage, 'NaN')), NULL) AS cpu_usage,
       string_agg(float8send(coalesce(memory_usage, 'NaN')), NULL) AS memory_usage
  FROM metric_samples
 WHERE project_id = $1 AND env = $2 AND phase IS NULL AND slot_at >= $3 AND slot_at < $4

-- name: insert
INSERT INTO service_profiles (project_id, env, until, packed)
VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, env, until) DO NOTHING
