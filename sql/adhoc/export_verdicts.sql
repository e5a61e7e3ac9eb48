-- Where is everything about every verdict in one flat table, for a notebook? A row per deployment and
-- metric.
-- Write it to Parquet: `seqpulse sql export_verdicts -o verdicts.parquet`.
-- Values: days = 90
-- Gives: deployment_id, project, env, branch, triggered_at, finished_at, verdict, conclusive, reason_code, confidence, coverage_ratio, policy, labelled_harmful, metric, expected, observed, threshold, effect, effect_low, effect_high, p_value, failed, attribution, pattern, hints
SELECT o.deployment_id, o.project, o.env, o.branch, o.triggered_at, o.finished_at, o.verdict,
       o.conclusive, o.reason_code, o.confidence, o.coverage_ratio, o.policy,
       l.harmful AS labelled_harmful, e.metric, e.expected, e.observed, e.threshold, e.effect,
       e.effect_low, e.effect_high, e.p_value, e.failed, e.attribution, e.pattern, h.hints
  FROM report.deployment_overview AS o
  JOIN report.verdict_evidence AS e USING (deployment_id)
  LEFT JOIN report.deployment_labels AS l USING (deployment_id)
  LEFT JOIN (SELECT deployment_id, array_agg(rule ORDER BY position) AS hints
               FROM report.hints
              GROUP BY deployment_id) AS h USING (deployment_id)
 WHERE o.finished_at >= now() - make_interval(days => :'days'::integer)
 ORDER BY o.finished_at, o.deployment_id, e.metric;
