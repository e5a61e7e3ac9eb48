-- name: lock
-- Who creates or changes something meanwhile waits; readers do not.
LOCK TABLE projects, targets, channels, api_keys, kept_answers, installation
    IN SHARE ROW EXCLUSIVE MODE

-- name: project_secrets
SELECT id, hmac_secret_encrypted AS token FROM projects WHERE hmac_secret_encrypted IS NOT NULL

-- name: update_project
UPDATE projects SET hmac_secret_encrypted = $2 WHERE id = $1

-- name: target_secrets
SELECT project_id, env, header_encrypted AS token FROM targets WHERE header_encrypted IS NOT NULL

-- name: update_target
UPDATE targets SET header_encrypted = $3 WHERE project_id = $1 AND env = $2

-- name: channel_secrets
SELECT c.id, s.place, s.token
  FROM channels AS c
 CROSS JOIN LATERAL (VALUES ('access', c.access_encrypted), ('secret', c.secret_encrypted),
                            ('before', c.secret_before_encrypted)) AS s(place, token)
 WHERE s.token IS NOT NULL

-- name: update_channel
UPDATE channels
   SET access_encrypted = CASE WHEN $2 = 'access' THEN $3 ELSE access_encrypted END,
       secret_encrypted = CASE WHEN $2 = 'secret' THEN $3 ELSE secret_encrypted END,
       secret_before_encrypted = CASE WHEN $2 = 'before' THEN $3 ELSE secret_before_encrypted END
 WHERE id = $1

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
