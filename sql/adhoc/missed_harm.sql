-- What did the judge let pass? Releases that are known to have been harmful, with a verdict of ok, and
-- the metric that came nearest to failing: distance_to_flip is how much more of an effect it took.
-- Values: days = 90
-- Gives: deployment_id, project, env, branch, finished_at, source, conclusive, metric, effect, distance_to_flip
SELECT o.deployment_id, o.project, o.env, o.branch, o.finished_at, l.source, o.conclusive,
       e.metric, e.effect, e.distance_to_flip
  FROM report.deployment_overview AS o
  JOIN report.deployment_labels AS l USING (deployment_id)
  LEFT JOIN LATERAL (
       SELECT metric, effect, distance_to_flip
         FROM report.verdict_evidence AS e
        WHERE e.deployment_id = o.deployment_id AND e.distance_to_flip >= 0
        ORDER BY e.distance_to_flip, e.metric
        LIMIT 1
     ) AS e ON true
 WHERE l.harmful AND o.verdict = 'ok'
   AND o.finished_at >= now() - make_interval(days => :'days'::integer)
 ORDER BY o.finished_at DESC, o.deployment_id
 LIMIT 200;
