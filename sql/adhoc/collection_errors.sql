-- Why could targets not be read? Missed slots by code, with how many services they concern and the one
-- that has most of them. Codes: docs/errors.md.
-- Values: days = 7
-- Gives: code, slots, services, share, worst_project, worst_slots, last_at
SELECT code, sum(slots)::bigint AS slots, count(*) AS services,
       sum(slots)::float8 / sum(sum(slots)) OVER () AS share,
       (array_agg(project ORDER BY slots DESC, project))[1] AS worst_project,
       max(slots) AS worst_slots, max(last_at) AS last_at
  FROM (SELECT code, project, env, count(*) AS slots, max(slot_at) AS last_at
          FROM report.missed_slots
         WHERE slot_at >= now() - make_interval(days => :'days'::integer)
         GROUP BY code, project, env) AS each
 GROUP BY code
 ORDER BY slots DESC, code;
