-- name: create
-- Names cannot be parameters; these are made by us of letters, digits and underscores.
CREATE DATABASE {name}

-- name: drop
DROP DATABASE IF EXISTS {name} WITH (FORCE)
