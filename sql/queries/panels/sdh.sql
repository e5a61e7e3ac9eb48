-- Board `sdh`: composite diagnoses.

-- name: rules
SELECT DISTINCT rule FROM report.hints ORDER BY 1

-- name: every_rule
SELECT rule FROM report.hints

-- name: wanted
$__timeFilter(o.finished_at) AND o.severity IN (${severity:sqlstring})
   AND o.rule IN (${rule:sqlstring}) AND {chosen}

-- name: critical
SELECT count(DISTINCT o.deployment_id) AS value
  FROM report.hints AS o
 WHERE {wanted} AND o.severity = 'critical'

-- name: deployments
SELECT count(DISTINCT o.deployment_id) AS value FROM report.hints AS o WHERE {wanted}

-- name: share
SELECT (SELECT count(DISTINCT o.deployment_id) FROM report.hints AS o WHERE {wanted})::float8
       / nullif((SELECT count(*)
                   FROM report.deployment_overview AS o
                  WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}), 0)
           AS value

-- name: kinds
SELECT count(DISTINCT o.rule) AS value FROM report.hints AS o WHERE {wanted}

-- name: over_time
SELECT $__timeGroupAlias(o.finished_at, $__interval), o.severity AS metric, count(*) AS value
  FROM report.hints AS o
 WHERE {wanted}
 GROUP BY 1, 2
 ORDER BY 1, 2

-- name: top
SELECT o.rule,
       count(*) FILTER (WHERE o.severity = 'critical') AS critical,
       count(*) FILTER (WHERE o.severity = 'warning') AS warning,
       count(*) FILTER (WHERE o.severity = 'info') AS info
  FROM report.hints AS o
 WHERE {wanted}
 GROUP BY 1
 ORDER BY count(*) DESC, 1
 LIMIT 12

-- name: together
WITH wanted AS (SELECT o.deployment_id, o.rule FROM report.hints AS o WHERE {wanted})
SELECT a.rule, b.rule AS comes_with, count(*) AS together,
       count(*)::float8 / min(alone.n) AS share
  FROM wanted AS a
  JOIN wanted AS b ON b.deployment_id = a.deployment_id AND b.rule <> a.rule
  JOIN (SELECT rule, count(*) AS n FROM wanted GROUP BY 1) AS alone ON alone.rule = a.rule
 GROUP BY 1, 2
 ORDER BY 3 DESC, 1, 2
 LIMIT 50

-- name: by_service
SELECT o.project, o.env, count(DISTINCT o.deployment_id) AS deployments,
       count(*) FILTER (WHERE o.severity = 'critical') AS critical,
       count(*) FILTER (WHERE o.severity = 'warning') AS warning,
       count(*) FILTER (WHERE o.severity = 'info') AS info,
       max(o.finished_at) AS last, o.project_id::text AS project_id
  FROM report.hints AS o
 WHERE {wanted}
 GROUP BY o.project, o.env, o.project_id
 ORDER BY 4 DESC, 5 DESC, 1, 2
 LIMIT 100

-- name: list
SELECT o.finished_at AS finished, o.project, o.env, o.severity, o.rule, o.title, o.diagnosis,
       array_to_string(o.actions, '; ') AS actions, o.project_id::text AS project_id,
       o.deployment_id::text AS deployment_id, {span}
  FROM report.hints AS o
 WHERE {wanted}
 ORDER BY o.finished_at DESC, o.position
 LIMIT 500
