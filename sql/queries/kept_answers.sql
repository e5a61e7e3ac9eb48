-- name: lock
-- Ends with the transaction, whatever becomes of the caller.
SELECT pg_try_advisory_xact_lock($1::int, hashtext(concat_ws(' ', $2::uuid, $3::text, $4::text)))

-- name: forget_expired
DELETE FROM kept_answers
 WHERE project_id IS NOT DISTINCT FROM $1 AND route = $2 AND key = $3
   AND kept_at <= now() - interval '24 hours'

-- name: find
SELECT request_digest, answer_encrypted
  FROM kept_answers
 WHERE project_id IS NOT DISTINCT FROM $1 AND route = $2 AND key = $3

-- name: insert
INSERT INTO kept_answers (project_id, route, key, request_digest, answer_encrypted)
VALUES ($1, $2, $3, $4, $5)

-- name: delete_expired
DELETE FROM kept_answers WHERE kept_at <= now() - interval '24 hours'
