-- name: look
-- How far deployments are. Slots: 0 is `pre`, from 1 on the post window; what became of each.
SELECT d.id, d.state, v.revision, v.verdict, v.conclusive, v.reason_code, s.slots, s.codes
  FROM deployments AS d
  LEFT JOIN verdicts AS v ON v.deployment_id = d.id
 CROSS JOIN LATERAL (
       SELECT array_agg(slot) AS slots, array_agg(code) AS codes
         FROM (SELECT coalesce(m.sequence_index + 1, 0) AS slot, NULL AS code
                 FROM metric_samples AS m
                WHERE m.deployment_id = d.id AND m.phase IS NOT NULL
                  AND m.slot_at >= d.triggered_at - interval '1 hour'
               UNION ALL
               SELECT coalesce(m.sequence_index + 1, 0), m.code
                 FROM missed_slots AS m
                WHERE m.deployment_id = d.id AND m.phase IS NOT NULL
                  AND m.slot_at >= d.triggered_at - interval '1 hour'
                ORDER BY slot) AS m
     ) AS s
 WHERE d.id = ANY($1::uuid[])
