-- Where does the judge cry wolf? Alarms per service (conclusive verdicts other than ok), and how many of
-- those people know about were harmless. false_alarm_ratio is over the labelled ones; rule tells the
-- hint that was most often the first of a false one.
-- Values: days = 90
-- Gives: project, env, alarms, labelled, false_alarms, false_alarm_ratio, rule
SELECT o.project, o.env, count(*) AS alarms, count(l.harmful) AS labelled,
       count(*) FILTER (WHERE NOT l.harmful) AS false_alarms,
       count(*) FILTER (WHERE NOT l.harmful)::float8 / nullif(count(l.harmful), 0)
           AS false_alarm_ratio,
       mode() WITHIN GROUP (ORDER BY h.rule) FILTER (WHERE NOT l.harmful) AS rule
  FROM report.deployment_overview AS o
  LEFT JOIN report.deployment_labels AS l USING (deployment_id)
  LEFT JOIN report.hints AS h ON h.deployment_id = o.deployment_id AND h.position = 0
 WHERE o.conclusive AND o.verdict <> 'ok'
   AND o.finished_at >= now() - make_interval(days => :'days'::integer)
 GROUP BY o.project, o.env
 ORDER BY false_alarms DESC, alarms DESC, o.project, o.env;
