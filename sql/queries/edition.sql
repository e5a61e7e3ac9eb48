-- name: license
SELECT current_setting('timescaledb.license', true)

-- name: confirm
-- Harmless, and only there with the Community library.
SELECT time_bucket_gapfill('1 hour', now(), now(), now()) GROUP BY 1

-- name: is_ours
SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'metric_samples'::regclass

-- name: is_compressed
SELECT EXISTS (SELECT FROM timescaledb_information.chunks WHERE is_compressed)

-- name: chunk_interval
SELECT time_interval
  FROM timescaledb_information.dimensions
 WHERE hypertable_schema = current_schema() AND hypertable_name = $1

-- name: set_chunk_interval
SELECT set_chunk_time_interval($1::text::regclass, $2::interval)

-- name: compresses
SELECT compression_enabled
  FROM timescaledb_information.hypertables
 WHERE hypertable_schema = current_schema() AND hypertable_name = $1

-- name: compress
-- Names cannot be parameters; these are ours.
ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = 'project_id, env',
                         timescaledb.compress_orderby = '{column} DESC')

-- name: policies
SELECT proc_name, coalesce(config->>'drop_after', config->>'compress_after')::interval AS after
  FROM timescaledb_information.jobs
 WHERE hypertable_schema = current_schema() AND hypertable_name = $1
   AND proc_name IN ('policy_retention', 'policy_compression')

-- name: remove_retention
SELECT remove_retention_policy($1::text::regclass)

-- name: add_retention
SELECT add_retention_policy($1::text::regclass, $2::interval)

-- name: remove_compression
SELECT remove_compression_policy($1::text::regclass)

-- name: add_compression
SELECT add_compression_policy($1::text::regclass, $2::interval)
