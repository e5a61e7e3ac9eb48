-- Roles of a database, see sql/roles.py. Names cannot be parameters: those of roles are ours, the others
-- are quoted by the server (`place`).

-- name: place
SELECT quote_ident(current_database()) AS database, nspowner::regrole::text AS owner
  FROM pg_namespace
 WHERE nspname = 'report'

-- name: create
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role};
    END IF;
END $$

-- name: log_in
ALTER ROLE {role} LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT {connections}

-- name: set_password
ALTER ROLE {role} PASSWORD '{verifier}'

-- name: set
ALTER ROLE {role} SET {name} = '{value}'

-- name: connect
GRANT CONNECT ON DATABASE {database} TO {role}

-- name: close_public
-- What everybody may do unless told otherwise.
REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- name: read
GRANT USAGE ON SCHEMA report TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA report TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA report GRANT SELECT ON TABLES TO {role};

-- name: read_as_team
GRANT USAGE ON SCHEMA team TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA team TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA team GRANT SELECT ON TABLES TO {role}

-- name: work
-- Processes read and write rows, and own nothing: they can neither change the schema nor say that
-- it is another one than it is.
GRANT TEMPORARY ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA public, report TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA report TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
GRANT EXECUTE ON FUNCTION drop_old_chunks TO {role};
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA report GRANT SELECT ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role};

-- name: watch
-- Who is a member of a role sees its sessions and can end them.
GRANT {role} TO {watcher}

-- name: close_functions
-- What the server lets everybody call although it writes, waits or disturbs: large objects, advisory
-- locks (ours say who is alive and who leads), messages in the log of changes, jobs of TimescaleDB,
-- which run beyond every limit of who made them. And what drops chunks with the rights of its owner:
-- a dump that is restored without privileges opens it to everybody. Only the owner of a function can take it away; for
-- anybody else this does nothing.
DO $$
DECLARE
    called regprocedure;
BEGIN
    FOR called IN SELECT p.oid FROM pg_proc AS p WHERE {dangerous} LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', called);
        IF called::text ~ 'advisory' THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO {workers}', called);
        END IF;
    END LOOP;
END $$

-- name: dangerous
(p.pronamespace = 'pg_catalog'::regnamespace
        AND p.proname ~ '^(lo_.*|loread|lowrite|pg_(try_)?advisory_.*|pg_logical_emit_message)$')
    OR (p.proname IN ('add_job', 'alter_job', 'delete_job', 'run_job')
        AND EXISTS (SELECT
                      FROM pg_depend AS d
                      JOIN pg_extension AS e ON e.oid = d.refobjid
                     WHERE d.objid = p.oid AND e.extname = 'timescaledb'))
    OR (p.proname = 'drop_old_chunks' AND p.prosecdef)

-- name: close_job_api
-- Again and again: an update of the extension opens it anew.
DO $$
DECLARE
    called regprocedure;
BEGIN
    FOR called IN
        SELECT p.oid
          FROM pg_proc AS p
         CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
         WHERE p.proname IN ('add_job', 'alter_job', 'delete_job', 'run_job')
           AND pg_has_role(p.proowner, 'USAGE') AND a.grantee = 0
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', called);
    END LOOP;
END $$

-- name: doors
-- What readers can do beyond reading schema report; nothing, if all is well.
WITH readers AS (
    SELECT oid, rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
      FROM pg_roles
     WHERE rolname = ANY($1::text[]) OR rolname LIKE $2
)
SELECT r.rolname || ' may call ' || p.oid::regprocedure AS door
  FROM readers AS r, pg_proc AS p
 WHERE ({dangerous}) AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
UNION ALL
SELECT r.rolname || ' may create temporary tables' FROM readers AS r
 WHERE has_database_privilege(r.oid, current_database(), 'TEMPORARY')
UNION ALL
SELECT r.rolname || ' may create schemas' FROM readers AS r
 WHERE has_database_privilege(r.oid, current_database(), 'CREATE')
UNION ALL
SELECT r.rolname || ' may create things in schema ' || n.nspname
  FROM readers AS r, pg_namespace AS n
 WHERE has_schema_privilege(r.oid, n.oid, 'CREATE')
UNION ALL
SELECT r.rolname || ' may read ' || c.oid::regclass
  FROM readers AS r, pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('report', 'team', 'pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE ALL (ARRAY['\_timescaledb\_c%', 'timescaledb\_%', 'pg\_%'])
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
   AND has_any_column_privilege(r.oid, c.oid, 'SELECT')
UNION ALL
SELECT r.rolname || ' may read what is not of its team' FROM readers AS r
 WHERE r.rolname LIKE $2 AND has_schema_privilege(r.oid, 'report', 'USAGE')
UNION ALL
SELECT r.rolname || ' may change ' || c.oid::regclass
  FROM readers AS r, pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE, REFERENCES'))
   AND n.nspname <> 'information_schema' AND c.oid <> 'pg_settings'::regclass
UNION ALL
SELECT r.rolname || ' may act as ' || m.roleid::regrole
  FROM readers AS r JOIN pg_auth_members AS m ON m.member = r.oid
UNION ALL
SELECT rolname || ' has attributes of an administrator' FROM readers
 WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
 ORDER BY 1

-- name: end_overdue
-- A role can lift its own time limit, so sessions are ended from outside, by how long they have kept
-- a transaction open: that is what keeps old rows and old chunks from going.
SELECT count(*) AS ended
  FROM (SELECT pg_terminate_backend(a.pid)
          FROM pg_stat_activity AS a
          JOIN unnest($1::text[], $2::float8[]) AS r(role, seconds)
            ON r.role = a.usename OR (r.role ~ '_$' AND starts_with(a.usename, r.role))
         WHERE a.datname = current_database() AND a.backend_type = 'client backend'
           AND a.xact_start < clock_timestamp() - make_interval(secs => r.seconds)) AS each
