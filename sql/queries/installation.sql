-- name: insert
INSERT INTO installation (key_digest) VALUES ($1) ON CONFLICT DO NOTHING

-- name: key_digest
SELECT key_digest FROM installation

-- name: is_read_only
SELECT current_setting('transaction_read_only')::boolean

-- name: now
SELECT now()
