-- What would another policy have said? A row per pair of verdicts, live and shadow, with how many of
-- those releases are known to have been harmful or harmless. Name it in SEQPULSE_SHADOW_POLICIES first;
-- for the time before that there is `seqpulse replay`.
-- Values: policy = reference-v2, days = 90
-- Gives: policy, live_verdict, verdict, deployments, known_harmful, known_harmless, example
SELECT s.policy, s.live_verdict, s.verdict, count(*) AS deployments,
       count(*) FILTER (WHERE l.harmful) AS known_harmful,
       count(*) FILTER (WHERE NOT l.harmful) AS known_harmless,
       min(s.deployment_id::text) AS example
  FROM report.shadow_verdicts AS s
  LEFT JOIN report.deployment_labels AS l USING (deployment_id)
 WHERE s.policy = :'policy'
   AND s.finished_at >= now() - make_interval(days => :'days'::integer)
 GROUP BY s.policy, s.live_verdict, s.verdict
 ORDER BY s.live_verdict = s.verdict, deployments DESC, s.live_verdict, s.verdict;
