-- name: tell
WITH old AS (
    DELETE FROM api_traffic WHERE told_at < now() - interval '5 minutes'
)
INSERT INTO api_traffic (requests, errors, latencies) VALUES ($1, $2, $3)

-- name: last_minute
SELECT requests, errors, latencies FROM api_traffic WHERE told_at > now() - interval '1 minute'

-- name: use_nonce
-- Kept for longer than any timestamp is accepted.
WITH old AS (
    DELETE FROM used_nonces WHERE used_at < now() - interval '10 minutes'
)
INSERT INTO used_nonces (digest) VALUES ($1) ON CONFLICT DO NOTHING RETURNING digest
