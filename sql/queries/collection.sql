-- name: projects
-- The projects that were answering before $1 (for as long as $2 is after it), and whether we have not
-- reached them once since, although we tried.
WITH before AS (
    SELECT DISTINCT project_id
      FROM metric_samples
     WHERE slot_at >= $1::timestamptz - ($2::timestamptz - $1) AND slot_at < $1
), answered AS (
    SELECT DISTINCT project_id FROM metric_samples WHERE slot_at >= $1 AND slot_at <= $2
), unreached AS (
    SELECT DISTINCT project_id
      FROM missed_slots
     WHERE slot_at >= $1 AND slot_at <= $2 AND is_unreachable(code)
)
SELECT project_id, project_id IN (SELECT project_id FROM unreached)
                   AND project_id NOT IN (SELECT project_id FROM answered) AS silent
  FROM before
