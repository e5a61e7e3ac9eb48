-- The archive: what expires is written to files first (docs/archive.md).

CREATE TABLE archive_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO archive_identity DEFAULT VALUES;
COMMENT ON TABLE archive_identity IS 'Tells the archive of this database from that of another';

CREATE TABLE archived_chunks (
    chunk       text PRIMARY KEY,
    range_start timestamptz NOT NULL,
    range_end   timestamptz NOT NULL,
    rows        bigint NOT NULL,
    archived_at timestamptz NOT NULL,
    verified_at timestamptz NOT NULL
);
COMMENT ON TABLE archived_chunks IS
    'Chunks that were dropped after all their rows had been found in the archive';
COMMENT ON COLUMN archived_chunks.archived_at IS 'When the run began that wrote it';
COMMENT ON COLUMN archived_chunks.verified_at IS 'When the chunk was compared and dropped';

CREATE TABLE restored_days (
    day        date PRIMARY KEY,
    keep_until timestamptz NOT NULL
);
COMMENT ON TABLE restored_days IS 'Days (UTC) that were brought back from the archive for a while';
