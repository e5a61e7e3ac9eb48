-- What boards ask for: projects and services by themselves, and how sure a share is.

CREATE VIEW report.projects AS
SELECT id AS project_id, name AS project, plan, post_slots, created_at FROM projects;
COMMENT ON VIEW report.projects IS 'Every project and its limits';
COMMENT ON COLUMN report.projects.project_id IS 'Id of the project';
COMMENT ON COLUMN report.projects.project IS 'Name of the project';
COMMENT ON COLUMN report.projects.plan IS 'free or pro';
COMMENT ON COLUMN report.projects.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN report.projects.created_at IS 'When it was made';

-- Unlike report.service_status it looks for no sample, which takes a while for who has none.
CREATE VIEW report.services AS
SELECT s.project_id, p.name AS project, s.env, p.plan, p.post_slots, t.source, t.health, t.failures,
       t.last_code, t.rests_until, t.updated_at AS target_updated_at
  FROM (SELECT project_id, env FROM targets
        UNION
        SELECT project_id, env FROM deployments) AS s
  JOIN projects AS p ON p.id = s.project_id
  LEFT JOIN report.targets AS t ON t.project_id = s.project_id AND t.env = s.env;
COMMENT ON VIEW report.services IS 'One row per service: its limits and its target';
COMMENT ON COLUMN report.services.project_id IS 'Id of the project';
COMMENT ON COLUMN report.services.project IS 'Name of the project';
COMMENT ON COLUMN report.services.env IS 'Environment of the service';
COMMENT ON COLUMN report.services.plan IS 'free or pro';
COMMENT ON COLUMN report.services.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN report.services.source IS 'How its target is read; null: it pushes its samples';
COMMENT ON COLUMN report.services.health IS 'fine, failing or resting; null: it pushes its samples';
COMMENT ON COLUMN report.services.failures IS 'Reads of the target that failed in a row';
COMMENT ON COLUMN report.services.last_code IS 'Why the last read failed, see docs/errors.md';
COMMENT ON COLUMN report.services.rests_until IS 'Until when its baseline pauses; null: it does not';
COMMENT ON COLUMN report.services.target_updated_at IS 'When its target was last changed';

CREATE FUNCTION report.wilson_low(hits bigint, n bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n > 0 THEN
        greatest(0, (hits + 1.9208 - 1.96 * sqrt(hits::float8 * (n - hits) / n + 0.9604)) / (n + 3.8416))
    END;
COMMENT ON FUNCTION report.wilson_low IS
    'Lower end of the 95 % interval of a share, hits of n; null without any';

CREATE FUNCTION report.wilson_high(hits bigint, n bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n > 0 THEN
        least(1, (hits + 1.9208 + 1.96 * sqrt(hits::float8 * (n - hits) / n + 0.9604)) / (n + 3.8416))
    END;
COMMENT ON FUNCTION report.wilson_high IS
    'Upper end of the 95 % interval of a share, hits of n; null without any';
