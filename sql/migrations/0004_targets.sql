-- Targets of more than one source, their health, the turns of all workers, and rotated master keys.

ALTER TABLE targets
    ADD COLUMN source           text NOT NULL DEFAULT 'seqpulse',
    ADD COLUMN queries          jsonb,
    ADD COLUMN header_encrypted text,
    ADD COLUMN failures         integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    ADD COLUMN last_code        text,
    ADD COLUMN rests_until      timestamptz,
    ADD CONSTRAINT targets_source CHECK (source IN ('seqpulse', 'prometheus')),
    ADD CONSTRAINT targets_queries CHECK ((source = 'prometheus') = (queries IS NOT NULL));
COMMENT ON TABLE targets IS 'Where a project is read in one environment, and how it fares';
COMMENT ON COLUMN targets.endpoint IS 'Of an SDK, or the base URL of a Prometheus; may hold secrets';
COMMENT ON COLUMN targets.source IS 'How it is asked';
COMMENT ON COLUMN targets.queries IS 'One PromQL expression per metric, for a Prometheus';
COMMENT ON COLUMN targets.header_encrypted IS 'A header that proves who we are: name: value';
COMMENT ON COLUMN targets.failures IS 'Slots missed in a row, of any phase';
COMMENT ON COLUMN targets.last_code IS 'Why the last of them was missed';
COMMENT ON COLUMN targets.rests_until IS 'The continuous baseline is not read before this moment';

-- Digests cannot be made anew without the keys, so it must be known which master key they are of.
ALTER TABLE api_keys ADD COLUMN key_id text;
COMMENT ON COLUMN api_keys.key_id IS 'Master key of the digest; null: the first one';

-- Unlogged: written once per read and worth nothing after a slot. A crash of the server forgets it.
CREATE UNLOGGED TABLE turns (
    project_id uuid NOT NULL,
    env        text NOT NULL,
    taken_at   timestamptz[] NOT NULL,
    PRIMARY KEY (project_id, env),
    FOREIGN KEY (project_id, env) REFERENCES targets ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE turns IS 'When each target was last read by any worker, latest first';

-- Where the endpoint may hold a token, analysts and dashboards see the rest.
CREATE VIEW report.targets AS
SELECT t.project_id, p.name AS project, t.env, t.source, t.created_at, t.updated_at,
       t.failures, t.last_code, t.rests_until,
       CASE WHEN t.rests_until > now() THEN 'resting'
            WHEN t.failures > 0 THEN 'failing'
            ELSE 'fine' END AS health
  FROM targets t
  JOIN projects p ON p.id = t.project_id;
COMMENT ON VIEW report.targets IS 'Every target and how its last slots went';
COMMENT ON COLUMN report.targets.health IS 'resting: failed for so long that its baseline pauses';

-- Codes that a broken network or resolver on our side brings about for everybody at once.
CREATE FUNCTION is_unreachable(code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN code IN ('dns', 'refused', 'timeout', 'tls', 'network', 'deadline', 'internal');
COMMENT ON FUNCTION is_unreachable IS 'Whether our own side may be why a slot has this code';

CREATE VIEW report.collection_health AS
SELECT minute,
       count(*) AS targets,
       count(*) FILTER (WHERE collected = 0 AND unreachable > 0) AS unreachable_targets,
       sum(collected)::bigint AS collected,
       sum(missed)::bigint AS missed
  FROM (SELECT time_bucket(interval '1 minute', slot_at) AS minute, project_id, env,
               sum(collected) AS collected, sum(1 - collected) AS missed,
               sum(unreachable) AS unreachable
          FROM (SELECT slot_at, project_id, env, 1 AS collected, 0 AS unreachable
                  FROM metric_samples
                UNION ALL
                SELECT slot_at, project_id, env, 0, is_unreachable(code)::integer
                  FROM missed_slots) AS slots
         GROUP BY 1, 2, 3) AS each
 GROUP BY minute;
COMMENT ON VIEW report.collection_health IS
    'Minute by minute: how many targets could not be reached at all; filter on minute';
COMMENT ON COLUMN report.collection_health.unreachable_targets IS
    'Without a sample in this minute. Many at once: look at our own side, not at theirs';
