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
