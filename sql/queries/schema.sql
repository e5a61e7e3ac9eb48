-- The schema as text, from the catalogue: the same from run to run on one major version of PostgreSQL
-- (another one may write the same view differently). One statement per row.

-- name: tables
WITH parts AS (
    SELECT a.attrelid AS of, 1 AS kind, a.attnum::integer AS place, '' AS name,
           format('    %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE a.attidentity WHEN '' THEN '' ELSE ' GENERATED ALWAYS AS IDENTITY' END,
                  CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                  ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS part
      FROM pg_attribute AS a
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT conrelid, 2, 0, conname, format('    CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
      FROM pg_constraint
     WHERE contype <> 'n'
)
SELECT format(E'CREATE %sTABLE %s (\n%s\n);',
              CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, c.relname,
              string_agg(p.part, E',\n' ORDER BY p.kind, p.place, p.name COLLATE "C")) AS ddl
  FROM pg_class AS c
  JOIN parts AS p ON p.of = c.oid
 WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
 GROUP BY c.oid, c.relname, c.relpersistence
 ORDER BY c.relname COLLATE "C"

-- name: hypertables
SELECT format('SELECT create_hypertable(%L, %L);', hypertable_name, column_name) AS ddl
  FROM timescaledb_information.dimensions
 WHERE hypertable_schema = current_schema()
 ORDER BY hypertable_name COLLATE "C"

-- name: indexes
SELECT pg_get_indexdef(i.indexrelid) || ';' AS ddl
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
 WHERE c.relnamespace = current_schema()::regnamespace
   AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
 ORDER BY c.relname COLLATE "C"

-- name: functions
SELECT CASE p.prokind
            WHEN 'a' THEN format('CREATE AGGREGATE %s;', p.oid::regprocedure)
            ELSE rtrim(pg_get_functiondef(p.oid), E'\n') || ';' END AS ddl
  FROM pg_proc AS p
 WHERE p.pronamespace IN (current_schema()::regnamespace, 'report'::regnamespace)
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
 ORDER BY p.oid::regprocedure::text COLLATE "C"

-- name: views
SELECT format(E'CREATE VIEW report.%I AS\n%s', c.relname, pg_get_viewdef(c.oid)) AS ddl
  FROM pg_class AS c
 WHERE c.relkind = 'v' AND c.relnamespace = 'report'::regnamespace
 ORDER BY c.relname COLLATE "C"

-- name: comments
SELECT format('COMMENT ON %s %s IS %L;',
              CASE WHEN d.objsubid > 0 THEN 'COLUMN' WHEN c.relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END,
              c.oid::regclass || coalesce('.' || quote_ident(a.attname), ''), d.description) AS ddl
  FROM pg_description AS d
  JOIN pg_class AS c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE c.relnamespace IN (current_schema()::regnamespace, 'report'::regnamespace)
 ORDER BY c.oid::regclass::text COLLATE "C", d.objsubid

-- name: report
-- Views of the report with their columns, as docs/sql.md tells them.
SELECT c.relname AS view, obj_description(c.oid, 'pg_class') AS meaning, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type, col_description(c.oid, a.attnum) AS about
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'report'
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'v'
 ORDER BY c.relname, a.attnum

-- name: report_functions
SELECT p.proname AS name, pg_get_function_identity_arguments(p.oid) AS arguments,
       pg_get_function_result(p.oid) AS result, obj_description(p.oid, 'pg_proc') AS meaning
  FROM pg_proc AS p
  JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'report'
 ORDER BY p.proname
