-- What every column of the report means, and in which unit: docs/sql.md is made of it. Nobody waits.

COMMENT ON COLUMN report.collection_health.minute IS 'Begin of the minute';
COMMENT ON COLUMN report.collection_health.targets IS 'Services that had a slot in this minute';
COMMENT ON COLUMN report.collection_health.collected IS 'Slots with a sample, all services together';
COMMENT ON COLUMN report.collection_health.missed IS 'Slots that were missed, all services together';

COMMENT ON COLUMN report.coverage.day IS 'Begin of the day, UTC';
COMMENT ON COLUMN report.coverage.project_id IS 'The project';
COMMENT ON COLUMN report.coverage.project IS 'Name of the project';
COMMENT ON COLUMN report.coverage.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.coverage.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.coverage.missed IS 'Slots that were planned but have no sample';

COMMENT ON COLUMN report.deliveries.delivery_id IS 'Id of the notification';
COMMENT ON COLUMN report.deliveries.project_id IS 'The project';
COMMENT ON COLUMN report.deliveries.project IS 'Name of the project';
COMMENT ON COLUMN report.deliveries.channel_id IS 'Id of the channel';
COMMENT ON COLUMN report.deliveries.channel IS 'Name of the channel';
COMMENT ON COLUMN report.deliveries.kind IS 'Of the channel: webhook, slack or github';
COMMENT ON COLUMN report.deliveries.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.deliveries.revision IS 'Of the verdict it tells of';
COMMENT ON COLUMN report.deliveries.attempts IS 'How often it was tried';
COMMENT ON COLUMN report.deliveries.status_code IS 'HTTP status of the last answer; null: none came';
COMMENT ON COLUMN report.deliveries.last_error IS 'What went wrong last, without secrets; null: nothing';
COMMENT ON COLUMN report.deliveries.created_at IS 'When there was something to tell';
COMMENT ON COLUMN report.deliveries.tried_at IS 'When it was last tried; null: not yet';
COMMENT ON COLUMN report.deliveries.next_at IS 'When it is tried again; null: it is settled';
COMMENT ON COLUMN report.deliveries.settled_at IS 'When it was delivered or given up; null: not yet';

COMMENT ON COLUMN report.deployment_labels.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.deployment_labels.harmful IS
    'Whether the deployment did harm, whatever the verdict was';
COMMENT ON COLUMN report.deployment_labels.source IS 'Where the label is from: feedback or rollback';

COMMENT ON COLUMN report.deployment_overview.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.deployment_overview.project_id IS 'The project';
COMMENT ON COLUMN report.deployment_overview.project IS 'Name of the project';
COMMENT ON COLUMN report.deployment_overview.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.deployment_overview.branch IS 'Branch, tag or version, as the pipeline named it';
COMMENT ON COLUMN report.deployment_overview.state IS
    'pending, running, finished (watched) or analyzed (has a verdict)';
COMMENT ON COLUMN report.deployment_overview.result IS
    'What the pipeline said of itself: success or failed; null: not finished yet';
COMMENT ON COLUMN report.deployment_overview.triggered_at IS 'When the roll-out began';
COMMENT ON COLUMN report.deployment_overview.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.deployment_overview.analyzed_at IS
    'When its verdict was stored; null: there is none yet';
COMMENT ON COLUMN report.deployment_overview.post_slots IS
    'Length of the post window, in slots; null: not finished yet';
COMMENT ON COLUMN report.deployment_overview.verdict IS
    'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.deployment_overview.conclusive IS
    'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON COLUMN report.deployment_overview.reason_code IS 'Why the verdict is what it is: docs/method.md';
COMMENT ON COLUMN report.deployment_overview.confidence IS
    'How sure the judge is, 0..1; its meaning is that of the policy';
COMMENT ON COLUMN report.deployment_overview.coverage_ratio IS
    'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN report.deployment_overview.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.deployment_overview.failed_metrics IS
    'Metrics that contribute to an alarm; null or empty: none';
COMMENT ON COLUMN report.deployment_overview.hint_count IS 'How many hints it has';
COMMENT ON COLUMN report.deployment_overview.policy_digest IS
    'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.deployment_overview.quality_ratio IS
    'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN report.deployment_overview.penalties IS 'What was wrong with the data: docs/method.md';
COMMENT ON COLUMN report.deployment_overview.confounders IS
    'Ids of other deployments that overlap roll-out or post window';
COMMENT ON COLUMN report.deployment_overview.decided_at IS
    'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN report.deployment_overview.profile_until IS
    'End of the history behind the profile that was used; null: none was';
COMMENT ON COLUMN report.deployment_overview.as_of IS
    'The moment the judge was told it is; nothing later counted';
COMMENT ON COLUMN report.deployment_overview.extended_at IS
    'When the post window was extended to twice its slots; null: it was not';

COMMENT ON COLUMN report.deployment_samples.slot_at IS 'Planned moment of the reading';
COMMENT ON COLUMN report.deployment_samples.collected_at IS 'When the reading was stored';
COMMENT ON COLUMN report.deployment_samples.project_id IS 'The project';
COMMENT ON COLUMN report.deployment_samples.project IS 'Name of the project';
COMMENT ON COLUMN report.deployment_samples.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.deployment_samples.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.deployment_samples.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN report.deployment_samples.sequence_index IS
    'Place of the slot in the post window, 0 is the first; null: not a post slot';
COMMENT ON COLUMN report.deployment_samples.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN report.deployment_samples.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN report.deployment_samples.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN report.deployment_samples.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN report.deployment_samples.memory_usage IS 'Share of memory in use, 0..1';

COMMENT ON COLUMN report.detected_rollbacks.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.detected_rollbacks.project_id IS 'The project';
COMMENT ON COLUMN report.detected_rollbacks.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.detected_rollbacks.branch IS 'Branch, tag or version, as the pipeline named it';
COMMENT ON COLUMN report.detected_rollbacks.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.detected_rollbacks.rollback_id IS 'The deployment that rolled it back';
COMMENT ON COLUMN report.detected_rollbacks.back_to IS 'Branch of the deployment before, which came again';
COMMENT ON COLUMN report.detected_rollbacks.rolled_back_at IS 'When the rollback was triggered';

COMMENT ON COLUMN report.dora.project_id IS 'The project';
COMMENT ON COLUMN report.dora.project IS 'Name of the project';
COMMENT ON COLUMN report.dora.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.dora.deployments IS 'Finished deployments';
COMMENT ON COLUMN report.dora.failed_pipelines IS 'Deployments whose own pipeline said failed';
COMMENT ON COLUMN report.dora.change_failure_ratio IS
    'harmful / deployments, 0..1; what nobody labelled counts as harmless';

COMMENT ON COLUMN report.feedback.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.feedback.project_id IS 'The project';
COMMENT ON COLUMN report.feedback.project IS 'Name of the project';
COMMENT ON COLUMN report.feedback.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.feedback.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.feedback.harmful IS 'Whether the deployment did harm, whatever the verdict was';
COMMENT ON COLUMN report.feedback.rolled_back_by IS 'Who or what rolled it back; null: nobody, or not said';
COMMENT ON COLUMN report.feedback.note IS 'In their own words; null: none';
COMMENT ON COLUMN report.feedback.given_by IS 'Who says so';
COMMENT ON COLUMN report.feedback.given_at IS 'When it was said last';
COMMENT ON COLUMN report.feedback.revision IS 'Revision of the verdict it is about; null: there was none';

COMMENT ON COLUMN report.hints.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.hints.project_id IS 'The project';
COMMENT ON COLUMN report.hints.project IS 'Name of the project';
COMMENT ON COLUMN report.hints.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.hints.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.hints.severity IS 'info, warning or critical';
COMMENT ON COLUMN report.hints.rule IS 'Id of the rule that found it: docs/hints.md';
COMMENT ON COLUMN report.hints.position IS 'Importance among the hints of its deployment, 0 is first';
COMMENT ON COLUMN report.hints.title IS 'The diagnosis in a few words';
COMMENT ON COLUMN report.hints.diagnosis IS 'What seems to have happened, in words with numbers';
COMMENT ON COLUMN report.hints.actions IS 'What to do, most useful first';
COMMENT ON COLUMN report.hints.metrics IS 'Metrics it was derived from';

COMMENT ON COLUMN report.jobs.id IS 'Number of the job';
COMMENT ON COLUMN report.jobs.kind IS 'What is to be done: collect, judge, notify and others';
COMMENT ON COLUMN report.jobs.priority IS '0 post slots, 1 judge, 2 notify, 3 baseline, 4 upkeep';
COMMENT ON COLUMN report.jobs.status IS 'pending or running (live), completed or failed (done)';
COMMENT ON COLUMN report.jobs.project_id IS 'The project';
COMMENT ON COLUMN report.jobs.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.jobs.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.jobs.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN report.jobs.sequence_index IS
    'Place of the slot in the post window, 0 is the first; null: not a post slot';
COMMENT ON COLUMN report.jobs.slot_at IS 'First planned moment; retries move scheduled_at only';
COMMENT ON COLUMN report.jobs.scheduled_at IS 'When it is or was due; retries move it';
COMMENT ON COLUMN report.jobs.claimed_at IS 'When a worker began with it; null: not yet';
COMMENT ON COLUMN report.jobs.finished_at IS 'When it was done; null: it is live';
COMMENT ON COLUMN report.jobs.attempt IS 'How often it was begun';
COMMENT ON COLUMN report.jobs.owner IS 'Key of the worker that holds or held it';
COMMENT ON COLUMN report.jobs.last_error IS 'What went wrong last, without secrets; null: nothing';

COMMENT ON COLUMN report.missed_slots.slot_at IS 'Planned moment of the reading that was missed';
COMMENT ON COLUMN report.missed_slots.project_id IS 'The project';
COMMENT ON COLUMN report.missed_slots.project IS 'Name of the project';
COMMENT ON COLUMN report.missed_slots.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.missed_slots.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.missed_slots.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN report.missed_slots.sequence_index IS
    'Place of the slot in the post window, 0 is the first; null: not a post slot';
COMMENT ON COLUMN report.missed_slots.code IS 'Why it was missed, one of a fixed set: docs/errors.md';
COMMENT ON COLUMN report.missed_slots.detail IS 'Why it was missed, in words, without secrets';

COMMENT ON COLUMN report.policy_accuracy.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.policy_accuracy.policy_digest IS
    'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.policy_accuracy.live IS 'Whether its verdicts counted; false: it is a shadow';
COMMENT ON COLUMN report.policy_accuracy.labelled IS
    'Deployments with a verdict of this policy of which the truth is known';
COMMENT ON COLUMN report.policy_accuracy.from_feedback IS
    'Of the labelled ones: those from feedback, not from a rollback';
COMMENT ON COLUMN report.policy_accuracy.harmful IS 'Of the labelled ones: those that did harm';
COMMENT ON COLUMN report.policy_accuracy.true_alarms IS 'Alarms on harmful deployments';
COMMENT ON COLUMN report.policy_accuracy.inconclusive IS
    'Labelled deployments with an inconclusive verdict, which is no alarm';

COMMENT ON COLUMN report.samples_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN report.samples_1h.project_id IS 'The project';
COMMENT ON COLUMN report.samples_1h.project IS 'Name of the project';
COMMENT ON COLUMN report.samples_1h.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.samples_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.samples_1h.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.samples_1h.requests_per_sec_mean IS
    'Requests per second: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.requests_per_sec_min IS 'Requests per second: least of the samples';
COMMENT ON COLUMN report.samples_1h.requests_per_sec_max IS 'Requests per second: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.latency_p95_mean IS
    '95th percentile of latency, milliseconds: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.latency_p95_min IS
    '95th percentile of latency, milliseconds: least of the samples';
COMMENT ON COLUMN report.samples_1h.latency_p95_max IS
    '95th percentile of latency, milliseconds: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.error_rate_mean IS
    'Share of failed requests, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.error_rate_min IS 'Share of failed requests, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_1h.error_rate_max IS
    'Share of failed requests, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.cpu_usage_mean IS
    'Share of CPU in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.cpu_usage_min IS 'Share of CPU in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_1h.cpu_usage_max IS 'Share of CPU in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.memory_usage_mean IS
    'Share of memory in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.memory_usage_min IS 'Share of memory in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_1h.memory_usage_max IS
    'Share of memory in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.sketch IS
    'Distribution of every metric, for report.quantile_of and report.merge_sketches';

COMMENT ON COLUMN report.samples_5m.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN report.samples_5m.project_id IS 'The project';
COMMENT ON COLUMN report.samples_5m.project IS 'Name of the project';
COMMENT ON COLUMN report.samples_5m.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.samples_5m.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.samples_5m.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.samples_5m.requests_per_sec_mean IS
    'Requests per second: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.requests_per_sec_min IS 'Requests per second: least of the samples';
COMMENT ON COLUMN report.samples_5m.requests_per_sec_max IS 'Requests per second: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.latency_p95_mean IS
    '95th percentile of latency, milliseconds: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.latency_p95_min IS
    '95th percentile of latency, milliseconds: least of the samples';
COMMENT ON COLUMN report.samples_5m.latency_p95_max IS
    '95th percentile of latency, milliseconds: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.error_rate_mean IS
    'Share of failed requests, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.error_rate_min IS 'Share of failed requests, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_5m.error_rate_max IS
    'Share of failed requests, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.cpu_usage_mean IS
    'Share of CPU in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.cpu_usage_min IS 'Share of CPU in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_5m.cpu_usage_max IS 'Share of CPU in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.memory_usage_mean IS
    'Share of memory in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.memory_usage_min IS 'Share of memory in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_5m.memory_usage_max IS
    'Share of memory in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.sketch IS
    'Distribution of every metric, for report.quantile_of and report.merge_sketches';

COMMENT ON COLUMN report.samples_fleet_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN report.samples_fleet_1h.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.samples_fleet_1h.services IS 'Services with a sample or a missed slot';
COMMENT ON COLUMN report.samples_fleet_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.samples_fleet_1h.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.samples_fleet_1h.sketch IS
    'Distribution of every metric, for report.quantile_of and report.merge_sketches';

COMMENT ON COLUMN report.scheduler_health.pending IS 'Jobs that wait for their time or for a worker';
COMMENT ON COLUMN report.scheduler_health.running IS 'Jobs a worker is at';
COMMENT ON COLUMN report.scheduler_health.oldest_overdue_seconds IS
    'How late the latest overdue job is, seconds; null: none is';
COMMENT ON COLUMN report.scheduler_health.workers IS 'Worker processes that are registered';
COMMENT ON COLUMN report.scheduler_health.failed_15m IS 'Jobs that failed for good in the last 15 minutes';

COMMENT ON COLUMN report.service_status.project_id IS 'The project';
COMMENT ON COLUMN report.service_status.project IS 'Name of the project';
COMMENT ON COLUMN report.service_status.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.service_status.last_sample_at IS 'slot_at of its latest sample; null: it has none';
COMMENT ON COLUMN report.service_status.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN report.service_status.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN report.service_status.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN report.service_status.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN report.service_status.memory_usage IS 'Share of memory in use, 0..1';
COMMENT ON COLUMN report.service_status.deployment_id IS 'Its latest deployment; null: it had none';
COMMENT ON COLUMN report.service_status.branch IS 'Of its latest deployment';
COMMENT ON COLUMN report.service_status.state IS
    'Of its latest deployment: pending, running, finished or analyzed';
COMMENT ON COLUMN report.service_status.triggered_at IS 'When its latest deployment began';
COMMENT ON COLUMN report.service_status.verdict IS
    'On its latest deployment: ok, warning or rollback_recommended; null: none yet';
COMMENT ON COLUMN report.service_status.conclusive IS
    'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';

COMMENT ON COLUMN report.shadow_verdicts.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.shadow_verdicts.project_id IS 'The project';
COMMENT ON COLUMN report.shadow_verdicts.project IS 'Name of the project';
COMMENT ON COLUMN report.shadow_verdicts.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.shadow_verdicts.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.shadow_verdicts.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.shadow_verdicts.policy_digest IS
    'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.shadow_verdicts.verdict IS
    'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.shadow_verdicts.conclusive IS
    'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON COLUMN report.shadow_verdicts.reason_code IS 'Why the verdict is what it is: docs/method.md';
COMMENT ON COLUMN report.shadow_verdicts.confidence IS
    'How sure the judge is, 0..1; its meaning is that of the policy';
COMMENT ON COLUMN report.shadow_verdicts.failed_metrics IS
    'Metrics that contribute to an alarm; null or empty: none';
COMMENT ON COLUMN report.shadow_verdicts.live_policy IS
    'Policy of the verdict that counts; null: there is none';
COMMENT ON COLUMN report.shadow_verdicts.live_verdict IS
    'The verdict that counts: ok, warning or rollback_recommended; null: there is none';

COMMENT ON COLUMN report.slots.slot_at IS 'Planned moment of the reading, collected or missed';
COMMENT ON COLUMN report.slots.project_id IS 'The project';
COMMENT ON COLUMN report.slots.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.slots.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN report.slots.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN report.slots.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN report.slots.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN report.slots.memory_usage IS 'Share of memory in use, 0..1';

COMMENT ON COLUMN report.targets.project_id IS 'The project';
COMMENT ON COLUMN report.targets.project IS 'Name of the project';
COMMENT ON COLUMN report.targets.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.targets.source IS 'How it is asked: seqpulse (its SDK) or prometheus';
COMMENT ON COLUMN report.targets.created_at IS 'When it was first configured';
COMMENT ON COLUMN report.targets.updated_at IS 'When it was last configured';
COMMENT ON COLUMN report.targets.failures IS 'Slots missed in a row, of any phase';
COMMENT ON COLUMN report.targets.last_code IS
    'Why the last missed slot was missed: docs/errors.md; null: none was';
COMMENT ON COLUMN report.targets.rests_until IS
    'The continuous baseline is not read before this moment; null: it is read';

COMMENT ON COLUMN report.verdict_evidence.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.verdict_evidence.project_id IS 'The project';
COMMENT ON COLUMN report.verdict_evidence.project IS 'Name of the project';
COMMENT ON COLUMN report.verdict_evidence.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.verdict_evidence.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.verdict_evidence.verdict IS
    'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.verdict_evidence.metric IS
    'requests_per_sec, latency_p95, error_rate, cpu_usage or memory_usage';
COMMENT ON COLUMN report.verdict_evidence.baseline_source IS
    'Where the baseline is from: baseline, pre, previous, history or none';
COMMENT ON COLUMN report.verdict_evidence.baseline_n IS 'Slots of the baseline that counted';
COMMENT ON COLUMN report.verdict_evidence.post_n IS 'Post slots that counted';
COMMENT ON COLUMN report.verdict_evidence.expected IS 'Level without the deployment, unit of the metric';
COMMENT ON COLUMN report.verdict_evidence.observed IS 'Level of the post window, unit of the metric';
COMMENT ON COLUMN report.verdict_evidence.threshold IS 'Level a slot must not cross, unit of the metric';
COMMENT ON COLUMN report.verdict_evidence.exceedance_ratio IS
    'Share of post slots beyond the threshold, 0..1';
COMMENT ON COLUMN report.verdict_evidence.tolerance_ratio IS
    'Share of post slots that may lie beyond the threshold, 0..1';
COMMENT ON COLUMN report.verdict_evidence.failed IS 'Whether the metric contributes to an alarm';
COMMENT ON COLUMN report.verdict_evidence.attribution IS
    'introduced, worsened, pre_existing, recovered or unknown; null: no deviation';
COMMENT ON COLUMN report.verdict_evidence.severe IS
    'Whether the failure takes part in recommending a rollback';
COMMENT ON COLUMN report.verdict_evidence.direction IS
    'worse or better, if the metric surely moved; else null';
COMMENT ON COLUMN report.verdict_evidence.pattern IS
    'step, ramp, transient or flapping, if it deviates; else null';
COMMENT ON COLUMN report.verdict_evidence.effect IS
    'Size of the change, positive is worse: a difference (error_rate) or a share of expected (others)';
COMMENT ON COLUMN report.verdict_evidence.effect_low IS
    'Lower end of the 95 % interval of effect, the same unit';
COMMENT ON COLUMN report.verdict_evidence.effect_high IS
    'Upper end of the 95 % interval of effect, the same unit';
COMMENT ON COLUMN report.verdict_evidence.minimum_effect IS
    'Smallest effect that matters under the policy, unit of effect';
COMMENT ON COLUMN report.verdict_evidence.smallest_detectable_effect IS
    'Effect that would be found nine times of ten, unit of effect';
COMMENT ON COLUMN report.verdict_evidence.test IS 'Name of the test: docs/method.md';
COMMENT ON COLUMN report.verdict_evidence.statistic IS 'Value of the test';
COMMENT ON COLUMN report.verdict_evidence.p_value IS 'Probability of such a value without a change, 0..1';
COMMENT ON COLUMN report.verdict_evidence.contribution IS 'Share of this metric in the alarm, 0..1';
COMMENT ON COLUMN report.verdict_evidence.distance_to_flip IS
    'Growth of the effect until the metric fails; negative: fall until it does not';
COMMENT ON COLUMN report.verdict_evidence.trend_per_hour IS
    'Slope in the post window, unit of the metric per hour';

COMMENT ON COLUMN report.verdict_revisions.deployment_id IS
    'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.verdict_revisions.project_id IS 'The project';
COMMENT ON COLUMN report.verdict_revisions.project IS 'Name of the project';
COMMENT ON COLUMN report.verdict_revisions.env IS
    'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.verdict_revisions.branch IS 'Branch, tag or version, as the pipeline named it';
COMMENT ON COLUMN report.verdict_revisions.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.verdict_revisions.verdict IS
    'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.verdict_revisions.conclusive IS
    'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON COLUMN report.verdict_revisions.reason_code IS 'Why the verdict is what it is: docs/method.md';
COMMENT ON COLUMN report.verdict_revisions.confidence IS
    'How sure the judge is, 0..1; its meaning is that of the policy';
COMMENT ON COLUMN report.verdict_revisions.coverage_ratio IS
    'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN report.verdict_revisions.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.verdict_revisions.policy_digest IS
    'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.verdict_revisions.quality_ratio IS
    'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN report.verdict_revisions.penalties IS 'What was wrong with the data: docs/method.md';
COMMENT ON COLUMN report.verdict_revisions.confounders IS
    'Ids of other deployments that overlap roll-out or post window';
COMMENT ON COLUMN report.verdict_revisions.decided_at IS
    'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN report.verdict_revisions.profile_until IS
    'End of the history behind the profile that was used; null: none was';
COMMENT ON COLUMN report.verdict_revisions.as_of IS
    'The moment the judge was told it is; nothing later counted';
COMMENT ON COLUMN report.verdict_revisions.created_at IS 'When it was stored';
