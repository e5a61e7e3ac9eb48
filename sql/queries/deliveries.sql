-- name: list
-- Newest first; ids are in the order of time.
SELECT n.*, c.name AS channel, c.kind, d.env
  FROM deliveries AS n
  JOIN channels AS c ON c.id = n.channel_id
  LEFT JOIN deployments AS d ON d.id = n.deployment_id
 WHERE n.project_id = $1
   AND ($2::uuid IS NULL OR n.deployment_id = $2)
   AND ($3::uuid IS NULL OR n.channel_id = $3)
   AND ($4::text IS NULL OR n.status = $4)
   AND ($5::uuid IS NULL OR n.id < $5)
 ORDER BY n.id DESC
 LIMIT $6

-- name: revive
-- One that is pending stays so, only sooner.
UPDATE deliveries AS n
   SET status = 'pending', attempts = CASE WHEN n.status = 'failed' THEN 0 ELSE n.attempts END,
       next_at = now(), settled_at = NULL
  FROM channels AS c
 WHERE n.id = $2 AND n.project_id = $1 AND n.status <> 'delivered' AND c.id = n.channel_id
   AND c.enabled
RETURNING n.id, n.project_id, n.deployment_id,
          coalesce((SELECT d.env FROM deployments AS d WHERE d.id = n.deployment_id), '') AS env,
          n.next_at AS scheduled_at

-- name: state
SELECT n.status, c.enabled
  FROM deliveries AS n
  JOIN channels AS c ON c.id = n.channel_id
 WHERE n.project_id = $1 AND n.id = $2

-- name: hasten_job
-- Whether one is under way or waits; that one is due now.
UPDATE scheduled_jobs
   SET scheduled_at = CASE WHEN owner IS NULL THEN now() ELSE scheduled_at END
 WHERE project_id = $1 AND kind = 'notify' AND payload ->> 'delivery_id' = $2::text
RETURNING id

-- name: forget
-- One that is still pending so long after its next attempt was due has lost its job.
DELETE FROM deliveries WHERE settled_at < $1 OR next_at < $1
