-- How often do deployments do harm, week by week? Harmful is what feedback or a rollback says; weeks
-- in which nobody knows of any deployment count as harmless, so give feedback.
-- Values: weeks = 12
-- Gives: week, deployments, labelled, harmful, change_failure_ratio, alarms
SELECT time_bucket('7 days', o.finished_at) AS week,
       count(*) AS deployments,
       count(l.harmful) AS labelled,
       count(*) FILTER (WHERE l.harmful) AS harmful,
       count(*) FILTER (WHERE l.harmful)::float8 / count(*) AS change_failure_ratio,
       count(*) FILTER (WHERE o.conclusive AND o.verdict <> 'ok') AS alarms
  FROM report.deployment_overview AS o
  LEFT JOIN report.deployment_labels AS l ON l.deployment_id = o.deployment_id
 WHERE o.finished_at >= now() - make_interval(weeks => :'weeks'::integer)
 GROUP BY week
 ORDER BY week;
