-- name: take
-- One turn each for different targets, in one order by all workers: each would wait for the other's
-- otherwise. $3 turns are allowed in $4 seconds, whichever $4 seconds one looks at: the turn that
-- was taken $3 turns ago must be older than that, or so far in the future that the server's clock
-- must have been set back since. A target that is gone has no turns.
WITH asked AS MATERIALIZED (
    SELECT a.project_id, a.env, a.reads
      FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS a(project_id, env, reads)
      JOIN targets USING (project_id, env)
     ORDER BY a.project_id, a.env
), taken AS (
    INSERT INTO turns AS t (project_id, env, taken_at)
    SELECT project_id, env, array_fill(clock_timestamp(), ARRAY[1]) FROM asked
    ON CONFLICT (project_id, env)
    DO UPDATE SET taken_at = clock_timestamp() || t.taken_at[1:$5 - 1]
            WHERE abs(extract(epoch FROM clock_timestamp() - t.taken_at[(
                      SELECT a.reads FROM asked AS a
                       WHERE a.project_id = t.project_id AND a.env = t.env)])) < $4 IS NOT TRUE
    RETURNING project_id, env
)
SELECT a.project_id, a.env,
       CASE WHEN taken.env IS NOT NULL THEN 0
            ELSE greatest(0.01, extract(epoch FROM t.taken_at[a.reads] - clock_timestamp()) + $4)
       END::float8 AS pause_seconds,
       (SELECT count(*) FROM workers)::integer AS workers
  FROM asked AS a
  LEFT JOIN taken USING (project_id, env)
  LEFT JOIN turns AS t USING (project_id, env)
