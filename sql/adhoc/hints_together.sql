-- Which hints come together? Pairs of rules on one deployment. lift is how much oftener than by chance:
-- 1 is chance, far above 1 means that they have one cause.
-- Values: days = 90
-- Gives: rule, other_rule, together, rule_alone, other_alone, lift
WITH given AS (
    SELECT DISTINCT deployment_id, rule
      FROM report.hints
     WHERE finished_at >= now() - make_interval(days => :'days'::integer)
), counted AS (
    SELECT rule, count(*) AS times FROM given GROUP BY rule
), judged AS (
    SELECT count(*) AS verdicts
      FROM report.deployment_overview
     WHERE verdict IS NOT NULL
       AND finished_at >= now() - make_interval(days => :'days'::integer)
)
SELECT a.rule, b.rule AS other_rule, count(*) AS together,
       min(ca.times) - count(*) AS rule_alone, min(cb.times) - count(*) AS other_alone,
       count(*)::float8 * min(j.verdicts) / (min(ca.times) * min(cb.times)) AS lift
  FROM given AS a
  JOIN given AS b ON b.deployment_id = a.deployment_id AND b.rule > a.rule
  JOIN counted AS ca ON ca.rule = a.rule
  JOIN counted AS cb ON cb.rule = b.rule
 CROSS JOIN judged AS j
 GROUP BY a.rule, b.rule
 ORDER BY together DESC, lift DESC, a.rule, b.rule
 LIMIT 50;
