-- name: lock_project
-- So that the number of its channels cannot change meanwhile.
SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE

-- name: count
SELECT count(*) FROM channels WHERE project_id = $1

-- name: insert
INSERT INTO channels (id, project_id, kind, name, shown, access_encrypted, secret_encrypted,
                      verdicts, conclusive_only, envs)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (project_id, name) DO NOTHING
RETURNING *

-- name: list
SELECT * FROM channels WHERE project_id = $1 ORDER BY name

-- name: find
SELECT * FROM channels WHERE project_id = $1 AND id = $2

-- name: change
-- Null leaves something as it is. Who turns it on again need not know why it was off.
UPDATE channels
   SET name = coalesce($3, name), shown = coalesce($4, shown),
       access_encrypted = coalesce($5, access_encrypted), verdicts = coalesce($6, verdicts),
       conclusive_only = coalesce($7, conclusive_only), envs = coalesce($8, envs),
       enabled = coalesce($9, enabled),
       disabled_reason = CASE WHEN $9 IS NULL THEN disabled_reason END,
       updated_at = now()
 WHERE project_id = $1 AND id = $2
RETURNING *

-- name: delete
DELETE FROM channels WHERE project_id = $1 AND id = $2 RETURNING id

-- name: rotate_secret
UPDATE channels
   SET secret_before_encrypted = CASE WHEN $4 > 0 THEN secret_encrypted END,
       secret_before_until = CASE WHEN $4 > 0 THEN now() + make_interval(secs => $4) END,
       secret_encrypted = $3, updated_at = now()
 WHERE project_id = $1 AND id = $2 AND kind = 'webhook'
RETURNING id

-- name: disable
UPDATE channels SET enabled = false, disabled_reason = $2 WHERE id = $1 AND enabled
