-- Does SeqPulse itself keep its times? Jobs that are done, by kind and day: how late they were claimed
-- after their planned moment, and how many failed.
-- Values: days = 7
-- Gives: day, kind, jobs, failed, median_late_seconds, p99_late_seconds, worst_late_seconds
SELECT date_trunc('day', finished_at) AS day, kind, count(*) AS jobs,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS median_late_seconds,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY late) AS p99_late_seconds,
       max(late) AS worst_late_seconds
  FROM (SELECT kind, status, finished_at,
               extract(epoch FROM claimed_at - slot_at)::float8 AS late
          FROM report.jobs
         WHERE finished_at >= now() - make_interval(days => :'days'::integer)) AS done
 GROUP BY 1, 2
 ORDER BY 1 DESC, 2;
