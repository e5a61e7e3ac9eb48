-- Names with quotes, and one that looks like a macro: boards choose projects by their ids. And a post slot
-- of every deployment is missed.
UPDATE projects SET name = $$it's "odd" \ $__timeFrom() ${env:sqlstring}$$ WHERE name = 'service 1';
UPDATE deployments SET env = $$o'brien"s$$
 WHERE project_id IN (SELECT id FROM projects WHERE name = 'service 2');
UPDATE metric_samples SET env = $$o'brien"s$$
 WHERE project_id IN (SELECT id FROM projects WHERE name = 'service 2');
INSERT INTO targets (project_id, env, endpoint, source, failures, last_code, rests_until)
SELECT p.id, 'prod', 'https://shop.example.com/metrics', 'seqpulse', t.failures, t.last_code, t.rests_until
  FROM projects AS p
  JOIN (VALUES ('service 3', 4, 'timeout', NULL),
               ('service 4', 0, NULL, NULL),
               ('service 5', 40, 'refused', now() + interval '1 day')
       ) AS t(name, failures, last_code, rests_until) ON t.name = p.name;
DELETE FROM metric_samples WHERE phase = 'post' AND sequence_index = 2;
