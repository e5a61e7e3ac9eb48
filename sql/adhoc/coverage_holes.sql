-- Where did we look away? Hours in which slots were missed, and why; the worst first.
-- Values: days = 7
-- Gives: project, env, hour, samples, missed, coverage_ratio, reasons
SELECT s.project, s.env, s.bucket_at AS hour, s.samples, s.missed, s.coverage_ratio, m.reasons
  FROM report.samples_1h AS s
 CROSS JOIN LATERAL (
       SELECT string_agg(code || ' x ' || times, ', ' ORDER BY times DESC, code) AS reasons
         FROM (SELECT code, count(*) AS times
                 FROM report.missed_slots
                WHERE project_id = s.project_id AND env = s.env
                  AND slot_at >= s.bucket_at AND slot_at < s.bucket_at + interval '1 hour'
                GROUP BY code) AS each
     ) AS m
 WHERE s.bucket_at >= now() - make_interval(days => :'days'::integer) AND s.missed > 0
 ORDER BY s.coverage_ratio, s.bucket_at DESC
 LIMIT 100;
