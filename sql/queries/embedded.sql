-- The private TimescaleDB: making its database, keeping the extension current, describing a server.

-- name: create_database
CREATE DATABASE seqpulse

-- name: create_extension
CREATE EXTENSION timescaledb

-- name: update_extension
ALTER EXTENSION timescaledb UPDATE

-- name: describe
SELECT
    current_setting('server_version') AS postgresql,
    (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
    current_setting('timescaledb.license', true) AS edition,
    pg_size_pretty(pg_database_size(current_database())) AS size
