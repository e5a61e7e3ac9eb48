-- name: insert
-- A baseline reading may stand at the very slot of a post window; then the window needs it more.
INSERT INTO metric_samples (slot_at, project_id, env, deployment_id, phase, sequence_index,
                            requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage)
SELECT DISTINCT ON (project_id, env, slot_at) *
  FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::smallint[],
              $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[])
       AS s(slot_at, project_id, env, deployment_id, phase, sequence_index,
            requests_per_sec, latency_p95, error_rate, cpu_usage, memory_usage)
 ORDER BY project_id, env, slot_at, phase NULLS LAST
ON CONFLICT (project_id, env, slot_at)
DO UPDATE SET deployment_id = excluded.deployment_id, phase = excluded.phase,
              sequence_index = excluded.sequence_index
        WHERE metric_samples.phase IS NULL AND excluded.phase IS NOT NULL

-- name: insert_missed
INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index,
                          code, detail)
SELECT *
  FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::smallint[],
              $7::text[], $8::text[])
ON CONFLICT (project_id, env, slot_at) DO NOTHING
