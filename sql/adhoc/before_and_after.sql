-- What did one release change, by hand: half an hour before its trigger against half an hour after
-- its finish? Without an id it is the last release that raised an alarm. change_ratio 0.3 means 30 %
-- more than before, null that there was nothing before.
-- Values: deployment = last, minutes = 30
-- Gives: project, env, branch, metric, before, after, change_ratio, slots_before, slots_after
WITH asked AS (
    SELECT deployment_id, project_id, project, env, branch, triggered_at, finished_at
      FROM report.deployment_overview
     WHERE deployment_id::text = :'deployment' OR (:'deployment' = 'last' AND verdict <> 'ok')
     ORDER BY finished_at DESC
     LIMIT 1
), around AS (
    SELECT a.project, a.env, a.branch, s.slot_at >= a.finished_at AS is_after,
           s.requests_per_sec, s.latency_p95, s.error_rate, s.cpu_usage, s.memory_usage
      FROM asked AS a
      JOIN report.slots AS s
        ON s.project_id = a.project_id AND s.env = a.env AND s.present
       AND (s.slot_at >= a.triggered_at - make_interval(mins => :'minutes'::integer) AND s.slot_at < a.triggered_at
            OR s.slot_at >= a.finished_at AND s.slot_at < a.finished_at + make_interval(mins => :'minutes'::integer))
)
SELECT project, env, branch, metric, before, after, after / nullif(before, 0) - 1 AS change_ratio,
       slots_before, slots_after
  FROM (SELECT min(r.project) AS project, min(r.env) AS env, min(r.branch) AS branch, m.metric,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY m.value)
                   FILTER (WHERE NOT r.is_after) AS before,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY m.value)
                   FILTER (WHERE r.is_after) AS after,
               count(m.value) FILTER (WHERE NOT r.is_after) AS slots_before,
               count(m.value) FILTER (WHERE r.is_after) AS slots_after
          FROM around AS r
         CROSS JOIN LATERAL (VALUES ('requests_per_sec', r.requests_per_sec),
                                    ('latency_p95', r.latency_p95),
                                    ('error_rate', r.error_rate),
                                    ('cpu_usage', r.cpu_usage),
                                    ('memory_usage', r.memory_usage)) AS m(metric, value)
         GROUP BY m.metric) AS medians
 ORDER BY metric;
