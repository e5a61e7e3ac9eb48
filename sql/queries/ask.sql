-- name: limit
-- For the transaction: how long a statement may take.
SELECT set_config('statement_timeout', $1, true)
