-- What does watching cost? Per service: reads a day of its target, rows, and bytes on disk as
-- docs/history.md measures them without compression (208 for a sample, 77 for its share of the
-- rollups). for_verdicts are slots that belong to deployments; all others are baseline.
-- Values: days = 7
-- Gives: project, env, reads_per_day, samples, missed, deployments, for_verdicts, megabytes
SELECT c.project, c.env, (c.samples + c.missed) / :'days'::float8 AS reads_per_day, c.samples,
       c.missed, coalesce(d.deployments, 0) AS deployments, coalesce(d.slots, 0) AS for_verdicts,
       c.samples * 285 / 1e6::float8 AS megabytes
  FROM (SELECT project_id, project, env, sum(samples)::bigint AS samples,
               sum(missed)::bigint AS missed
          FROM report.samples_1h
         WHERE bucket_at >= now() - make_interval(days => :'days'::integer)
         GROUP BY project_id, project, env) AS c
  LEFT JOIN (SELECT project_id, env, count(*) AS deployments, sum(post_slots + 1) AS slots
               FROM report.deployment_overview
              WHERE finished_at >= now() - make_interval(days => :'days'::integer)
              GROUP BY project_id, env) AS d USING (project_id, env)
 ORDER BY megabytes DESC, c.project, c.env;
