-- name: look_for_dropped
-- If the oldest chunk is not the oldest any more, it was dropped, by whomever: the database itself, or
-- somebody by hand. What we drop we note.
UPDATE history_edges AS e
   SET dropped_until = CASE WHEN c.since > e.chunks_since THEN greatest(e.dropped_until, c.since)
                            ELSE e.dropped_until END,
       chunks_since = c.since
  FROM (SELECT min(range_start) AS since
          FROM timescaledb_information.chunks
         WHERE hypertable_schema = current_schema() AND hypertable_name = 'metric_samples') AS c
 WHERE c.since <> e.chunks_since

-- name: note_dropped
-- In the transaction of the drop: what goes is not always the oldest there is (that may be in use, or
-- have been brought back from the archive).
UPDATE history_edges SET dropped_until = $1 WHERE dropped_until < $1

-- name: mark
UPDATE history_edges
   SET samples_since = greatest($1, dropped_until)
 WHERE samples_since <> greatest($1, dropped_until)

-- name: has_archive
SELECT EXISTS (SELECT FROM archived_chunks)

-- name: chunks
-- Chunks of hypertable $1 that end at or before $2, with all that belongs to them.
SELECT c.range_start AS since, c.range_end AS until, d.total_bytes AS bytes
  FROM timescaledb_information.chunks AS c
  JOIN chunks_detailed_size($1::text::regclass) AS d
    ON d.chunk_schema = c.chunk_schema AND d.chunk_name = c.chunk_name
 WHERE c.hypertable_schema = current_schema() AND c.hypertable_name = $1::text
   AND c.range_end <= $2
 ORDER BY c.range_start

-- name: drop
SELECT drop_old_chunks($1::text::regclass, since => $2, until => $3)

-- name: forget_profiles
-- What verdicts were made with stays as long as they do; so does what was known when a deployment
-- that is held was judged (see `windows.profiles`), whether its policy used it or not.
WITH forgotten AS (
    DELETE FROM service_profiles AS p
     WHERE p.until < $1
       AND NOT EXISTS (SELECT
                         FROM deployments AS d
                         JOIN verdicts AS v ON v.deployment_id = d.id
                        WHERE d.project_id = p.project_id AND d.env = p.env
                          AND v.profile_until = p.until)
       AND NOT EXISTS (SELECT
                         FROM deployments AS d
                         JOIN former_verdicts AS v ON v.deployment_id = d.id
                        WHERE d.project_id = p.project_id AND d.env = p.env
                          AND v.profile_until = p.until)
       AND NOT EXISTS (SELECT
                         FROM deployments AS d
                        WHERE d.keep AND d.project_id = p.project_id AND d.env = p.env
                          AND p.until = (SELECT max(o.until)
                                           FROM service_profiles AS o
                                          WHERE o.project_id = d.project_id AND o.env = d.env
                                            AND o.until <= d.triggered_at
                                            AND o.built_at <= d.finished_at
                                                + make_interval(secs => (d.post_slots - 1)
                                                                        * d.slot_seconds)))
    RETURNING 1
)
SELECT count(*) FROM forgotten
