-- Views for teams, see sql/teams.py.

-- name: projects
SELECT id, name FROM projects WHERE name = ANY($1::text[]) OR id::text = ANY($1::text[])

-- name: forget
DELETE FROM team_projects WHERE team = $1 AND NOT project_id = ANY($2::uuid[])

-- name: note
INSERT INTO team_projects (team, project_id)
SELECT $1, id FROM unnest($2::uuid[]) AS id
ON CONFLICT DO NOTHING

-- name: any
SELECT EXISTS (SELECT FROM team_projects)

-- name: views
SELECT quote_ident(table_name) AS name
  FROM information_schema.columns
 WHERE table_schema = $1 AND column_name = 'project_id'
 ORDER BY table_name

-- name: drop_view
DROP VIEW IF EXISTS team.{name}

-- name: create_view
-- A barrier: nothing that a query asks for is computed of a row before it is known to be theirs.
CREATE VIEW team.{name} WITH (security_barrier) AS
SELECT v.*
  FROM report.{name} AS v
 WHERE v.project_id IN (SELECT t.project_id FROM team_projects AS t
                         WHERE 'seqpulse_team_' || t.team = current_user)

-- name: app_exists
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
