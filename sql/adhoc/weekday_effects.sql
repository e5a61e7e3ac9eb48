-- On which days do we deploy, and on which does it hurt? Days are UTC. An alarm is a conclusive
-- verdict other than ok.
-- Values: days = 90
-- Gives: weekday, deployments, warnings, rollbacks_recommended, alarm_ratio, median_rollout_seconds
SELECT to_char(finished_at, 'ID Dy') AS weekday,
       count(*) AS deployments,
       count(*) FILTER (WHERE verdict = 'warning' AND conclusive) AS warnings,
       count(*) FILTER (WHERE verdict = 'rollback_recommended') AS rollbacks_recommended,
       count(*) FILTER (WHERE verdict <> 'ok' AND conclusive)::float8 / count(*) AS alarm_ratio,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM finished_at - triggered_at)::float8)
           AS median_rollout_seconds
  FROM report.deployment_overview
 WHERE finished_at >= now() - make_interval(days => :'days'::integer) AND verdict IS NOT NULL
 GROUP BY weekday
 ORDER BY weekday;
