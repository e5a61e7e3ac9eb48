-- Which metrics move so much by themselves that a release can hide in them? Per service and metric: the
-- smallest effect that would be found nine times of ten, against the smallest that matters. A
-- blindness of 2 means that an effect must be twice as large as one that matters to be found.
-- Values: days = 90
-- Gives: project, env, metric, verdicts, detectable_effect, minimum_effect, blindness
SELECT project, env, metric, count(*) AS verdicts,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY smallest_detectable_effect) AS detectable_effect,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY minimum_effect) AS minimum_effect,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY smallest_detectable_effect / nullif(minimum_effect, 0)) AS blindness
  FROM report.verdict_evidence
 WHERE smallest_detectable_effect < 'Infinity'
   AND finished_at >= now() - make_interval(days => :'days'::integer)
 GROUP BY project, env, metric
 ORDER BY blindness DESC NULLS LAST, project, env, metric
 LIMIT 50;
