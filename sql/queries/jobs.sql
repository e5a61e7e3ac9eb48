-- name: insert
-- A live job with the same dedupe_key makes the new one superfluous; but a recurring one follows
-- when its interval has changed.
INSERT INTO scheduled_jobs (kind, priority, project_id, env, slot_at, scheduled_at, deployment_id,
                            phase, sequence_index, deadline_at, awaiting, repeat, dedupe_key,
                            payload)
SELECT kind, priority, project_id, env, scheduled_at, scheduled_at, deployment_id,
       phase, sequence_index, deadline_at, awaiting, repeat, dedupe_key, payload
  FROM unnest($1::text[], $2::smallint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::uuid[],
              $7::text[], $8::smallint[], $9::timestamptz[], $10::smallint[], $11::interval[],
              $12::text[], $13::jsonb[])
       AS j(kind, priority, project_id, env, scheduled_at, deployment_id,
            phase, sequence_index, deadline_at, awaiting, repeat, dedupe_key, payload)
ON CONFLICT (dedupe_key) WHERE dedupe_key IS NOT NULL
DO UPDATE SET repeat = excluded.repeat, slot_at = excluded.slot_at,
              scheduled_at = excluded.scheduled_at, deadline_at = excluded.deadline_at
        WHERE scheduled_jobs.repeat <> excluded.repeat AND scheduled_jobs.owner IS NULL

-- name: notify
SELECT pg_notify($1, '')

-- name: turn
-- Settles what worker $1 has finished and claims what is due, in one statement and one commit.
--
-- Settle: one outcome per claim, fenced by (id, owner, attempt). Finished jobs move to job_runs. A
-- recurring job plans its next occurrence; those missed meanwhile collapse into that one. The last
-- post slot to settle makes the judge due; the counter is exact because a claim settles at most
-- once.
--
-- Claim: by priority, within it earliest due first: one contiguous range of the index per priority.
-- ($8, $9) is where the previous full turn claimed: entries before it are claimed, or dead and only
-- kept by somebody's old snapshot, and need not be walked again.
--
-- The server plans this while its statistics may say that the table is empty, so every step is
-- written such that only one way is open: rows are found by ordered index walks and changed where
-- they lie (ctid). That is safe: who changed one meanwhile moved it, so it is passed over. If $10,
-- rows are locked before they are settled, and those that somebody else has locked are passed over
-- and told as held up: it costs a tenth, so a worker asks for it only after it had to wait.
WITH outcome AS MATERIALIZED (
    SELECT *
      FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::float8[], $6::text[])
           AS o(id, attempt, status, retry_in_seconds, last_error)
), held AS MATERIALIZED (
    SELECT o.*, s.place, s.slot_at, s.repeat, s.deployment_id,
           s.phase = 'post' AND o.status <> 'retry' AS arrives
      FROM outcome AS o
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place, s.slot_at, s.repeat, s.deployment_id, s.phase
             FROM scheduled_jobs AS s
            WHERE s.id BETWEEN o.id AND o.id AND s.owner = $1 AND s.attempt = o.attempt
            ORDER BY s.id
            LIMIT 1
         ) AS s
), usable AS MATERIALIZED (
    SELECT h.*
      FROM held AS h
     WHERE NOT $10
        OR EXISTS (SELECT
                     FROM scheduled_jobs AS s
                    WHERE s.ctid = h.place
                      FOR UPDATE SKIP LOCKED)
), arrived AS MATERIALIZED (
    SELECT deployment_id, count(*) AS slots FROM usable WHERE arrives GROUP BY 1
), judges AS MATERIALIZED (
    SELECT judge.id, a.deployment_id, a.slots
      FROM arrived AS a
     CROSS JOIN LATERAL (
           SELECT s.id
             FROM scheduled_jobs AS s
            WHERE s.deployment_id = a.deployment_id AND s.awaiting > 0 AND s.owner IS NULL
              FOR UPDATE SKIP LOCKED
         ) AS judge
), ready AS MATERIALIZED (
    -- A slot may settle only together with its judge.
    SELECT h.*
      FROM usable AS h
     WHERE h.arrives IS NOT TRUE
        OR EXISTS (SELECT FROM judges AS j WHERE j.deployment_id = h.deployment_id)
        OR NOT EXISTS (SELECT
                         FROM scheduled_jobs AS s
                        WHERE s.deployment_id = h.deployment_id AND s.awaiting > 0
                          AND s.owner IS NULL)
), finished AS (
    DELETE FROM scheduled_jobs AS j
     USING ready AS h
     WHERE j.ctid = h.place AND j.owner = $1 AND h.status <> 'retry' AND h.repeat IS NULL
    RETURNING j.*, h.status AS final_status, h.last_error AS final_error
), recorded AS (
    INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, deployment_id, phase,
                          sequence_index, payload, slot_at, scheduled_at, claimed_at, status,
                          attempt, owner, last_error)
    SELECT clock_timestamp(), id, kind, priority, project_id, env, deployment_id, phase,
           sequence_index, payload, slot_at, scheduled_at, claimed_at, final_status,
           attempt, owner, final_error
      FROM finished
), again AS (
    UPDATE scheduled_jobs AS j
       SET status = 'pending', owner = NULL, last_error = h.last_error,
           attempt = CASE WHEN h.status = 'retry' THEN j.attempt ELSE 0 END,
           scheduled_at = CASE WHEN h.status = 'retry'
                               THEN clock_timestamp() + make_interval(secs => h.retry_in_seconds)
                               ELSE n.slot_at END,
           slot_at = CASE WHEN h.status = 'retry' THEN j.slot_at ELSE n.slot_at END,
           deadline_at = CASE WHEN h.status = 'retry' THEN j.deadline_at
                              ELSE n.slot_at + (j.deadline_at - j.slot_at) END
      FROM ready AS h
     CROSS JOIN LATERAL (
           SELECT s.steps, h.slot_at + h.repeat * s.steps AS slot_at
             FROM (SELECT greatest(
                              1, ceil(extract(epoch FROM clock_timestamp() - h.slot_at)
                                      / extract(epoch FROM h.repeat))) AS steps) AS s
         ) AS n
     WHERE j.ctid = h.place AND j.owner = $1 AND (h.status = 'retry' OR h.repeat IS NOT NULL)
    RETURNING j.id, j.kind, j.phase, j.project_id, j.env, j.slot_at, j.repeat,
              CASE WHEN h.status = 'retry' THEN 0 ELSE n.steps - 1 END AS passed
), passed AS (
    -- Slots of a baseline that went by before this settle, say because the last read took until its
    -- deadline. Of those of an outage the handler told (`_record_skipped`): here it would take long.
    SELECT a.slot_at - a.repeat * back AS slot_at, a.project_id, a.env
      FROM again AS a
     CROSS JOIN LATERAL generate_series(1, least(a.passed, 10)::integer) AS back
     WHERE a.passed > 0 AND a.kind = 'collect' AND a.phase IS NULL
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT project_id, env, time_bucket('1 hour', slot_at)
      FROM passed
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
), missed AS (
    INSERT INTO missed_slots (slot_at, project_id, env, code, detail)
    SELECT slot_at, project_id, env, 'deadline', 'the slot before it was settled too late'
      FROM passed
    ON CONFLICT (project_id, env, slot_at) DO NOTHING
), rolling AS (
    UPDATE deployments AS d
       SET state = 'running'
      FROM finished AS f
     WHERE d.id = f.deployment_id AND f.phase = 'pre' AND d.state = 'pending'
), joined AS (
    UPDATE scheduled_jobs AS judge
       SET awaiting = judge.awaiting - judges.slots,
           scheduled_at = CASE WHEN judge.awaiting <= judges.slots THEN now()
                               ELSE judge.scheduled_at END
      FROM judges
     WHERE judge.id = judges.id AND judge.id = ANY (ARRAY(SELECT id FROM judges))
), due AS (
    SELECT j.place
      FROM (VALUES (0::smallint), (1), (2), (3), (4)) AS p(priority)
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place
             FROM scheduled_jobs AS s
            WHERE s.priority = p.priority AND s.owner IS NULL
              AND (s.scheduled_at, s.id) >= ($8, $9) AND s.scheduled_at <= now()
            ORDER BY s.scheduled_at, s.id
            LIMIT $7
              FOR UPDATE SKIP LOCKED
         ) AS j
     LIMIT $7
), claimed AS (
    UPDATE scheduled_jobs AS j
       SET status = 'running', owner = $1, attempt = j.attempt + 1, claimed_at = clock_timestamp()
      FROM due
     WHERE j.ctid = due.place
    RETURNING j.id, j.kind, j.project_id, j.env, j.deployment_id, j.phase, j.sequence_index,
              j.payload, j.slot_at, j.scheduled_at, j.attempt,
              extract(epoch FROM j.deadline_at - clock_timestamp())::float8 AS seconds_left,
              extract(epoch FROM clock_timestamp() - j.scheduled_at)::float8 AS late_seconds
), unsettled AS MATERIALIZED (
    SELECT o.id, o.attempt
      FROM outcome AS o
     WHERE NOT EXISTS (SELECT FROM finished AS f WHERE f.id = o.id)
       AND NOT EXISTS (SELECT FROM again AS a WHERE a.id = o.id)
), rest AS (
    SELECT (SELECT array_agg(id) FROM unsettled) AS unsettled,
           (SELECT array_agg(u.id)
              FROM unsettled AS u
             CROSS JOIN LATERAL (
                   SELECT
                     FROM scheduled_jobs AS s
                    WHERE s.id BETWEEN u.id AND u.id AND s.owner = $1 AND s.attempt = u.attempt
                    ORDER BY s.id
                    LIMIT 1
                 ) AS s) AS held_up,
           (SELECT extract(epoch FROM min(next.scheduled_at) - clock_timestamp())::float8
              FROM (VALUES (0::smallint), (1), (2), (3), (4)) AS p(priority)
             CROSS JOIN LATERAL (
                   SELECT s.scheduled_at
                     FROM scheduled_jobs AS s
                    WHERE s.priority = p.priority AND s.scheduled_at > now()
                    ORDER BY s.scheduled_at
                    LIMIT 1
                 ) AS next) AS due_in_seconds,
           CASE WHEN EXISTS (SELECT FROM due) THEN false
                ELSE NOT EXISTS (
                     SELECT
                       FROM (VALUES (0::smallint), (1), (2), (3), (4)) AS p(priority)
                      CROSS JOIN LATERAL (
                            SELECT
                              FROM scheduled_jobs AS s
                             WHERE s.priority = p.priority AND s.scheduled_at <= now()
                             ORDER BY s.scheduled_at
                             LIMIT 1
                          ) AS any_due)
                END AS nothing_due
)
SELECT c.*, rest.unsettled, rest.held_up, rest.due_in_seconds, rest.nothing_due
  FROM rest
  LEFT JOIN claimed AS c ON true

-- name: claim_around
-- Claims round the projects instead of down the queue: up to $3 due jobs of each, whatever their
-- priority, so that neither a project with a long backlog nor a high priority starves the others.
-- It walks up to $4 projects after $5, until it has $2 jobs, and says where it ended: null at the
-- end of the round.
WITH RECURSIVE project AS (
    SELECT $5::uuid AS project_id, 0 AS steps
    UNION ALL
    SELECT (SELECT j.project_id
              FROM scheduled_jobs AS j
             WHERE j.project_id > p.project_id
             ORDER BY j.project_id
             LIMIT 1), p.steps + 1
      FROM project AS p
     WHERE p.project_id IS NOT NULL AND p.steps < $4
), due AS (
    SELECT j.place, p.project_id, p.steps
      FROM project AS p
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place
             FROM scheduled_jobs AS s
            WHERE s.project_id = p.project_id AND s.owner IS NULL AND s.scheduled_at <= now()
            ORDER BY s.scheduled_at
            LIMIT $3
              FOR UPDATE SKIP LOCKED
         ) AS j
     WHERE p.steps > 0
     LIMIT $2
), claimed AS (
    UPDATE scheduled_jobs AS j
       SET status = 'running', owner = $1, attempt = j.attempt + 1, claimed_at = clock_timestamp()
      FROM due
     WHERE j.ctid = due.place
    RETURNING j.id, j.kind, j.project_id, j.env, j.deployment_id, j.phase, j.sequence_index,
              j.payload, j.slot_at, j.scheduled_at, j.attempt,
              extract(epoch FROM j.deadline_at - clock_timestamp())::float8 AS seconds_left,
              extract(epoch FROM clock_timestamp() - j.scheduled_at)::float8 AS late_seconds
), walk AS (
    SELECT project_id AS ended_at
      FROM (SELECT project_id, steps FROM project WHERE (SELECT count(*) FROM due) < $2
             UNION ALL
            SELECT project_id, steps FROM due WHERE (SELECT count(*) FROM due) >= $2) AS walked
     ORDER BY steps DESC
     LIMIT 1
)
SELECT c.*, walk.ended_at
  FROM walk
  LEFT JOIN claimed AS c ON true

-- name: release
-- Claimed jobs were due: only that part of the queue is searched, and an hour more for the case
-- that the server's clock was set back meanwhile.
WITH held AS (
    SELECT s.place
      FROM (VALUES (0::smallint), (1), (2), (3), (4)) AS p(priority)
     CROSS JOIN LATERAL (
           SELECT j.ctid AS place
             FROM scheduled_jobs AS j
            WHERE j.priority = p.priority AND j.scheduled_at <= now() + interval '1 hour'
              AND j.owner = ANY(ARRAY[$1::integer])
           OFFSET 0
         ) AS s
)
UPDATE scheduled_jobs AS j
   SET status = 'pending', owner = NULL, last_error = 'handed back by a stopping worker'
  FROM held
 WHERE j.ctid = held.place AND j.owner = $1
RETURNING j.id

-- name: cancel
-- Also what is running: its settle finds no row any more. Slots that were planned are missed then:
-- those of a deployment, and of the baseline the one that was due. Not of a project that is gone:
-- its deletion removes the row first, and who comes before it is waited for at the rows of the jobs.
WITH cancelled AS (
    DELETE FROM scheduled_jobs
     WHERE id = ANY($1::bigint[]) OR deployment_id = $2 OR project_id = $3
    RETURNING *
), planned AS (
    SELECT *
      FROM cancelled AS c
     WHERE kind = 'collect' AND (phase IS NOT NULL OR slot_at <= now())
       AND slot_at >= (SELECT samples_since FROM history_edges WHERE only_row)
       AND EXISTS (SELECT FROM projects AS p WHERE p.id = c.project_id)
), late AS (
    INSERT INTO late_hours (project_id, env, hour_at)
    SELECT DISTINCT project_id, env, time_bucket('1 hour', slot_at)
      FROM planned
     WHERE slot_at < (SELECT closed_until FROM history_edges WHERE only_row)
), missed AS (
    INSERT INTO missed_slots (slot_at, project_id, env, deployment_id, phase, sequence_index,
                              code, detail)
    SELECT slot_at, project_id, env, deployment_id, phase, sequence_index,
           'cancelled', 'its job was cancelled'
      FROM planned
    ON CONFLICT (project_id, env, slot_at) DO NOTHING
), recorded AS (
    INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, deployment_id, phase,
                          sequence_index, payload, slot_at, scheduled_at, claimed_at, status,
                          attempt, owner, last_error)
    SELECT clock_timestamp(), id, kind, priority, project_id, env, deployment_id, phase,
           sequence_index, payload, slot_at, scheduled_at, claimed_at, 'failed',
           attempt, owner, 'cancelled'
      FROM cancelled
)
SELECT count(*) FROM cancelled

-- name: hasten
-- A slot is not read before its time: the sample would not be of that moment.
UPDATE scheduled_jobs
   SET scheduled_at = now()
 WHERE id = $1 AND owner IS NULL AND (kind <> 'collect' OR slot_at <= now())
RETURNING id

-- name: repeat_run
-- A job that failed is written anew, with a fresh id and no attempts; once, as long as it lives. A
-- slot that is over stays missed.
INSERT INTO scheduled_jobs (kind, priority, project_id, env, slot_at, scheduled_at, deployment_id,
                            phase, sequence_index, payload, dedupe_key)
SELECT kind, priority, project_id, env, slot_at, now(), deployment_id, phase, sequence_index,
       payload, 'again:' || id
  FROM job_runs
 WHERE id = $1 AND status = 'failed' AND kind <> 'collect'
 ORDER BY finished_at DESC
 LIMIT 1
ON CONFLICT (dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
RETURNING id

-- name: list
SELECT id, kind, status, project_id, env, deployment_id, phase, sequence_index, scheduled_at,
       finished_at, attempt, owner, last_error
  FROM report.jobs
 WHERE ($1::text IS NULL OR status = $1)
   AND ($2::uuid IS NULL OR deployment_id = $2)
   AND ($3::uuid IS NULL OR project_id = $3)
   AND ($4::bigint IS NULL OR id = $4)
   AND (finished_at IS NULL OR $6::integer IS NULL
        OR finished_at > now() - make_interval(hours => $6))
 ORDER BY scheduled_at DESC, id DESC
 LIMIT $5
