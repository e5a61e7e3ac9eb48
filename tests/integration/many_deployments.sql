-- A past of :services services with :each deployments each, and what was measured around them.
-- Services differ in what went wrong with the data; every fifth deployment hurts, two ways. The one
-- with number 21 always hurts, and nobody watches it any more after a week.
INSERT INTO projects (id, name, plan, post_slots)
SELECT gen_random_uuid(), 'service ' || i, 'pro', CASE i % 2 WHEN 0 THEN 5 ELSE 15 END
  FROM generate_series(1, :services) AS i;

-- Every third deployment follows so closely that the windows overlap.
INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, finished_at,
                         post_slots, slot_seconds)
SELECT gen_random_uuid(), p.id, 'prod', 'v' || i, 'finished', 'success', t.at,
       t.at + make_interval(secs => 30 + 60 * (i % 4)), p.post_slots, 60
  FROM projects AS p, generate_series(1, :each) AS i,
       LATERAL (SELECT timestamptz '2026-03-02 08:00Z' + make_interval(secs => 17 * p.n)
                       + i * interval '3 hours'
                       - CASE i % 3 WHEN 0 THEN interval '165 minutes' ELSE interval '0' END AS at
                  FROM (SELECT substr(p.name, 9)::integer AS n) AS p) AS t;

CREATE TEMPORARY TABLE generated AS
SELECT d.*, substr(p.name, 9)::integer AS n,
       row_number() OVER (PARTITION BY d.project_id ORDER BY d.triggered_at) AS nth
  FROM deployments AS d JOIN projects AS p ON p.id = d.project_id;

INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate, cpu_usage,
                            memory_usage)
SELECT s.at,
       s.at + make_interval(secs => CASE WHEN random() < 0.01 THEN 300 ELSE 1 END),
       g.project_id, g.env, s.deployment_id, s.phase, s.i,
       CASE WHEN g.n % 11 = 0 THEN 0.02 ELSE 20 END * (1 + 0.1 * random())
           * CASE WHEN s.phase = 'post' AND (g.nth % 10 = 5 OR g.n = 21) THEN 0.3 ELSE 1 END,
       nullif(80 * (1 + 0.1 * random())
           * CASE WHEN s.phase = 'post' AND g.nth % 5 = 0 THEN 3 ELSE 1 END, 0),
       CASE WHEN random() < 0.02 THEN 'NaN'
            WHEN s.phase = 'post' AND (g.nth % 10 = 5 OR g.n = 21) THEN 0.2 * random()
            ELSE 0.002 * random() END,
       CASE WHEN random() < 0.02 THEN NULL ELSE 0.4 + 0.05 * random() END,
       0.5 + 0.01 * random()
  FROM generated AS g
 CROSS JOIN LATERAL (
       SELECT g.triggered_at - i * interval '1 minute' - interval '7 seconds' AS at,
              NULL::uuid AS deployment_id, NULL AS phase, NULL::smallint AS i
         FROM generate_series(0, 45) AS i
        WHERE g.n % 7 > 1 OR (g.n = 21 AND g.nth <= 60)
        UNION ALL
       SELECT g.triggered_at, g.id, 'pre', NULL WHERE g.n % 7 > 0
        UNION ALL
       SELECT g.finished_at + i * interval '1 minute', g.id, 'post', i
         FROM generate_series(0, g.post_slots - 1) AS i
     ) AS s
 WHERE random() > CASE WHEN g.n % 5 = 0 THEN 0.3 ELSE 0.02 END
ON CONFLICT DO NOTHING;

DROP TABLE generated;
