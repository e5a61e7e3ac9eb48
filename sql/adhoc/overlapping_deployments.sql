-- Which releases got in each other's way? Pairs of one service whose roll-outs or post windows overlap:
-- what was measured may be the work of either.
-- Values: days = 90
-- Gives: project, env, branch, finished_at, verdict, other_branch, other_triggered_at, other_verdict
SELECT o.project, o.env, o.branch, o.finished_at, o.verdict, other.branch AS other_branch,
       other.triggered_at AS other_triggered_at, other.verdict AS other_verdict
  FROM report.deployment_overview AS o
 CROSS JOIN LATERAL unnest(o.confounders) AS c(deployment_id)
  JOIN report.deployment_overview AS other ON other.deployment_id = c.deployment_id
 WHERE o.finished_at >= now() - make_interval(days => :'days'::integer)
 ORDER BY o.finished_at DESC, o.deployment_id, other_triggered_at
 LIMIT 200;
