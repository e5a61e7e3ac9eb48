-- How long did bad releases stay? Every rollback, the slowest first; with what the verdict had said and
-- how long after the finish it fell. Where it fell early and the rollback came late, time was lost.
-- Values: days = 90
-- Gives: project, env, branch, back_to, finished_at, verdict, verdict_seconds, restore_seconds
SELECT o.project, r.env, r.branch, r.back_to, r.finished_at, o.verdict,
       extract(epoch FROM o.as_of - r.finished_at)::float8 AS verdict_seconds,
       extract(epoch FROM r.rolled_back_at - r.finished_at)::float8 AS restore_seconds
  FROM report.detected_rollbacks AS r
  JOIN report.deployment_overview AS o USING (deployment_id)
 WHERE r.finished_at >= now() - make_interval(days => :'days'::integer)
 ORDER BY restore_seconds DESC, r.deployment_id
 LIMIT 200;
