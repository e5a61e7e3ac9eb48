-- name: insert
-- A live job with the same dedupe_key makes the new one superfluous. Workers are woken only for
-- what is due before they would look anyway ($13 seconds).
WITH added AS (
    INSERT INTO scheduled_jobs (kind, project_id, env, slot_at, scheduled_at, deployment_id, phase,
                                sequence_index, deadline_at, awaiting, repeat, dedupe_key)
    SELECT kind, project_id, env, scheduled_at, scheduled_at, deployment_id, phase,
           sequence_index, deadline_at, awaiting, repeat, dedupe_key
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::text[],
                  $7::smallint[], $8::timestamptz[], $9::smallint[], $10::interval[], $11::text[])
           AS j(kind, project_id, env, scheduled_at, deployment_id, phase,
                sequence_index, deadline_at, awaiting, repeat, dedupe_key)
    ON CONFLICT (dedupe_key) WHERE status IN ('pending', 'running') DO NOTHING
    RETURNING scheduled_at
)
SELECT pg_notify($12::text, '')
  FROM (SELECT min(scheduled_at) AS earliest FROM added) AS a
 WHERE a.earliest <= now() + make_interval(secs => $13::float8)

-- name: settle
-- One outcome per claim, fenced by (id, owner, attempt). A final outcome of a recurring job plans
-- its next occurrence; occurrences missed meanwhile collapse into that one. The last post slot to
-- settle makes the judge due; the counter is exact because a claim settles at most once.
WITH outcome AS (
    SELECT *
      FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::float8[], $6::text[])
           AS o(id, attempt, status, retry_in_seconds, last_error)
), settled AS (
    UPDATE scheduled_jobs AS j
       SET status = CASE WHEN o.status = 'retry' OR j.repeat IS NOT NULL THEN 'pending'
                         ELSE o.status END,
           scheduled_at = CASE WHEN o.status = 'retry'
                               THEN clock_timestamp() + make_interval(secs => o.retry_in_seconds)
                               WHEN j.repeat IS NOT NULL THEN n.slot_at
                               ELSE j.scheduled_at END,
           slot_at = CASE WHEN o.status <> 'retry' AND j.repeat IS NOT NULL THEN n.slot_at
                          ELSE j.slot_at END,
           deadline_at = CASE WHEN o.status <> 'retry' AND j.repeat IS NOT NULL
                              THEN n.slot_at + (j.deadline_at - j.slot_at)
                              ELSE j.deadline_at END,
           attempt = CASE WHEN o.status <> 'retry' AND j.repeat IS NOT NULL THEN 0
                          ELSE j.attempt END,
           finished_at = CASE WHEN o.status <> 'retry' THEN now() END,
           owner = NULL,
           last_error = o.last_error
      FROM outcome AS o
      JOIN scheduled_jobs AS before ON before.id = o.id
     CROSS JOIN LATERAL (
           SELECT before.slot_at + before.repeat * greatest(
                      1, ceil(extract(epoch FROM clock_timestamp() - before.slot_at)
                              / extract(epoch FROM before.repeat))) AS slot_at
         ) AS n
     WHERE j.id = o.id AND j.owner = $1 AND j.attempt = o.attempt AND j.status = 'running'
    RETURNING j.id, j.deployment_id, j.phase, o.status
), rolling AS (
    UPDATE deployments AS d
       SET state = 'running'
      FROM settled AS s
     WHERE d.id = s.deployment_id AND s.phase = 'pre' AND s.status <> 'retry'
       AND d.state = 'pending'
), joined AS (
    UPDATE scheduled_jobs AS judge
       SET awaiting = judge.awaiting - arrived.slots,
           scheduled_at = CASE WHEN judge.awaiting <= arrived.slots THEN now()
                               ELSE judge.scheduled_at END
      FROM (SELECT deployment_id, count(*) AS slots
              FROM settled
             WHERE phase = 'post' AND status <> 'retry'
             GROUP BY deployment_id) AS arrived
     WHERE judge.deployment_id = arrived.deployment_id AND judge.kind = 'judge'
       AND judge.status = 'pending'
)
SELECT id FROM settled

-- name: claim
WITH due AS (
    SELECT id
      FROM scheduled_jobs
     WHERE status = 'pending' AND scheduled_at <= now()
     ORDER BY scheduled_at, id
     LIMIT $2
       FOR UPDATE SKIP LOCKED
)
UPDATE scheduled_jobs AS j
   SET status = 'running', owner = $1, attempt = j.attempt + 1, claimed_at = now()
  FROM due
 WHERE j.id = due.id
RETURNING j.id, j.kind, j.project_id, j.env, j.deployment_id, j.phase, j.sequence_index, j.slot_at,
          j.attempt, extract(epoch FROM j.deadline_at - clock_timestamp())::float8 AS seconds_left

-- name: seconds_to_next
SELECT extract(epoch FROM scheduled_at - clock_timestamp())::float8
  FROM scheduled_jobs
 WHERE status = 'pending'
 ORDER BY scheduled_at, id
 LIMIT 1

-- name: reap
-- Owners without a granted lock are dead: their jobs go back into the queue. The claim they lost
-- keeps its attempt number, so nothing they still send can settle.
UPDATE scheduled_jobs AS j
   SET status = 'pending', owner = NULL, last_error = 'the worker died'
 WHERE status = 'running'
   AND NOT EXISTS (SELECT FROM pg_locks AS l
                    WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
                      AND l.database = (SELECT oid FROM pg_database
                                         WHERE datname = current_database())
                      AND l.classid = $1::bigint::oid AND l.objid = j.owner::bigint::oid)
RETURNING j.id

-- name: release
UPDATE scheduled_jobs
   SET status = 'pending', owner = NULL, last_error = 'handed back by a stopping worker'
 WHERE owner = $1 AND status = 'running'
RETURNING id

-- name: next_worker_key
SELECT nextval('worker_keys')::integer

-- name: unsettled_post_slots
SELECT count(*)
  FROM scheduled_jobs
 WHERE deployment_id = $1 AND phase = 'post' AND status IN ('pending', 'running')
