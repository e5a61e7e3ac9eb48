-- name: extension_version
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'

-- name: create_extension
CREATE EXTENSION timescaledb

-- name: ledger_exists
SELECT to_regclass('schema_migrations') IS NOT NULL

-- name: create_ledger
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: applied
SELECT version, checksum FROM schema_migrations ORDER BY version

-- name: record
INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)

-- name: limit_wait
SELECT set_config('lock_timeout', $1::float8::integer::text, false)

-- name: wait_freely
RESET lock_timeout

-- name: unfinished_indexes
-- Left by a statement outside a transaction; IF NOT EXISTS would take them for finished.
SELECT indexrelid::regclass::text AS name
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
 WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace

-- name: drop_index
DROP INDEX IF EXISTS {name}
