-- Which services got worse step by step, although every release passed? The level after the first and
-- after the last of the releases with verdict ok, and how much each of them added on average.
-- change_ratio 0.5 is half as much again. Traffic drifts for good reasons, so it is left out.
-- Values: days = 90, least = 5
-- Gives: project, env, metric, releases, first_level, last_level, change_ratio, per_release_ratio
SELECT project, env, metric, releases, first_level, last_level,
       last_level / nullif(first_level, 0) - 1 AS change_ratio,
       CASE WHEN first_level > 0 AND last_level > 0
            THEN (last_level / first_level) ^ (1.0::float8 / (releases - 1)) - 1
       END AS per_release_ratio
  FROM (SELECT project, env, metric, count(*) AS releases,
               (array_agg(observed ORDER BY finished_at))[1] AS first_level,
               (array_agg(observed ORDER BY finished_at DESC))[1] AS last_level
          FROM report.verdict_evidence
         WHERE verdict = 'ok' AND metric <> 'requests_per_sec'
           AND observed IS NOT NULL AND observed < 'Infinity'
           AND finished_at >= now() - make_interval(days => :'days'::integer)
         GROUP BY project, env, metric) AS levels
 WHERE releases >= greatest(2, :'least'::integer) AND last_level > first_level
 ORDER BY change_ratio DESC NULLS LAST, project, env, metric
 LIMIT 50;
