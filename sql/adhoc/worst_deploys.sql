-- Which releases of each quarter did the most harm? By the largest effect of a metric that failed: for
-- error_rate a difference, for the others a share of what was expected. labelled_harmful is what
-- people or a rollback say, null: nobody knows.
-- Values: each = 10
-- Gives: quarter, rank, project, env, branch, finished_at, verdict, metric, effect, labelled_harmful
SELECT quarter, rank, project, env, branch, finished_at, verdict, metric, effect, labelled_harmful
  FROM (SELECT date_trunc('quarter', w.finished_at) AS quarter,
               row_number() OVER (PARTITION BY date_trunc('quarter', w.finished_at)
                                  ORDER BY w.verdict = 'rollback_recommended' DESC, w.effect DESC,
                                           w.deployment_id) AS rank,
               w.*, o.branch, l.harmful AS labelled_harmful
          FROM (SELECT DISTINCT ON (deployment_id) deployment_id, project, env, finished_at,
                       verdict, metric, effect
                  FROM report.verdict_evidence
                 WHERE failed AND verdict <> 'ok' AND effect < 'Infinity'
                 ORDER BY deployment_id, effect DESC, metric) AS w
          JOIN report.deployment_overview AS o USING (deployment_id)
          LEFT JOIN report.deployment_labels AS l USING (deployment_id)) AS ranked
 WHERE rank <= :'each'::integer
 ORDER BY quarter DESC, rank;
