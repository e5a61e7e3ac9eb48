-- How do we do by the four numbers of DORA, per service? Deployments per day, change failure rate
-- (feedback, else a rollback), time to restore (from finish to the trigger of the rollback). Lead
-- time from commit is not known here: rollout_seconds is only its last part, from trigger to finish.
-- Values: days = 28
-- Gives: project, env, deployments, deployments_per_day, change_failure_ratio, restore_seconds, rollout_seconds
SELECT o.project, o.env, count(*) AS deployments,
       count(*)::float8 / :'days'::integer AS deployments_per_day,
       count(*) FILTER (WHERE l.harmful)::float8 / count(*) AS change_failure_ratio,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM r.rolled_back_at - o.finished_at)::float8)
           AS restore_seconds,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM o.finished_at - o.triggered_at)::float8) AS rollout_seconds
  FROM report.deployment_overview AS o
  LEFT JOIN report.deployment_labels AS l USING (deployment_id)
  LEFT JOIN report.detected_rollbacks AS r USING (deployment_id)
 WHERE o.finished_at >= now() - make_interval(days => :'days'::integer)
 GROUP BY o.project, o.env
 ORDER BY deployments DESC, o.project, o.env;
