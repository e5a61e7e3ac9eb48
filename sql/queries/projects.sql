-- name: insert
INSERT INTO projects (id, name, plan, post_slots, hmac_secret_encrypted)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, plan, post_slots, hmac_secret_encrypted IS NOT NULL AS hmac, created_at

-- name: list
SELECT id, name, plan, post_slots, hmac_secret_encrypted IS NOT NULL AS hmac, created_at
  FROM projects
 ORDER BY name

-- name: find
SELECT id, name, plan, post_slots, hmac_secret_encrypted IS NOT NULL AS hmac, created_at
  FROM projects
 WHERE id = $1

-- name: delete
DELETE FROM projects WHERE id = $1 RETURNING id

-- name: by_api_key
SELECT p.id, p.name, p.plan, p.post_slots, p.hmac_secret_encrypted IS NOT NULL AS hmac,
       p.created_at, k.digest, now() AS called_at,
       (SELECT samples_since FROM history_edges WHERE only_row) AS samples_since
  FROM api_keys k
  JOIN projects p ON p.id = k.project_id
 WHERE k.id = $1 AND k.revoked_at IS NULL

-- name: insert_api_key
INSERT INTO api_keys (id, project_id, digest, key_id) VALUES ($1, $2, $3, $4)

-- name: refresh_api_key
UPDATE api_keys SET digest = $2, key_id = $3 WHERE id = $1

-- name: revoke_api_keys
UPDATE api_keys SET revoked_at = now() WHERE project_id = $1 AND revoked_at IS NULL
