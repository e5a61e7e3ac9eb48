-- name: insert
-- Not more live keys than a person can look through.
INSERT INTO api_keys (id, project_id, digest, key_id, scope, label, expires_at)
SELECT $1, $2::uuid, $3, $4, $5, $6, $7
 WHERE (SELECT count(*) FROM api_keys
         WHERE project_id = $2 AND revoked_at IS NULL
           AND (expires_at IS NULL OR expires_at > now())) < $8
RETURNING id, scope, label, created_at, expires_at, last_used_at

-- name: list
-- Live ones, and what became of the others for a month.
SELECT id, scope, label, created_at, expires_at, last_used_at, revoked_at
  FROM api_keys
 WHERE project_id = $1 AND coalesce(revoked_at, expires_at, 'infinity') > now() - interval '30 days'
 ORDER BY created_at, id

-- name: revoke
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
 WHERE project_id = $1 AND id = $2
RETURNING id

-- name: revoke_all
UPDATE api_keys SET revoked_at = now() WHERE project_id = $1 AND revoked_at IS NULL

-- name: refresh
UPDATE api_keys SET digest = $2, key_id = $3 WHERE id = $1

-- name: note_use
-- At most once a minute for each; what another process is writing just now is told by that one.
UPDATE api_keys SET last_used_at = now()
 WHERE id IN (SELECT id FROM api_keys
               WHERE id = ANY($1::text[])
                 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
               FOR NO KEY UPDATE SKIP LOCKED)
