-- Board `accuracy`: verdicts against what came true.

-- name: said
SELECT o.deployment_id, o.project_id, o.project, o.env, o.branch, o.finished_at, o.policy,
               o.policy_digest, 'live' AS role, o.verdict, o.conclusive,
               o.conclusive AND o.verdict <> 'ok' AS alarm
          FROM report.deployment_overview AS o
         WHERE $__timeFilter(o.finished_at) AND o.verdict IS NOT NULL AND {chosen}
        UNION ALL
        SELECT o.deployment_id, o.project_id, o.project, o.env, NULL, o.finished_at, o.policy,
               o.policy_digest, 'shadow', o.verdict, o.conclusive,
               o.conclusive AND o.verdict <> 'ok'
          FROM report.shadow_verdicts AS o
         WHERE $__timeFilter(o.finished_at) AND {chosen}

-- name: labelled
SELECT s.deployment_id, s.project_id, s.project, s.env, s.branch, s.finished_at, s.policy,
           s.policy_digest, s.role, s.verdict, s.conclusive, s.alarm, l.harmful, l.source
      FROM ({said}) AS s
      JOIN report.deployment_labels AS l ON l.deployment_id = s.deployment_id

-- name: count
SELECT count(*) AS value FROM ({labelled}) AS o WHERE o.role = 'live'

-- name: precision
SELECT count(*) FILTER (WHERE o.harmful)::float8 / nullif(count(*), 0) AS value
  FROM ({labelled}) AS o
 WHERE o.role = 'live' AND o.alarm

-- name: recall
SELECT count(*) FILTER (WHERE o.alarm)::float8 / nullif(count(*), 0) AS value
  FROM ({labelled}) AS o
 WHERE o.role = 'live' AND o.harmful

-- name: unlabelled
SELECT count(*) AS value
  FROM report.deployment_overview AS o
  LEFT JOIN report.deployment_labels AS l ON l.deployment_id = o.deployment_id
 WHERE $__timeFilter(o.finished_at) AND o.conclusive AND o.verdict <> 'ok'
   AND l.deployment_id IS NULL AND {chosen}

-- name: confusion
SELECT policy, version, role, labelled, true_alarms, false_alarms, missed_harm, rightly_ok, inconclusive,
       true_alarms::float8 / nullif(true_alarms + false_alarms, 0) AS precision,
       report.wilson_low(true_alarms, true_alarms + false_alarms) AS precision_from,
       report.wilson_high(true_alarms, true_alarms + false_alarms) AS precision_to,
       true_alarms::float8 / nullif(harmful, 0) AS recall,
       report.wilson_low(true_alarms, harmful) AS recall_from,
       report.wilson_high(true_alarms, harmful) AS recall_to
  FROM (SELECT o.policy, left(o.policy_digest, 12) AS version, o.role, count(*) AS labelled,
               count(*) FILTER (WHERE o.harmful) AS harmful,
               count(*) FILTER (WHERE o.alarm AND o.harmful) AS true_alarms,
               count(*) FILTER (WHERE o.alarm AND NOT o.harmful) AS false_alarms,
               count(*) FILTER (WHERE o.conclusive AND NOT o.alarm AND o.harmful) AS missed_harm,
               count(*) FILTER (WHERE o.conclusive AND NOT o.alarm AND NOT o.harmful) AS rightly_ok,
               count(*) FILTER (WHERE NOT o.conclusive) AS inconclusive
          FROM ({labelled}) AS o
         GROUP BY 1, 2, 3) AS counted
 ORDER BY role, policy, version

-- name: over_time
SELECT time, true_alarms::float8 / alarms AS precision,
       report.wilson_low(true_alarms, alarms) AS "surely from",
       report.wilson_high(true_alarms, alarms) AS "surely up to"
  FROM (SELECT $__timeGroupAlias(o.finished_at, '7d'), count(*) AS alarms,
               count(*) FILTER (WHERE o.harmful) AS true_alarms
          FROM ({labelled}) AS o
         WHERE o.role = 'live' AND o.alarm
         GROUP BY 1) AS weeks
 ORDER BY 1

-- name: shadows
SELECT o.policy AS shadow, left(o.policy_digest, 12) AS version, o.live_policy AS live,
       count(*) AS deployments,
       count(*) FILTER (WHERE o.verdict = o.live_verdict)::float8 / count(*) AS agree,
       count(*) FILTER (WHERE o.severity > o.live_severity) AS harsher,
       count(*) FILTER (WHERE o.severity < o.live_severity) AS milder,
       count(*) FILTER (WHERE NOT o.conclusive) AS inconclusive
  FROM (SELECT s.policy, s.policy_digest, s.live_policy, s.verdict, s.live_verdict, s.conclusive,
               s.project_id, s.env, s.finished_at,
               array_position(ARRAY['ok', 'warning', 'rollback_recommended'], s.verdict) AS severity,
               array_position(ARRAY['ok', 'warning', 'rollback_recommended'], s.live_verdict)
                   AS live_severity
          FROM report.shadow_verdicts AS s
         WHERE $__timeFilter(s.finished_at)) AS o
 WHERE {chosen}
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3

-- name: wrong
SELECT o.finished_at AS finished, o.project, o.env, o.branch,
       CASE WHEN o.alarm THEN 'false alarm' WHEN o.conclusive THEN 'missed harm'
            ELSE 'harm, inconclusive' END AS what,
       o.verdict, o.source AS known_from, o.project_id::text AS project_id,
       o.deployment_id::text AS deployment_id, {span}
  FROM ({labelled}) AS o
 WHERE o.role = 'live' AND o.alarm <> o.harmful
 ORDER BY o.finished_at DESC
 LIMIT 200

-- name: to_label
SELECT o.finished_at AS finished, o.project, o.env, o.branch, o.verdict,
       array_to_string(o.failed_metrics, ', ') AS failed_metrics, o.confidence,
       o.project_id::text AS project_id, o.deployment_id::text AS deployment_id, {span}
  FROM report.deployment_overview AS o
  LEFT JOIN report.deployment_labels AS l ON l.deployment_id = o.deployment_id
 WHERE $__timeFilter(o.finished_at) AND o.conclusive AND o.verdict <> 'ok'
   AND l.deployment_id IS NULL AND {chosen}
 ORDER BY o.finished_at DESC
 LIMIT 200
