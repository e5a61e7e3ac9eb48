-- name: is_empty
-- Nothing is there but what extensions brought along.
SELECT NOT EXISTS (
           SELECT
             FROM pg_class AS c
             JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname !~ '^pg_|^information_schema$'
              AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
       ) AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'report')

-- name: begin
SELECT timescaledb_pre_restore()

-- name: end
SELECT timescaledb_post_restore()

-- name: analyze
ANALYZE

-- name: close
-- Privileges do not come along, and without them everybody may call a function: this one drops chunks
-- with the rights of its owner.
DO $$ BEGIN
    IF to_regprocedure('drop_old_chunks(regclass, timestamptz, timestamptz)') IS NOT NULL THEN
        REVOKE EXECUTE ON FUNCTION drop_old_chunks FROM PUBLIC;
    END IF;
END $$
