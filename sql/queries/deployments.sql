-- name: insert
INSERT INTO deployments (id, project_id, env, branch, idempotency_key)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING *

-- name: find_existing
SELECT *
  FROM deployments
 WHERE project_id = $1 AND env = $2
   AND (idempotency_key = $3 OR state IN ('pending', 'running'))
 ORDER BY idempotency_key IS NOT DISTINCT FROM $3 DESC
 LIMIT 1

-- name: renew
-- A pipeline that died before its finish leaves a live deployment behind. What was measured before
-- it says nothing of the next rollout, so that one takes it over and begins anew.
UPDATE deployments
   SET state = 'pending', branch = $2, idempotency_key = $3, triggered_at = now()
 WHERE id = $1 AND state IN ('pending', 'running') AND idempotency_key IS DISTINCT FROM $3
   AND triggered_at < now() - make_interval(secs => $4::float8)
RETURNING *

-- name: mark_finished
UPDATE deployments
   SET state = 'finished', result = $3, finished_at = now(), post_slots = $4, slot_seconds = $5
 WHERE id = $1 AND project_id = $2 AND state IN ('pending', 'running')
RETURNING *

-- name: extend
-- Once: of two that try, the second waits for the first and finds it done.
UPDATE deployments
   SET post_slots = 2 * post_slots, extended_at = now()
 WHERE id = $1 AND state = 'finished' AND extended_at IS NULL
RETURNING *

-- name: find
SELECT * FROM deployments WHERE id = $1 AND project_id = $2

-- name: load
SELECT *, now() AS as_of FROM deployments WHERE id = $1
