-- name: put
-- What CI says of its endpoint does not count where the operator chose another source or gave a
-- credential: whoever holds an API key could have it sent to himself.
INSERT INTO targets (project_id, env, endpoint) VALUES ($1, $2, $3)
ON CONFLICT (project_id, env)
DO UPDATE SET endpoint = excluded.endpoint, updated_at = now(),
              failures = 0, last_code = NULL, rests_until = NULL
        WHERE targets.endpoint <> excluded.endpoint AND targets.source = 'seqpulse'
          AND targets.header_encrypted IS NULL

-- name: configure
INSERT INTO targets (project_id, env, endpoint, source, queries, header_encrypted)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (project_id, env)
DO UPDATE SET endpoint = excluded.endpoint, source = excluded.source, queries = excluded.queries,
              header_encrypted = excluded.header_encrypted, updated_at = now(),
              failures = 0, last_code = NULL, rests_until = NULL

-- name: source
SELECT source FROM targets WHERE project_id = $1 AND env = $2

-- name: list
SELECT env, endpoint, source, header_encrypted IS NOT NULL AS has_header, failures, last_code,
       greatest(0, extract(epoch FROM rests_until - now()))::float8 AS rests_seconds
  FROM targets
 WHERE project_id = $1
 ORDER BY env

-- name: load
SELECT t.endpoint, t.source, t.queries, t.header_encrypted, t.failures,
       coalesce(t.rests_until > now(), false) AS rests, p.plan, p.hmac_secret_encrypted
  FROM targets t
  JOIN projects p ON p.id = t.project_id
 WHERE t.project_id = $1 AND t.env = $2

-- name: note_success
UPDATE targets SET failures = 0, last_code = NULL, rests_until = NULL
 WHERE project_id = $1 AND env = $2 AND failures > 0

-- name: note_failure
UPDATE targets
   SET failures = failures + 1, last_code = $3, rests_until = now() + make_interval(secs => $4)
 WHERE project_id = $1 AND env = $2
