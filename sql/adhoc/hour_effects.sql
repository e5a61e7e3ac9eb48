-- At which hours do we deploy, and when does it hurt? Hours are UTC: our teams live in several zones.
-- requests_per_sec is what a service has at that hour on average: harm weighs more where it is high.
-- Values: days = 30
-- Gives: hour, deployments, alarms, alarm_ratio, requests_per_sec
SELECT load.hour, coalesce(d.deployments, 0) AS deployments, coalesce(d.alarms, 0) AS alarms,
       d.alarms::float8 / d.deployments AS alarm_ratio, load.requests_per_sec
  FROM (SELECT extract(hour FROM bucket_at)::integer AS hour,
               sum(requests_per_sec_mean * samples)
                   / nullif(sum(samples) FILTER (WHERE requests_per_sec_mean IS NOT NULL), 0)
                   AS requests_per_sec
          FROM report.samples_1h
         WHERE bucket_at >= now() - make_interval(days => :'days'::integer)
         GROUP BY 1) AS load
  LEFT JOIN (SELECT extract(hour FROM finished_at)::integer AS hour, count(*) AS deployments,
                    count(*) FILTER (WHERE conclusive AND verdict <> 'ok') AS alarms
               FROM report.deployment_overview
              WHERE finished_at >= now() - make_interval(days => :'days'::integer)
              GROUP BY 1) AS d USING (hour)
 ORDER BY load.hour;
