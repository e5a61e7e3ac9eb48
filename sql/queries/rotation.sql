-- name: lock
-- Who creates or changes something meanwhile waits; readers do not.
LOCK TABLE projects, targets, api_keys, kept_answers, installation IN SHARE ROW EXCLUSIVE MODE

-- name: project_secrets
SELECT id, hmac_secret_encrypted AS token FROM projects WHERE hmac_secret_encrypted IS NOT NULL

-- name: update_project
UPDATE projects SET hmac_secret_encrypted = $2 WHERE id = $1

-- name: target_secrets
SELECT project_id, env, header_encrypted AS token FROM targets WHERE header_encrypted IS NOT NULL

-- name: update_target
UPDATE targets SET header_encrypted = $3 WHERE project_id = $1 AND env = $2

-- name: kept_answers
SELECT ctid::text AS place, answer_encrypted AS token FROM kept_answers

-- name: update_kept_answer
UPDATE kept_answers SET answer_encrypted = $2 WHERE ctid = $1::text::tid

-- name: name_api_keys
UPDATE api_keys SET key_id = $1 WHERE key_id IS NULL

-- name: set_key_digest
UPDATE installation SET key_digest = $1

-- name: live_api_keys
SELECT count(*) FROM api_keys
 WHERE revoked_at IS NULL AND key_id IS NOT NULL AND key_id <> $1
