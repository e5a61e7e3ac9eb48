-- name: next_key
SELECT nextval('worker_keys')::integer

-- name: insert
INSERT INTO workers (key, host, pid) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET host = excluded.host, pid = excluded.pid, started_at = now()

-- name: delete
DELETE FROM workers WHERE key = $1

-- name: backend
SELECT pg_backend_pid()

-- name: configure
SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s(name, value)

-- name: tick
-- The regular look at the others, by whoever gets the lock first. Rows without a granted lock are
-- dead workers. A worker whose connection has been silent for $4 seconds is stopped or hangs: its
-- connection is ended, which drops its lock, so it is dead too, and finds out when it wakes up.
WITH leads AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock($1, $2) AS yes
), alive AS MATERIALIZED (
    SELECT l.objid::bigint::integer AS key, l.pid
      FROM pg_locks AS l
     WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.classid = $3::bigint::oid
), silenced AS MATERIALIZED (
    SELECT count(pg_terminate_backend(a.pid)) AS workers
      FROM alive
      JOIN pg_stat_activity AS a USING (pid)
     WHERE (SELECT yes FROM leads) AND a.pid <> pg_backend_pid()
       AND a.state_change < clock_timestamp() - make_interval(secs => $4::float8)
)
SELECT (SELECT workers FROM silenced) AS silenced,
       CASE WHEN (SELECT yes FROM leads)
            THEN ARRAY(SELECT w.key FROM workers AS w
                        WHERE NOT EXISTS (SELECT FROM alive WHERE alive.key = w.key))
            ELSE '{}' END AS dead

-- name: reap
-- Jobs of dead workers go back into the queue. The claim they lost keeps its attempt number, so
-- nothing their owners still send can settle. Claimed jobs were due: only that part is searched,
-- and an hour more for the case that the server's clock was set back meanwhile. Rows that somebody
-- has locked are left for the next time, and so are the workers they belong to. A job whose worker
-- died for the third time may be the reason: it waits, longer each time, but never past half of what
-- is left to its deadline: attempts count ordinary retries, too, and when the database went down
-- under all workers none of their jobs is to blame.
WITH seen AS MATERIALIZED (
    SELECT s.place, s.owner
      FROM (VALUES (0::smallint), (1), (2), (3), (4)) AS p(priority)
     CROSS JOIN LATERAL (
           SELECT j.ctid AS place, j.owner
             FROM scheduled_jobs AS j
            WHERE j.priority = p.priority AND j.scheduled_at <= now() + interval '1 hour'
              AND j.owner = ANY($1::integer[])
           OFFSET 0
         ) AS s
), held AS MATERIALIZED (
    SELECT seen.place, seen.owner
      FROM seen
     CROSS JOIN LATERAL (
           SELECT
             FROM scheduled_jobs AS j
            WHERE j.ctid = seen.place AND j.owner = seen.owner
              FOR UPDATE SKIP LOCKED
         ) AS j
), recovered AS (
    UPDATE scheduled_jobs AS j
       SET status = 'pending', owner = NULL, last_error = 'the worker died',
           scheduled_at = CASE WHEN j.attempt < 3 THEN j.scheduled_at
                               ELSE greatest(j.scheduled_at, now() + make_interval(
                                        secs => least(300, power(2, least(j.attempt, 16) - 2),
                                                      extract(epoch FROM j.deadline_at - now())
                                                          / 2)))
                          END
      FROM held
     WHERE j.ctid = held.place AND j.owner = held.owner
    RETURNING held.owner
), buried AS (
    DELETE FROM workers AS w
     WHERE w.key = ANY($1::integer[])
       AND (SELECT count(*) FROM seen WHERE seen.owner = w.key)
           = (SELECT count(*) FROM recovered AS r WHERE r.owner = w.key)
    RETURNING w.key
)
SELECT (SELECT count(*) FROM buried) AS workers, (SELECT count(*) FROM recovered) AS jobs

-- name: reap_strays
-- The slow, complete search, now and then: claims of owners that nobody knows any more.
UPDATE scheduled_jobs
   SET status = 'pending', owner = NULL, last_error = 'the worker died'
 WHERE owner IS NOT NULL AND owner NOT IN (SELECT key FROM workers)
RETURNING id

-- name: list
SELECT w.key, w.host, w.pid, w.started_at, l.pid IS NOT NULL AS alive,
       (SELECT count(*) FROM scheduled_jobs AS j
         WHERE j.owner = w.key AND j.priority BETWEEN 0 AND 4 AND j.scheduled_at <= now()) AS running
  FROM workers AS w
  LEFT JOIN pg_locks AS l
         ON l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
        AND l.classid = $1::bigint::oid AND l.objid = w.key::bigint::oid
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY w.key
