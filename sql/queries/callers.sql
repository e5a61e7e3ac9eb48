-- name: by_api_key
SELECT p.id, p.name, p.plan, p.post_slots, p.hmac_secret_encrypted IS NOT NULL AS hmac,
       p.created_at, k.digest, k.scope, now() AS called_at,
       (SELECT samples_since FROM history_edges WHERE only_row) AS samples_since
  FROM api_keys k
  JOIN projects p ON p.id = k.project_id
 WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())

-- name: by_project
SELECT id, name, plan, post_slots, hmac_secret_encrypted IS NOT NULL AS hmac, created_at,
       now() AS called_at,
       (SELECT samples_since FROM history_edges WHERE only_row) AS samples_since
  FROM projects
 WHERE id = $1

-- name: by_deployment
SELECT p.id, p.name, p.plan, p.post_slots, p.hmac_secret_encrypted IS NOT NULL AS hmac,
       p.created_at, now() AS called_at,
       (SELECT samples_since FROM history_edges WHERE only_row) AS samples_since
  FROM deployments d
  JOIN projects p ON p.id = d.project_id
 WHERE d.id = $1
