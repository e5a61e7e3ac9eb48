-- Board `projects`: can every service be judged, and what does watching it cost?

-- name: services
SELECT count(*) AS value FROM report.services AS o WHERE {chosen}

-- name: failing
SELECT count(*) FILTER (WHERE o.health = 'failing') AS value FROM report.services AS o WHERE {chosen}

-- name: resting
SELECT count(*) FILTER (WHERE o.health = 'resting') AS value FROM report.services AS o WHERE {chosen}

-- name: undecided
SELECT count(*) AS value
  FROM (SELECT o.project_id, o.env
          FROM report.deployment_overview AS o
         WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}
         GROUP BY 1, 2
        HAVING NOT bool_or(o.conclusive)) AS each

-- name: list
SELECT o.project, o.env, o.health AS target, o.last_code AS last_problem, o.failures,
       o.rests_until, coalesce(o.source, 'pushes') AS source, o.plan, o.post_slots,
       o.target_updated_at AS target_changed, o.project_id::text AS project_id
  FROM report.services AS o
 WHERE {chosen}
 ORDER BY o.failures DESC NULLS LAST, o.project, o.env

-- name: slots
-- Up to two days by five minutes, beyond by the hour: the planner drops the other part.
SELECT s.bucket_at, s.project_id, s.project, s.env, s.samples, s.missed
          FROM report.samples_5m AS s
         WHERE $__timeFilter(s.bucket_at)
           AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '49 hours'
        UNION ALL
        SELECT s.bucket_at, s.project_id, s.project, s.env, s.samples, s.missed
          FROM report.samples_1h AS s
         WHERE $__timeFilter(s.bucket_at)
           AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '49 hours'

-- name: coverage
SELECT o.project, o.env, sum(o.samples)::float8 / nullif(sum(o.samples + o.missed), 0) AS coverage,
       sum(o.missed)::bigint AS missed, sum(o.samples)::bigint AS samples,
       max(o.bucket_at) AS last, o.project_id::text AS project_id
  FROM ({slots}) AS o
 WHERE {chosen}
 GROUP BY o.project, o.env, o.project_id
 ORDER BY 3, 1, 2
 LIMIT 100

-- name: coverage_over_time
WITH each AS (
    SELECT $__timeGroupAlias(o.bucket_at, $__interval), o.project || ' (' || o.env || ')' AS service,
           sum(o.samples)::float8 AS samples, sum(o.samples + o.missed) AS planned
      FROM ({slots}) AS o
     WHERE {chosen}
     GROUP BY 1, 2
)
SELECT time, service AS metric, samples / nullif(planned, 0) AS value
  FROM each
 WHERE service IN (SELECT service FROM each GROUP BY 1 ORDER BY sum(samples) / sum(planned), 1 LIMIT 8)
 ORDER BY 1, 2

-- name: baselines
SELECT o.project, o.env, count(*) AS verdicts,
       count(*) FILTER (WHERE o.conclusive)::float8 / count(*) AS conclusive,
       mode() WITHIN GROUP (ORDER BY o.reason_code) FILTER (WHERE NOT o.conclusive) AS usually_because,
       avg(o.coverage_ratio) AS coverage, avg(o.quality_ratio) AS quality,
       bool_or(o.profile_until IS NOT NULL)::text AS knows_its_past, o.project_id::text AS project_id
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}
 GROUP BY o.project, o.env, o.project_id
 ORDER BY 4, 1, 2
 LIMIT 100

-- name: cost
SELECT o.project || ' (' || o.env || ')' AS service, sum(o.samples)::bigint AS samples,
       sum(o.missed)::bigint AS missed
  FROM ({slots}) AS o
 WHERE {chosen}
 GROUP BY 1
 ORDER BY sum(o.samples + o.missed) DESC, 1
 LIMIT 12

-- name: reads_per_minute
SELECT sum(o.samples + o.missed)::float8 * 60
           / extract(epoch FROM $__timeTo()::timestamptz - $__timeFrom()::timestamptz)::float8 AS value
  FROM ({slots}) AS o
 WHERE {chosen}

-- name: drift
WITH latest AS (
    SELECT DISTINCT ON (d.project_id, d.env)
           d.project, d.env, d.project_id, d.deployment_id, d.policy, d.policy_digest, d.finished_at
      FROM report.deployment_overview AS d
     WHERE $__timeFilter(d.finished_at) AND d.verdict IS NOT NULL
     ORDER BY d.project_id, d.env, d.finished_at DESC
)
SELECT o.project, o.env, o.policy, left(o.policy_digest, 12) AS version,
       CASE WHEN o.policy_digest IS DISTINCT FROM o.usual THEN 'differs from most services'
            ELSE 'as most services' END AS judged_by,
       CASE WHEN o.target_updated_at > o.finished_at THEN 'changed since the last verdict'
            ELSE 'unchanged since' END AS target,
       o.finished_at AS last_verdict, o.target_updated_at AS target_changed,
       o.project_id::text AS project_id, o.deployment_id::text AS deployment_id, {span}
  FROM (SELECT l.project, l.env, l.project_id, l.deployment_id, l.policy, l.policy_digest,
               l.finished_at, s.target_updated_at,
               (SELECT mode() WITHIN GROUP (ORDER BY policy_digest) FROM latest) AS usual
          FROM latest AS l
          LEFT JOIN report.services AS s ON s.project_id = l.project_id AND s.env = l.env) AS o
 WHERE {chosen}
 ORDER BY 5 DESC, 6, 1, 2
 LIMIT 100
