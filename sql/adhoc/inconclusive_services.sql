-- Which services cannot get a conclusive verdict, and why? Share of verdicts that were inconclusive, the
-- commonest reason, and what its data look like: requests per second (few requests carry no verdict),
-- coverage, and the smallest rise of latency that would have been found nine times of ten.
-- Values: days = 90
-- Gives: project, env, verdicts, inconclusive, inconclusive_ratio, reason_code, penalties, requests_per_sec, coverage_ratio, detectable_latency_rise
SELECT o.project, o.env, count(*) AS verdicts,
       count(*) FILTER (WHERE NOT o.conclusive) AS inconclusive,
       count(*) FILTER (WHERE NOT o.conclusive)::float8 / count(*) AS inconclusive_ratio,
       mode() WITHIN GROUP (ORDER BY o.reason_code) FILTER (WHERE NOT o.conclusive) AS reason_code,
       (SELECT array_agg(DISTINCT penalty ORDER BY penalty)
          FROM report.deployment_overview AS p, unnest(p.penalties) AS penalty
         WHERE p.project_id = o.project_id AND p.env = o.env AND NOT p.conclusive) AS penalties,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY r.observed) AS requests_per_sec,
       avg(o.coverage_ratio) AS coverage_ratio,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY l.smallest_detectable_effect)
           AS detectable_latency_rise
  FROM report.deployment_overview AS o
  LEFT JOIN report.verdict_evidence AS r
    ON r.deployment_id = o.deployment_id AND r.metric = 'requests_per_sec'
  LEFT JOIN report.verdict_evidence AS l
    ON l.deployment_id = o.deployment_id AND l.metric = 'latency_p95'
 WHERE o.verdict IS NOT NULL
   AND o.finished_at >= now() - make_interval(days => :'days'::integer)
 GROUP BY o.project_id, o.project, o.env
 ORDER BY inconclusive_ratio DESC, verdicts DESC, o.project, o.env;
