-- name: try_lock
SELECT pg_try_advisory_lock($1::int, $2::int)

-- name: unlock
SELECT pg_advisory_unlock($1::int, $2::int)
