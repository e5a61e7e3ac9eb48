-- name: count
SELECT count(*)
  FROM deployments
 WHERE finished_at IS NOT NULL
   AND ($1::uuid IS NULL OR project_id = $1) AND ($2::text IS NULL OR env = $2)
   AND finished_at >= $3 AND finished_at < $4

-- name: walk
-- The next deployments in the order of time, after the one that finished at $5 with id $6.
SELECT id, finished_at
  FROM deployments
 WHERE finished_at IS NOT NULL
   AND ($1::uuid IS NULL OR project_id = $1) AND ($2::text IS NULL OR env = $2)
   AND finished_at >= $3 AND finished_at < $4
   AND (finished_at, id) > ($5, $6)
 ORDER BY finished_at, id
 LIMIT $7

-- name: labelled
-- Of which of these it is known whether they did harm, in the order of time.
SELECT id, harmful
  FROM deployments
  JOIN report.deployment_labels ON deployment_id = id
 WHERE finished_at IS NOT NULL
   AND ($1::uuid IS NULL OR project_id = $1) AND ($2::text IS NULL OR env = $2)
   AND finished_at >= $3 AND finished_at < $4
 ORDER BY finished_at, id

-- name: recorded
-- What is on record of deployments, in the order of $1.
SELECT array_agg(id::text) AS deployment_id, array_agg(project) AS project,
       array_agg(branch) AS branch, array_agg(policy) AS recorded_policy,
       array_agg(verdict) AS recorded_verdict, array_agg(conclusive) AS recorded_conclusive,
       array_agg(reason_code) AS recorded_reason_code
  FROM (SELECT d.id, p.name AS project, d.branch, v.policy, v.verdict, v.conclusive, v.reason_code
          FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, place)
          JOIN deployments AS d
            ON d.id = w.id AND d.id = ANY($1::uuid[])
          JOIN projects AS p ON p.id = d.project_id
          LEFT JOIN verdicts AS v ON v.deployment_id = d.id
         ORDER BY w.place) AS d

-- name: find_project
-- A name may look like another project's id: the id counts.
SELECT id FROM projects WHERE id::text = $1 OR name = $1 ORDER BY id::text = $1 DESC LIMIT 1
