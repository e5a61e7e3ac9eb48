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
