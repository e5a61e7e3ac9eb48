-- name: answer
-- What is said of a deployment, as the API answers it (api.answers.VerdictAnswer): made by the
-- server, so that no process takes it apart and puts it together again. Of verdict `v`.
json_build_object(
    'deployment_id', v.deployment_id, 'revision', v.revision, 'verdict', v.verdict,
    'conclusive', v.conclusive, 'reason_code', v.reason_code, 'confidence', v.confidence,
    'coverage_ratio', v.coverage_ratio, 'policy', v.policy, 'policy_digest', v.policy_digest,
    'as_of', v.as_of, 'created_at', v.created_at, 'quality_ratio', v.quality_ratio,
    'penalties', v.penalties, 'confounders', v.confounders, 'decided_at', v.decided_at,
    'profile_until', v.profile_until,
    'evidence', (
        SELECT coalesce(json_agg(e), '[]')
          FROM (SELECT metric, baseline_source, baseline_n, post_n, expected, observed, threshold,
                       exceedance_ratio, tolerance_ratio, failed, attribution, severe, direction,
                       pattern, effect, effect_low, effect_high, minimum_effect,
                       smallest_detectable_effect, test, statistic, p_value, contribution,
                       distance_to_flip, trend_per_hour
                  FROM evidence
                 WHERE deployment_id = v.deployment_id
                 ORDER BY array_position(ARRAY['requests_per_sec', 'latency_p95', 'error_rate',
                                               'cpu_usage', 'memory_usage'], metric)) AS e),
    'hints', (
        SELECT coalesce(json_agg(h), '[]')
          FROM (SELECT rule, severity, title, diagnosis, actions, metrics
                  FROM hints
                 WHERE deployment_id = v.deployment_id
                 ORDER BY position) AS h),
    'shadows', (
        SELECT coalesce(json_agg(s), '[]')
          FROM (SELECT policy, verdict, conclusive, reason_code, confidence, failed_metrics
                  FROM shadow_verdicts
                 WHERE deployment_id = v.deployment_id
                 ORDER BY policy) AS s))

-- name: asked
-- Who asks ($1) and what there is to say of a deployment ($2), for all who ask, in one round trip, in
-- their order. Without a digest there is no such key, without a state the project has no such
-- deployment, without a revision there is no verdict yet. OFFSET 0: each is looked up by itself,
-- whatever the planner thinks of the tables.
SELECT found.*
  FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS a(key_id, deployment_id, place)
  LEFT JOIN LATERAL (
       SELECT k.digest, k.project_id, d.state, d.slot_seconds, v.revision,
              CASE WHEN v.revision IS NOT NULL THEN {answer} END AS answer
         FROM api_keys AS k
         LEFT JOIN deployments AS d ON d.id = a.deployment_id AND d.project_id = k.project_id
         LEFT JOIN verdicts AS v ON v.deployment_id = d.id
        WHERE k.id = a.key_id AND k.revoked_at IS NULL
          AND (k.expires_at IS NULL OR k.expires_at > now())
       OFFSET 0) AS found ON true
 ORDER BY a.place

-- name: verdicts
-- Of those of $1 that have one.
SELECT v.deployment_id, v.revision, {answer} AS answer
  FROM verdicts AS v
 WHERE v.deployment_id = ANY($1::uuid[])
