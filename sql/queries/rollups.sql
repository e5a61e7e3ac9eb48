-- name: edges
SELECT samples_since, closed_until, rolled_5m_until, rolled_1h_until, rolled_fleet_1h_until
  FROM history_edges

-- name: close
UPDATE history_edges SET closed_until = $1 WHERE closed_until < $1

-- name: writers
-- Transactions that are writing samples or missed slots. A statement takes this lock before it looks
-- at the data, so who began to write after a change of the edges has seen that change.
SELECT array_agg(DISTINCT virtualtransaction)
  FROM pg_locks
 WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND relation IN ('metric_samples'::regclass, 'missed_slots'::regclass)
   AND pid <> pg_backend_pid()
   AND ($1::text[] IS NULL OR virtualtransaction = ANY($1))

-- name: roll
-- Of all services, or of one (`of_service`).
INSERT INTO {table} AS r
SELECT * FROM buckets($1, $2, $3) {only}
ON CONFLICT (project_id, env, bucket_at)
DO UPDATE SET samples = excluded.samples, missed = excluded.missed,
              requests_per_sec_mean = excluded.requests_per_sec_mean,
              requests_per_sec_min = excluded.requests_per_sec_min,
              requests_per_sec_max = excluded.requests_per_sec_max,
              latency_p95_mean = excluded.latency_p95_mean,
              latency_p95_min = excluded.latency_p95_min,
              latency_p95_max = excluded.latency_p95_max,
              error_rate_mean = excluded.error_rate_mean,
              error_rate_min = excluded.error_rate_min,
              error_rate_max = excluded.error_rate_max,
              cpu_usage_mean = excluded.cpu_usage_mean,
              cpu_usage_min = excluded.cpu_usage_min,
              cpu_usage_max = excluded.cpu_usage_max,
              memory_usage_mean = excluded.memory_usage_mean,
              memory_usage_min = excluded.memory_usage_min,
              memory_usage_max = excluded.memory_usage_max,
              sketch = excluded.sketch

-- name: of_service
-- The planner must see these conditions to use the index for them.
WHERE project_id = $4 AND env = $5

-- name: roll_fleet
-- All services of an environment together, of what is rolled up of each.
INSERT INTO samples_fleet_1h
SELECT bucket_at, env, services, samples, missed, sketch
  FROM (SELECT bucket_at, env, count(*) AS services,
               sum(samples) AS samples, sum(missed) AS missed
          FROM samples_1h
         WHERE bucket_at >= $1 AND bucket_at < $2
         GROUP BY 1, 2) AS counted
  LEFT JOIN (SELECT bucket_at, env, compact_sketch(array_agg(element)) AS sketch
               FROM samples_1h, unnest(sketch) AS element
              WHERE bucket_at >= $1 AND bucket_at < $2
              GROUP BY 1, 2) AS merged USING (bucket_at, env)
ON CONFLICT (env, bucket_at)
DO UPDATE SET services = excluded.services, samples = excluded.samples, missed = excluded.missed,
              sketch = excluded.sketch

-- name: advance
UPDATE history_edges SET rolled_{name}_until = $1 WHERE rolled_{name}_until < $1

-- name: take_late
DELETE FROM late_hours
 WHERE ctid = ANY(ARRAY(SELECT ctid FROM late_hours LIMIT $1))
RETURNING project_id, env, hour_at

-- name: has_late
-- Whether something before $1 is still to be rolled up again.
SELECT EXISTS (SELECT FROM late_hours WHERE hour_at < $1)

-- name: remove
DELETE FROM {table} WHERE project_id = $1 AND bucket_at >= $2 AND bucket_at < $3

-- name: remove_late
DELETE FROM late_hours WHERE project_id = $1
