-- name: others
-- Of the other projects that were answering before $2 (for as long as $3 is after it): how many, and
-- how many of those we have not reached once since, although we tried.
WITH before AS (
    SELECT DISTINCT project_id
      FROM metric_samples
     WHERE slot_at >= $2::timestamptz - ($3::timestamptz - $2) AND slot_at < $2
       AND project_id <> $1
), answered AS (
    SELECT DISTINCT project_id FROM metric_samples WHERE slot_at >= $2 AND slot_at <= $3
), unreached AS (
    SELECT DISTINCT project_id
      FROM missed_slots
     WHERE slot_at >= $2 AND slot_at <= $3 AND is_unreachable(code)
)
SELECT count(*) AS answering,
       count(*) FILTER (WHERE project_id IN (SELECT project_id FROM unreached)
                          AND project_id NOT IN (SELECT project_id FROM answered)) AS silent
  FROM before
