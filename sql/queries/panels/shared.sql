-- What the boards share. Grafana fills in ${...} and $__...: see docs/dashboards.md. An argument of a
-- macro ends at the first parenthesis, so it is never more than a column.

-- name: chosen
o.project_id IN (${project:sqlstring}) AND o.env IN (${env:sqlstring})

-- name: span
-- What the board of a deployment shows when a link leads there: milliseconds since 1970.
(extract(epoch FROM o.finished_at) * 1000 - 5400000)::bigint AS from_ms,
       (extract(epoch FROM o.finished_at) * 1000 + 3600000)::bigint AS to_ms

-- name: words
CASE WHEN o.conclusive THEN o.verdict WHEN o.verdict IS NOT NULL THEN 'inconclusive' END

-- name: projects
SELECT project AS __text, project_id::text AS __value FROM report.projects ORDER BY 1

-- name: every_project
SELECT project_id FROM report.projects

-- name: environments
SELECT DISTINCT env FROM report.services WHERE project_id IN (${project:sqlstring}) ORDER BY 1

-- name: every_environment
SELECT env FROM report.services

-- name: deploys
SELECT o.triggered_at AS time, o.finished_at AS timeend,
       o.project || ' (' || o.env || '): ' || o.branch || ', '
           || coalesce(replace({words}, '_', ' '), o.state) AS text,
       concat_ws(',', 'deploy', {words}) AS tags
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.triggered_at) AND {chosen}
 ORDER BY o.triggered_at DESC
 LIMIT 500
