-- Board `overview`.

-- name: today
SELECT count(*) AS value
  FROM report.deployment_overview AS o
 WHERE o.triggered_at BETWEEN date_trunc('day', $__timeTo()::timestamptz, 'UTC') AND $__timeTo()
   AND {chosen}

-- name: rollbacks
SELECT count(*) AS value
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.finished_at) AND o.conclusive AND o.verdict = 'rollback_recommended' AND {chosen}

-- name: conclusive
SELECT count(*) FILTER (WHERE o.conclusive)::float8 / nullif(count(*), 0) AS value
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}

-- name: false_alarms
SELECT count(*) FILTER (WHERE NOT f.harmful)::float8 / nullif(count(*), 0) AS value
  FROM report.deployment_overview AS o
  JOIN report.feedback AS f ON f.deployment_id = o.deployment_id
 WHERE $__timeFilter(o.finished_at) AND o.conclusive AND o.verdict <> 'ok' AND {chosen}

-- name: collected
-- Up to two days by five minutes, beyond by the hour: the planner drops the other part.
SELECT sum(samples)::float8 / nullif(sum(samples + missed), 0) AS value
  FROM (SELECT samples, missed, env
          FROM report.samples_5m
         WHERE $__timeFilter(bucket_at)
           AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '49 hours'
        UNION ALL
        SELECT samples, missed, env
          FROM report.samples_fleet_1h
         WHERE $__timeFilter(bucket_at)
           AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '49 hours') AS slots
 WHERE env IN (${env:sqlstring})

-- name: failing
SELECT count(*) FILTER (WHERE o.health <> 'fine') AS value
  FROM report.services AS o
 WHERE {chosen}

-- name: attention
SELECT o.since AS "since", o.project, o.env, o.what, o.detail, o.project_id::text AS project_id,
       o.deployment_id::text AS deployment_id, {span}
  FROM (SELECT d.finished_at AS since, d.project, d.env, d.project_id, d.deployment_id,
               d.finished_at, d.verdict AS what,
               d.branch || ': ' || array_to_string(d.failed_metrics, ', ') AS detail
          FROM report.deployment_overview AS d
         WHERE d.finished_at > now() - interval '24 hours' AND d.conclusive AND d.verdict <> 'ok'
           AND NOT EXISTS (SELECT FROM report.feedback AS f WHERE f.deployment_id = d.deployment_id)
        UNION ALL
        SELECT d.triggered_at, d.project, d.env, d.project_id, d.deployment_id, d.triggered_at,
               'never finished', d.branch
          FROM report.deployment_overview AS d
         WHERE d.state IN ('pending', 'running') AND d.triggered_at < now() - interval '1 hour'
        UNION ALL
        SELECT d.finished_at, d.project, d.env, d.project_id, d.deployment_id, d.finished_at,
               'no verdict', d.branch
          FROM report.deployment_overview AS d
         WHERE d.state = 'finished' AND d.finished_at < now() - interval '2 hours'
        UNION ALL
        SELECT NULL, s.project, s.env, s.project_id, NULL, NULL, s.health,
               s.last_code || ', ' || s.failures || ' in a row'
          FROM report.services AS s
         WHERE s.health <> 'fine') AS o
 WHERE {chosen}
 ORDER BY (o.what = 'rollback_recommended') DESC, o.since DESC NULLS LAST
 LIMIT 100

-- name: over_time
SELECT $__timeGroupAlias(o.finished_at, $__interval),
       {words} AS metric, count(*) AS value
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}
 GROUP BY 1, 2
 ORDER BY 1, 2

-- name: by_project
SELECT o.project,
       count(*) FILTER (WHERE o.conclusive AND o.verdict = 'rollback_recommended') AS rollback_recommended,
       count(*) FILTER (WHERE o.conclusive AND o.verdict = 'warning') AS warning,
       count(*) FILTER (WHERE NOT o.conclusive) AS inconclusive,
       count(*) FILTER (WHERE o.conclusive AND o.verdict = 'ok') AS ok
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}
 GROUP BY o.project_id, o.project
 ORDER BY 2 DESC, 3 DESC, 1
 LIMIT 12

-- name: by_environment
SELECT o.env,
       count(*) FILTER (WHERE o.conclusive AND o.verdict = 'rollback_recommended') AS rollback_recommended,
       count(*) FILTER (WHERE o.conclusive AND o.verdict = 'warning') AS warning,
       count(*) FILTER (WHERE NOT o.conclusive) AS inconclusive,
       count(*) FILTER (WHERE o.conclusive AND o.verdict = 'ok') AS ok
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}
 GROUP BY 1
 ORDER BY 2 DESC, 3 DESC, 1
 LIMIT 12

-- name: states
SELECT o.project, o.env, {words} AS verdict, o.state, o.branch, o.triggered_at AS deployed,
       o.confidence, o.health AS target, o.project_id::text AS project_id,
       o.deployment_id::text AS deployment_id, {span}
  FROM (SELECT s.project, s.env, s.project_id, s.health, d.deployment_id, d.branch, d.state,
               d.triggered_at, coalesce(d.finished_at, d.triggered_at) AS finished_at, d.verdict,
               d.conclusive, d.confidence
          FROM report.services AS s
          LEFT JOIN LATERAL (
               SELECT l.deployment_id, l.branch, l.state, l.triggered_at, l.finished_at, l.verdict,
                      l.conclusive, l.confidence
                 FROM report.deployment_overview AS l
                WHERE l.project_id = s.project_id AND l.env = s.env
                ORDER BY l.triggered_at DESC
                LIMIT 1) AS d ON true) AS o
 WHERE {chosen}
 ORDER BY (o.verdict = 'rollback_recommended') DESC NULLS LAST, (o.verdict = 'warning') DESC NULLS LAST,
          o.project, o.env

-- name: collection
SELECT $__timeGroupAlias(bucket_at, $__interval), env AS metric,
       sum(samples)::float8 / nullif(sum(samples + missed), 0) AS value
  FROM (SELECT bucket_at, env, samples, missed
          FROM report.samples_5m
         WHERE $__timeFilter(bucket_at)
           AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '49 hours'
        UNION ALL
        SELECT bucket_at, env, samples, missed
          FROM report.samples_fleet_1h
         WHERE $__timeFilter(bucket_at)
           AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '49 hours') AS slots
 WHERE env IN (${env:sqlstring})
 GROUP BY 1, 2
 ORDER BY 1, 2
