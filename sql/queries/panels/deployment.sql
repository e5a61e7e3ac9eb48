-- Board `deployment`: one of them. The variable is empty as long as there is none.

-- name: deployments
SELECT o.project || ' (' || o.env || ') ' || o.branch || ', '
           || to_char(o.triggered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' AS __text,
       o.deployment_id::text AS __value
  FROM report.deployment_overview AS o
 WHERE $__timeFilter(o.triggered_at) AND {chosen}
 ORDER BY o.triggered_at DESC
 LIMIT 500

-- name: this
o.deployment_id = nullif(${deployment:sqlstring}, '')::uuid

-- name: verdict
SELECT {words} AS value
  FROM report.deployment_overview AS o
 WHERE {this}

-- name: confidence
SELECT o.confidence AS value FROM report.deployment_overview AS o WHERE {this}

-- name: coverage
SELECT o.coverage_ratio AS value FROM report.deployment_overview AS o WHERE {this}

-- name: quality
SELECT o.quality_ratio AS value FROM report.deployment_overview AS o WHERE {this}

-- name: rollout
SELECT extract(epoch FROM o.finished_at - o.triggered_at)::float8 AS value
  FROM report.deployment_overview AS o
 WHERE {this}

-- name: head
SELECT o.project, o.env, o.branch, o.state, o.triggered_at AS triggered, o.finished_at AS finished,
       o.reason_code AS reason, array_to_string(o.failed_metrics, ', ') AS failed_metrics,
       array_to_string(o.penalties, ', ') AS penalties,
       coalesce(cardinality(o.confounders), 0) AS overlapping, o.policy, o.revision,
       o.project_id::text AS project_id, o.deployment_id::text AS deployment_id
  FROM report.deployment_overview AS o
 WHERE {this}

-- name: chart
-- Up to six hours every sample and the baseline, up to three days five minutes, beyond it hours.
WITH this AS (
    SELECT o.deployment_id, o.project_id, o.env, o.triggered_at
      FROM report.deployment_overview AS o
     WHERE {this}
), measured AS (
    SELECT s.slot_at AS at, nullif(s.{metric}, 'NaN') AS value
      FROM report.slots AS s
     WHERE $__timeFilter(s.slot_at) AND s.present
       AND s.project_id = (SELECT project_id FROM this) AND s.env = (SELECT env FROM this)
       AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '6 hours'
    UNION ALL
    SELECT s.bucket_at, nullif(s.{metric}_mean::float8, 'NaN')
      FROM report.samples_5m AS s
     WHERE $__timeFilter(s.bucket_at)
       AND s.project_id = (SELECT project_id FROM this) AND s.env = (SELECT env FROM this)
       AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '6 hours'
       AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '3 days'
    UNION ALL
    SELECT s.bucket_at, nullif(s.{metric}_mean::float8, 'NaN')
      FROM report.samples_1h AS s
     WHERE $__timeFilter(s.bucket_at)
       AND s.project_id = (SELECT project_id FROM this) AND s.env = (SELECT env FROM this)
       AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '3 days'
), before AS (
    SELECT value,
           (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY m.value)
              FROM measured AS m, this AS t
             WHERE m.at >= t.triggered_at - interval '30 minutes' AND m.at < t.triggered_at) AS median
      FROM measured, this
     WHERE at >= triggered_at - interval '30 minutes' AND at < triggered_at
), band AS (
    SELECT min(median) AS median,
           4.4478 * percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(value - median)) AS reach
      FROM before
     WHERE $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '6 hours'
)
SELECT m.at AS time, m.value AS measured, b.median AS "baseline median",
       greatest(b.median - b.reach, 0) AS "usual from", b.median + b.reach AS "usual up to",
       (SELECT e.threshold
          FROM report.verdict_evidence AS e, this
         WHERE e.deployment_id = this.deployment_id AND e.metric = '{metric}') AS threshold
  FROM measured AS m
 CROSS JOIN band AS b
 ORDER BY 1

-- name: missed
SELECT m.slot_at AS planned, m.phase, m.code, m.detail
  FROM report.missed_slots AS m
 WHERE $__timeFilter(m.slot_at) AND m.deployment_id = nullif(${deployment:sqlstring}, '')::uuid
 ORDER BY m.slot_at
 LIMIT 200

-- name: evidence
SELECT o.metric, CASE WHEN o.failed THEN 'failed' ELSE 'passed' END AS judged,
       o.attribution, o.pattern, o.baseline_source AS baseline, o.expected, o.observed, o.threshold,
       o.exceedance_ratio AS beyond, o.tolerance_ratio AS tolerated, o.effect, o.effect_low,
       o.effect_high, o.p_value, o.contribution, o.baseline_n, o.post_n
  FROM report.verdict_evidence AS o
 WHERE {this}
 ORDER BY o.contribution DESC, o.metric

-- name: hints
SELECT o.severity, o.rule, o.title, o.diagnosis, array_to_string(o.actions, '; ') AS actions
  FROM report.hints AS o
 WHERE {this}
 ORDER BY o.position

-- name: jobs
SELECT j.kind, j.phase, j.sequence_index AS slot, j.status, j.slot_at AS planned,
       extract(epoch FROM j.claimed_at - j.scheduled_at)::float8 AS late,
       extract(epoch FROM j.finished_at - j.claimed_at)::float8 AS took, j.attempt, j.last_error
  FROM report.jobs AS j
 WHERE $__timeFilter(j.finished_at) AND j.deployment_id = nullif(${deployment:sqlstring}, '')::uuid
 ORDER BY j.slot_at, j.kind
 LIMIT 200

-- name: windows
SELECT w.at AS time, w.until AS timeend, w.text, w.text AS tags
  FROM report.deployment_overview AS o
 CROSS JOIN LATERAL (VALUES
       (o.triggered_at - interval '30 minutes', o.triggered_at, 'baseline'),
       (o.triggered_at, o.finished_at, 'roll-out'),
       (o.finished_at, coalesce(o.as_of, o.finished_at + o.post_slots * interval '1 minute'), 'post')
     ) AS w(at, until, text)
 WHERE {this} AND w.at IS NOT NULL AND $__timeFilter(w.at)
 ORDER BY 1

-- name: gaps
SELECT m.slot_at AS time, 'missed: ' || m.code AS text, 'missed' AS tags
  FROM report.missed_slots AS m
 WHERE $__timeFilter(m.slot_at) AND m.deployment_id = nullif(${deployment:sqlstring}, '')::uuid
 ORDER BY m.slot_at
 LIMIT 200
