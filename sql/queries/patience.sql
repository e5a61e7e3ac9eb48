-- name: limit_wait
SELECT set_config('lock_timeout', $1, true)
