-- Made by `make schema` of all migrations; not run by anything.

CREATE TABLE api_keys (
    id text NOT NULL,
    project_id uuid NOT NULL,
    digest bytea NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    revoked_at timestamp with time zone,
    key_id text,
    scope text NOT NULL DEFAULT 'ci'::text,
    label text NOT NULL DEFAULT ''::text,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT api_keys_label_check CHECK ((length(label) <= 100)),
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
    CONSTRAINT api_keys_scope_check CHECK ((scope = ANY (ARRAY['read'::text, 'ci'::text, 'admin'::text])))
);

CREATE UNLOGGED TABLE api_traffic (
    told_at timestamp with time zone NOT NULL DEFAULT now(),
    requests integer NOT NULL,
    errors integer NOT NULL,
    latencies integer[] NOT NULL
);

CREATE TABLE archive_identity (
    only_row boolean NOT NULL DEFAULT true,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    CONSTRAINT archive_identity_only_row_check CHECK (only_row),
    CONSTRAINT archive_identity_pkey PRIMARY KEY (only_row)
);

CREATE TABLE archived_chunks (
    chunk text NOT NULL,
    range_start timestamp with time zone NOT NULL,
    range_end timestamp with time zone NOT NULL,
    rows bigint NOT NULL,
    archived_at timestamp with time zone NOT NULL,
    verified_at timestamp with time zone NOT NULL,
    CONSTRAINT archived_chunks_pkey PRIMARY KEY (chunk)
);

CREATE TABLE channels (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    shown text NOT NULL,
    access_encrypted text NOT NULL,
    secret_encrypted text,
    secret_before_encrypted text,
    secret_before_until timestamp with time zone,
    verdicts text[] NOT NULL,
    conclusive_only boolean NOT NULL,
    envs text[] NOT NULL DEFAULT '{}'::text[],
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    updated_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT channels_check CHECK (((kind = 'webhook'::text) = (secret_encrypted IS NOT NULL))),
    CONSTRAINT channels_kind_check CHECK ((kind = ANY (ARRAY['webhook'::text, 'slack'::text, 'github'::text]))),
    CONSTRAINT channels_pkey PRIMARY KEY (id),
    CONSTRAINT channels_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
    CONSTRAINT channels_project_id_name_key UNIQUE (project_id, name)
);

CREATE TABLE deliveries (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    deployment_id uuid,
    revision integer,
    status text NOT NULL DEFAULT 'pending'::text,
    attempts integer NOT NULL DEFAULT 0,
    status_code smallint,
    last_error text,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    tried_at timestamp with time zone,
    next_at timestamp with time zone DEFAULT now(),
    settled_at timestamp with time zone,
    CONSTRAINT deliveries_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT deliveries_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channels(id) ON DELETE CASCADE,
    CONSTRAINT deliveries_check CHECK (((deployment_id IS NULL) = (revision IS NULL))),
    CONSTRAINT deliveries_check1 CHECK (((status = 'pending'::text) = (settled_at IS NULL))),
    CONSTRAINT deliveries_check2 CHECK (((status = 'pending'::text) OR (next_at IS NULL))),
    CONSTRAINT deliveries_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT deliveries_deployment_id_revision_channel_id_key UNIQUE (deployment_id, revision, channel_id),
    CONSTRAINT deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT deliveries_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text])))
);

CREATE TABLE deployments (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    branch text NOT NULL,
    idempotency_key text,
    state text NOT NULL DEFAULT 'pending'::text,
    result text,
    triggered_at timestamp with time zone NOT NULL DEFAULT now(),
    finished_at timestamp with time zone,
    analyzed_at timestamp with time zone,
    post_slots smallint,
    slot_seconds double precision,
    extended_at timestamp with time zone,
    keep boolean NOT NULL DEFAULT false,
    CONSTRAINT deployments_branch_check CHECK ((length(branch) <= 255)),
    CONSTRAINT deployments_check CHECK (((state = ANY (ARRAY['finished'::text, 'analyzed'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT deployments_check1 CHECK (((finished_at IS NULL) = (post_slots IS NULL))),
    CONSTRAINT deployments_check2 CHECK (((finished_at IS NULL) = (slot_seconds IS NULL))),
    CONSTRAINT deployments_env_check CHECK (((length(env) >= 1) AND (length(env) <= 64))),
    CONSTRAINT deployments_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 255))),
    CONSTRAINT deployments_pkey PRIMARY KEY (id),
    CONSTRAINT deployments_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
    CONSTRAINT deployments_result_check CHECK ((result = ANY (ARRAY['success'::text, 'failed'::text]))),
    CONSTRAINT deployments_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'running'::text, 'finished'::text, 'analyzed'::text])))
);

CREATE TABLE evidence (
    deployment_id uuid NOT NULL,
    metric text NOT NULL,
    baseline_source text NOT NULL,
    baseline_n integer NOT NULL,
    post_n integer NOT NULL,
    expected double precision,
    observed double precision,
    threshold double precision,
    exceedance_ratio double precision,
    tolerance_ratio double precision NOT NULL,
    failed boolean NOT NULL,
    attribution text,
    severe boolean NOT NULL DEFAULT false,
    direction text,
    pattern text,
    effect double precision,
    effect_low double precision,
    effect_high double precision,
    minimum_effect double precision,
    smallest_detectable_effect double precision,
    test text,
    statistic double precision,
    p_value double precision,
    contribution double precision NOT NULL DEFAULT 0,
    distance_to_flip double precision,
    trend_per_hour double precision,
    CONSTRAINT evidence_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES verdicts(deployment_id) ON DELETE CASCADE,
    CONSTRAINT evidence_pkey PRIMARY KEY (deployment_id, metric)
);

CREATE TABLE feedback (
    deployment_id uuid NOT NULL,
    harmful boolean NOT NULL,
    given_by text NOT NULL,
    given_at timestamp with time zone NOT NULL DEFAULT now(),
    revision integer,
    rolled_back_by text,
    note text,
    CONSTRAINT feedback_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT feedback_given_by_check CHECK (((length(given_by) >= 1) AND (length(given_by) <= 255))),
    CONSTRAINT feedback_note_check CHECK (((length(note) >= 1) AND (length(note) <= 2000))),
    CONSTRAINT feedback_pkey PRIMARY KEY (deployment_id),
    CONSTRAINT feedback_rolled_back_by_check CHECK (((length(rolled_back_by) >= 1) AND (length(rolled_back_by) <= 255)))
);

CREATE TABLE former_verdicts (
    deployment_id uuid NOT NULL,
    policy text NOT NULL,
    verdict text NOT NULL,
    conclusive boolean NOT NULL,
    reason_code text NOT NULL,
    confidence double precision NOT NULL,
    coverage_ratio double precision NOT NULL,
    as_of timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    policy_digest text,
    quality_ratio double precision NOT NULL,
    penalties text[] NOT NULL,
    confounders uuid[] NOT NULL,
    decided_at smallint,
    profile_until timestamp with time zone,
    revision integer NOT NULL,
    evidence jsonb NOT NULL,
    hints jsonb NOT NULL,
    shadows jsonb NOT NULL,
    superseded_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT former_verdicts_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT former_verdicts_pkey PRIMARY KEY (deployment_id, revision),
    CONSTRAINT verdicts_confidence_check CHECK (((confidence >= (0)::double precision) AND (confidence <= (1)::double precision))),
    CONSTRAINT verdicts_coverage_ratio_check CHECK (((coverage_ratio >= (0)::double precision) AND (coverage_ratio <= (1)::double precision))),
    CONSTRAINT verdicts_quality_ratio_check CHECK (((quality_ratio >= (0)::double precision) AND (quality_ratio <= (1)::double precision))),
    CONSTRAINT verdicts_verdict_check CHECK ((verdict = ANY (ARRAY['ok'::text, 'warning'::text, 'rollback_recommended'::text])))
);

CREATE TABLE hints (
    deployment_id uuid NOT NULL,
    rule text NOT NULL,
    "position" smallint NOT NULL,
    severity text NOT NULL,
    title text NOT NULL,
    diagnosis text NOT NULL,
    actions text[] NOT NULL,
    metrics text[] NOT NULL,
    CONSTRAINT hints_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES verdicts(deployment_id) ON DELETE CASCADE,
    CONSTRAINT hints_pkey PRIMARY KEY (deployment_id, rule),
    CONSTRAINT hints_severity_check CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text])))
);

CREATE TABLE history_edges (
    only_row boolean NOT NULL DEFAULT true,
    samples_since timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    chunks_since timestamp with time zone NOT NULL DEFAULT 'infinity'::timestamp with time zone,
    dropped_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    closed_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    rolled_5m_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    rolled_1h_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    rolled_fleet_1h_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    CONSTRAINT history_edges_only_row_check CHECK (only_row),
    CONSTRAINT history_edges_pkey PRIMARY KEY (only_row)
);

CREATE TABLE installation (
    only_row boolean NOT NULL DEFAULT true,
    key_digest bytea NOT NULL,
    CONSTRAINT installation_only_row_check CHECK (only_row),
    CONSTRAINT installation_pkey PRIMARY KEY (only_row)
);

CREATE TABLE job_runs (
    finished_at timestamp with time zone NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL,
    priority smallint NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    deployment_id uuid,
    phase text,
    sequence_index smallint,
    payload jsonb,
    slot_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone,
    status text NOT NULL,
    attempt integer NOT NULL,
    owner integer,
    last_error text,
    CONSTRAINT job_runs_status_check CHECK ((status = ANY (ARRAY['completed'::text, 'failed'::text])))
);

CREATE TABLE kept_answers (
    project_id uuid,
    route text NOT NULL,
    key text NOT NULL,
    request_digest bytea NOT NULL,
    answer_encrypted text NOT NULL,
    kept_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT kept_answers_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT kept_answers_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
    CONSTRAINT kept_answers_project_id_route_key_key UNIQUE NULLS NOT DISTINCT (project_id, route, key)
);

CREATE TABLE kept_missed (
    held_for uuid NOT NULL,
    slot_at timestamp with time zone NOT NULL,
    missed_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    deployment_id uuid,
    phase text,
    sequence_index smallint,
    code text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT kept_missed_held_for_fkey FOREIGN KEY (held_for) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT kept_missed_pkey PRIMARY KEY (held_for, slot_at)
);

CREATE TABLE kept_samples (
    held_for uuid NOT NULL,
    slot_at timestamp with time zone NOT NULL,
    collected_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    deployment_id uuid,
    phase text,
    sequence_index smallint,
    requests_per_sec double precision,
    latency_p95 double precision,
    error_rate double precision,
    cpu_usage double precision,
    memory_usage double precision,
    extra jsonb,
    CONSTRAINT kept_samples_held_for_fkey FOREIGN KEY (held_for) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT kept_samples_pkey PRIMARY KEY (held_for, slot_at)
);

CREATE TABLE late_hours (
    project_id uuid NOT NULL,
    env text NOT NULL,
    hour_at timestamp with time zone NOT NULL
);

CREATE TABLE metric_samples (
    slot_at timestamp with time zone NOT NULL,
    collected_at timestamp with time zone NOT NULL DEFAULT now(),
    project_id uuid NOT NULL,
    env text NOT NULL,
    deployment_id uuid,
    phase text,
    sequence_index smallint,
    requests_per_sec double precision,
    latency_p95 double precision,
    error_rate double precision,
    cpu_usage double precision,
    memory_usage double precision,
    extra jsonb,
    CONSTRAINT metric_samples_phase_check CHECK ((phase = ANY (ARRAY['pre'::text, 'post'::text]))),
    CONSTRAINT metric_samples_project_id_env_slot_at_key UNIQUE (project_id, env, slot_at)
);

CREATE TABLE missed_slots (
    slot_at timestamp with time zone NOT NULL,
    missed_at timestamp with time zone NOT NULL DEFAULT now(),
    project_id uuid NOT NULL,
    env text NOT NULL,
    deployment_id uuid,
    phase text,
    sequence_index smallint,
    code text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT missed_slots_phase_check CHECK ((phase = ANY (ARRAY['pre'::text, 'post'::text]))),
    CONSTRAINT missed_slots_project_id_env_slot_at_key UNIQUE (project_id, env, slot_at)
);

CREATE TABLE projects (
    id uuid NOT NULL,
    name text NOT NULL,
    plan text NOT NULL,
    post_slots smallint NOT NULL,
    hmac_secret_encrypted text,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT projects_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT projects_name_key UNIQUE (name),
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_plan_check CHECK ((plan = ANY (ARRAY['free'::text, 'pro'::text]))),
    CONSTRAINT projects_post_slots_check CHECK ((post_slots = ANY (ARRAY[5, 15])))
);

CREATE TABLE restored_days (
    day date NOT NULL,
    keep_until timestamp with time zone NOT NULL,
    CONSTRAINT restored_days_pkey PRIMARY KEY (day)
);

CREATE TABLE samples_1h (
    bucket_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    samples integer NOT NULL,
    missed integer NOT NULL,
    requests_per_sec_mean real,
    requests_per_sec_min real,
    requests_per_sec_max real,
    latency_p95_mean real,
    latency_p95_min real,
    latency_p95_max real,
    error_rate_mean real,
    error_rate_min real,
    error_rate_max real,
    cpu_usage_mean real,
    cpu_usage_min real,
    cpu_usage_max real,
    memory_usage_mean real,
    memory_usage_min real,
    memory_usage_max real,
    sketch integer[],
    CONSTRAINT samples_1h_project_id_env_bucket_at_key UNIQUE (project_id, env, bucket_at)
);

CREATE TABLE samples_5m (
    bucket_at timestamp with time zone NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    samples integer NOT NULL,
    missed integer NOT NULL,
    requests_per_sec_mean real,
    requests_per_sec_min real,
    requests_per_sec_max real,
    latency_p95_mean real,
    latency_p95_min real,
    latency_p95_max real,
    error_rate_mean real,
    error_rate_min real,
    error_rate_max real,
    cpu_usage_mean real,
    cpu_usage_min real,
    cpu_usage_max real,
    memory_usage_mean real,
    memory_usage_min real,
    memory_usage_max real,
    sketch integer[],
    CONSTRAINT samples_5m_project_id_env_bucket_at_key UNIQUE (project_id, env, bucket_at)
);

CREATE TABLE samples_fleet_1h (
    bucket_at timestamp with time zone NOT NULL,
    env text NOT NULL,
    services integer NOT NULL,
    samples bigint NOT NULL,
    missed bigint NOT NULL,
    sketch integer[],
    CONSTRAINT samples_fleet_1h_env_bucket_at_key UNIQUE (env, bucket_at)
);

CREATE TABLE scheduled_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    priority smallint NOT NULL,
    project_id uuid NOT NULL,
    env text NOT NULL,
    deployment_id uuid,
    phase text,
    sequence_index smallint,
    payload jsonb,
    slot_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    repeat interval,
    awaiting smallint NOT NULL DEFAULT 0,
    dedupe_key text,
    status text NOT NULL DEFAULT 'pending'::text,
    attempt integer NOT NULL DEFAULT 0,
    owner integer,
    claimed_at timestamp with time zone,
    last_error text,
    CONSTRAINT scheduled_jobs_check CHECK (((status = 'running'::text) = (owner IS NOT NULL))),
    CONSTRAINT scheduled_jobs_phase_check CHECK ((phase = ANY (ARRAY['pre'::text, 'post'::text]))),
    CONSTRAINT scheduled_jobs_pkey PRIMARY KEY (id),
    CONSTRAINT scheduled_jobs_priority_check CHECK (((priority >= 0) AND (priority <= 4))),
    CONSTRAINT scheduled_jobs_repeat_check CHECK ((repeat > '00:00:00'::interval)),
    CONSTRAINT scheduled_jobs_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text])))
);

CREATE TABLE schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
);

CREATE TABLE service_profiles (
    project_id uuid NOT NULL,
    env text NOT NULL,
    until timestamp with time zone NOT NULL,
    built_at timestamp with time zone NOT NULL DEFAULT now(),
    packed bytea NOT NULL,
    CONSTRAINT service_profiles_pkey PRIMARY KEY (project_id, env, until),
    CONSTRAINT service_profiles_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE
);

CREATE TABLE shadow_verdicts (
    deployment_id uuid NOT NULL,
    policy text NOT NULL,
    policy_digest text,
    verdict text NOT NULL,
    conclusive boolean NOT NULL,
    reason_code text NOT NULL,
    confidence double precision NOT NULL,
    failed_metrics text[] NOT NULL,
    as_of timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT shadow_verdicts_confidence_check CHECK (((confidence >= (0)::double precision) AND (confidence <= (1)::double precision))),
    CONSTRAINT shadow_verdicts_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT shadow_verdicts_pkey PRIMARY KEY (deployment_id, policy),
    CONSTRAINT shadow_verdicts_verdict_check CHECK ((verdict = ANY (ARRAY['ok'::text, 'warning'::text, 'rollback_recommended'::text])))
);

CREATE TABLE targets (
    project_id uuid NOT NULL,
    env text NOT NULL,
    endpoint text NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    updated_at timestamp with time zone NOT NULL DEFAULT now(),
    source text NOT NULL DEFAULT 'seqpulse'::text,
    queries jsonb,
    header_encrypted text,
    failures integer NOT NULL DEFAULT 0,
    last_code text,
    rests_until timestamp with time zone,
    CONSTRAINT targets_endpoint_check CHECK ((length(endpoint) <= 2048)),
    CONSTRAINT targets_env_check CHECK (((length(env) >= 1) AND (length(env) <= 64))),
    CONSTRAINT targets_failures_check CHECK ((failures >= 0)),
    CONSTRAINT targets_pkey PRIMARY KEY (project_id, env),
    CONSTRAINT targets_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
    CONSTRAINT targets_queries CHECK (((source = 'prometheus'::text) = (queries IS NOT NULL))),
    CONSTRAINT targets_source CHECK ((source = ANY (ARRAY['seqpulse'::text, 'prometheus'::text])))
);

CREATE TABLE team_projects (
    team text NOT NULL,
    project_id uuid NOT NULL,
    CONSTRAINT team_projects_pkey PRIMARY KEY (team, project_id),
    CONSTRAINT team_projects_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
    CONSTRAINT team_projects_team_check CHECK ((team ~ '^[a-z][a-z0-9_]{0,39}$'::text))
);

CREATE UNLOGGED TABLE turns (
    project_id uuid NOT NULL,
    env text NOT NULL,
    taken_at timestamp with time zone[] NOT NULL,
    CONSTRAINT turns_pkey PRIMARY KEY (project_id, env),
    CONSTRAINT turns_project_id_env_fkey FOREIGN KEY (project_id, env) REFERENCES targets(project_id, env) ON DELETE CASCADE
);

CREATE TABLE used_nonces (
    digest bytea NOT NULL,
    used_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT used_nonces_pkey PRIMARY KEY (digest)
);

CREATE TABLE verdicts (
    deployment_id uuid NOT NULL,
    policy text NOT NULL,
    verdict text NOT NULL,
    conclusive boolean NOT NULL,
    reason_code text NOT NULL,
    confidence double precision NOT NULL,
    coverage_ratio double precision NOT NULL,
    as_of timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    policy_digest text,
    quality_ratio double precision NOT NULL DEFAULT 1,
    penalties text[] NOT NULL DEFAULT '{}'::text[],
    confounders uuid[] NOT NULL DEFAULT '{}'::uuid[],
    decided_at smallint,
    profile_until timestamp with time zone,
    revision integer NOT NULL DEFAULT 1,
    CONSTRAINT verdicts_confidence_check CHECK (((confidence >= (0)::double precision) AND (confidence <= (1)::double precision))),
    CONSTRAINT verdicts_coverage_ratio_check CHECK (((coverage_ratio >= (0)::double precision) AND (coverage_ratio <= (1)::double precision))),
    CONSTRAINT verdicts_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES deployments(id) ON DELETE CASCADE,
    CONSTRAINT verdicts_pkey PRIMARY KEY (deployment_id),
    CONSTRAINT verdicts_quality_ratio_check CHECK (((quality_ratio >= (0)::double precision) AND (quality_ratio <= (1)::double precision))),
    CONSTRAINT verdicts_verdict_check CHECK ((verdict = ANY (ARRAY['ok'::text, 'warning'::text, 'rollback_recommended'::text])))
);

CREATE TABLE workers (
    key integer NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT workers_pkey PRIMARY KEY (key)
);

SELECT create_hypertable('job_runs', 'finished_at');
SELECT create_hypertable('metric_samples', 'slot_at');
SELECT create_hypertable('missed_slots', 'slot_at');
SELECT create_hypertable('samples_1h', 'bucket_at');
SELECT create_hypertable('samples_5m', 'bucket_at');
SELECT create_hypertable('samples_fleet_1h', 'bucket_at');

CREATE INDEX api_keys_project ON public.api_keys USING btree (project_id);
CREATE INDEX api_traffic_told ON public.api_traffic USING btree (told_at);
CREATE INDEX deliveries_channel ON public.deliveries USING btree (channel_id);
CREATE INDEX deliveries_project ON public.deliveries USING btree (project_id, id);
CREATE INDEX deployments_finished ON public.deployments USING btree (finished_at, id) WHERE (finished_at IS NOT NULL);
CREATE UNIQUE INDEX deployments_idempotency ON public.deployments USING btree (project_id, env, idempotency_key);
CREATE INDEX deployments_kept ON public.deployments USING btree (id) WHERE keep;
CREATE UNIQUE INDEX deployments_one_live ON public.deployments USING btree (project_id, env) WHERE (state = ANY (ARRAY['pending'::text, 'running'::text]));
CREATE INDEX deployments_recent ON public.deployments USING btree (project_id, triggered_at DESC);
CREATE INDEX job_runs_deployment ON public.job_runs USING btree (deployment_id, finished_at) WHERE (deployment_id IS NOT NULL);
CREATE INDEX kept_answers_kept_at ON public.kept_answers USING btree (kept_at);
CREATE INDEX metric_samples_deployment ON public.metric_samples USING btree (deployment_id, slot_at) WHERE (deployment_id IS NOT NULL);
CREATE INDEX metric_samples_slot_at ON public.metric_samples USING brin (slot_at) WITH (autosummarize='true');
CREATE INDEX missed_slots_deployment ON public.missed_slots USING btree (deployment_id, slot_at) WHERE (deployment_id IS NOT NULL);
CREATE INDEX missed_slots_slot_at ON public.missed_slots USING brin (slot_at) WITH (autosummarize='true');
CREATE INDEX samples_1h_bucket_at ON public.samples_1h USING brin (bucket_at) WITH (autosummarize='true');
CREATE UNIQUE INDEX scheduled_jobs_dedupe ON public.scheduled_jobs USING btree (dedupe_key) WHERE (dedupe_key IS NOT NULL);
CREATE INDEX scheduled_jobs_deployment ON public.scheduled_jobs USING btree (deployment_id) WHERE (deployment_id IS NOT NULL);
CREATE INDEX scheduled_jobs_due ON public.scheduled_jobs USING btree (priority, scheduled_at, id);
CREATE INDEX scheduled_jobs_project ON public.scheduled_jobs USING btree (project_id, scheduled_at);
CREATE INDEX used_nonces_used ON public.used_nonces USING btree (used_at);

CREATE OR REPLACE FUNCTION public.as_real(value double precision)
 RETURNS real
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (CASE WHEN (value > ('10000000000000000000000000000000000000'::numeric)::double precision) THEN ('10000000000000000000000000000000000000'::numeric)::double precision WHEN (value < (0.0000000000000000000000000000000000001)::double precision) THEN (0)::double precision ELSE value END)::real;

CREATE OR REPLACE FUNCTION public.buckets(width interval, since timestamp with time zone, until timestamp with time zone)
 RETURNS SETOF samples_5m
 LANGUAGE sql
 STABLE PARALLEL SAFE
BEGIN ATOMIC
 SELECT rolled.bucket_at,
     rolled.project_id,
     rolled.env,
     rolled.samples,
     rolled.missed,
     rolled.requests_per_sec_mean,
     rolled.requests_per_sec_min,
     rolled.requests_per_sec_max,
     rolled.latency_p95_mean,
     rolled.latency_p95_min,
     rolled.latency_p95_max,
     rolled.error_rate_mean,
     rolled.error_rate_min,
     rolled.error_rate_max,
     rolled.cpu_usage_mean,
     rolled.cpu_usage_min,
     rolled.cpu_usage_max,
     rolled.memory_usage_mean,
     rolled.memory_usage_min,
     rolled.memory_usage_max,
         CASE
             WHEN (rolled.samples <= 16) THEN rolled.elements
             WHEN (rolled.samples > 65535) THEN compact_sketch(rolled.elements)
             ELSE ( SELECT array_agg((bins.element + bins.more)) AS array_agg
                FROM ( SELECT element.element,
                         ((count(*))::integer - 1) AS more
                        FROM unnest(rolled.elements) element(element)
                       GROUP BY element.element) bins)
         END AS array_agg
    FROM ( SELECT time_bucket(buckets.width, slots.slot_at) AS bucket_at,
             slots.project_id,
             slots.env,
             (count(*) FILTER (WHERE slots.present))::integer AS samples,
             (count(*) FILTER (WHERE (NOT slots.present)))::integer AS missed,
             as_real(avg(LEAST(slots.requests_per_sec, ('10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000'::numeric)::double precision)) FILTER (WHERE (slots.requests_per_sec IS NOT NULL))) AS requests_per_sec_mean,
             as_real(min(slots.requests_per_sec)) AS requests_per_sec_min,
             as_real(max(slots.requests_per_sec)) AS requests_per_sec_max,
             as_real(avg(LEAST(slots.latency_p95, ('10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000'::numeric)::double precision)) FILTER (WHERE (slots.latency_p95 IS NOT NULL))) AS latency_p95_mean,
             as_real(min(slots.latency_p95)) AS latency_p95_min,
             as_real(max(slots.latency_p95)) AS latency_p95_max,
             as_real(avg(slots.error_rate)) AS error_rate_mean,
             as_real(min(slots.error_rate)) AS error_rate_min,
             as_real(max(slots.error_rate)) AS error_rate_max,
             as_real(avg(slots.cpu_usage)) AS cpu_usage_mean,
             as_real(min(slots.cpu_usage)) AS cpu_usage_min,
             as_real(max(slots.cpu_usage)) AS cpu_usage_max,
             as_real(avg(slots.memory_usage)) AS memory_usage_mean,
             as_real(min(slots.memory_usage)) AS memory_usage_min,
             as_real(max(slots.memory_usage)) AS memory_usage_max,
             ((((array_agg(sketch_value(0, slots.requests_per_sec)) FILTER (WHERE (slots.requests_per_sec >= (0)::double precision)) || array_agg(sketch_value(1, slots.latency_p95)) FILTER (WHERE (slots.latency_p95 >= (0)::double precision))) || array_agg(sketch_value(2, slots.error_rate)) FILTER (WHERE (slots.error_rate >= (0)::double precision))) || array_agg(sketch_value(3, slots.cpu_usage)) FILTER (WHERE (slots.cpu_usage >= (0)::double precision))) || array_agg(sketch_value(4, slots.memory_usage)) FILTER (WHERE (slots.memory_usage >= (0)::double precision))) AS elements
            FROM report.slots
           WHERE ((slots.slot_at >= buckets.since) AND (slots.slot_at < buckets.until))
           GROUP BY (time_bucket(buckets.width, slots.slot_at)), slots.project_id, slots.env) rolled;
END;

CREATE OR REPLACE FUNCTION public.compact_sketch(sketch integer[])
 RETURNS integer[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (SELECT array_agg(((bins.bin << 16) + (LEAST((65535)::bigint, (bins.n - (65535 * part.part))))::integer) ORDER BY bins.bin, part.part) AS array_agg FROM ((SELECT (element.element >> 16) AS bin, sum((element.element & 65535)) AS n FROM unnest(compact_sketch.sketch) element(element) GROUP BY (element.element >> 16)) bins CROSS JOIN LATERAL generate_series((0)::bigint, ((bins.n - 1) / 65535)) part(part)));

CREATE OR REPLACE FUNCTION public.drop_old_chunks(hypertable regclass, since timestamp with time zone, until timestamp with time zone)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO '$user', 'public'
AS $function$SELECT count(*) FROM drop_chunks($1, older_than => $3, newer_than => $2)$function$;

CREATE OR REPLACE FUNCTION public.is_unreachable(code text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (code = ANY (ARRAY['dns'::text, 'refused'::text, 'timeout'::text, 'tls'::text, 'network'::text, 'deadline'::text, 'internal'::text]));

CREATE AGGREGATE report.merge_sketches(integer[]);

CREATE OR REPLACE FUNCTION report.quantile_of(sketch integer[], metric text, q double precision)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (SELECT CASE summed.bin WHEN 0 THEN (0)::double precision ELSE (((2)::double precision / (2.04)::double precision) * ((1.04)::double precision ^ ((summed.bin - 2048))::double precision)) END AS "case" FROM (SELECT bins.bin, sum(bins.n) OVER (ORDER BY bins.bin) AS up_to, sum(bins.n) OVER () AS total FROM (SELECT ((element.element >> 16) & 4095) AS bin, (element.element & 65535) AS n FROM unnest(quantile_of.sketch) element(element) WHERE ((element.element >> 28) = (array_position(ARRAY['requests_per_sec'::text, 'latency_p95'::text, 'error_rate'::text, 'cpu_usage'::text, 'memory_usage'::text], quantile_of.metric) - 1))) bins) summed WHERE ((summed.up_to)::double precision >= ceil((quantile_of.q * (summed.total)::double precision))) ORDER BY summed.bin LIMIT 1);

CREATE OR REPLACE FUNCTION report.wilson_high(hits bigint, n bigint)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (n > 0) THEN LEAST((1)::double precision, (((((hits)::numeric + 1.9208))::double precision + ((1.96)::double precision * sqrt(((((hits)::double precision * ((n - hits))::double precision) / (n)::double precision) + (0.9604)::double precision)))) / (((n)::numeric + 3.8416))::double precision)) ELSE NULL::double precision END;

CREATE OR REPLACE FUNCTION report.wilson_low(hits bigint, n bigint)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (n > 0) THEN GREATEST((0)::double precision, (((((hits)::numeric + 1.9208))::double precision - ((1.96)::double precision * sqrt(((((hits)::double precision * ((n - hits))::double precision) / (n)::double precision) + (0.9604)::double precision)))) / (((n)::numeric + 3.8416))::double precision)) ELSE NULL::double precision END;

CREATE OR REPLACE FUNCTION public.sketch_value(metric integer, value double precision)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (((metric << 28) + 1) + ((CASE WHEN (value < (0.0000000000000000000000000000000001)::double precision) THEN (0)::double precision ELSE LEAST((4095)::double precision, (ceil((ln(value) / ln((1.04)::double precision))) + (2048)::double precision)) END)::integer << 16));

CREATE VIEW report.collection_health AS
 SELECT minute,
    count(*) AS targets,
    count(*) FILTER (WHERE ((collected = 0) AND (unreachable > 0))) AS unreachable_targets,
    (sum(collected))::bigint AS collected,
    (sum(missed))::bigint AS missed
   FROM ( SELECT time_bucket('00:01:00'::interval, slots.slot_at) AS minute,
            slots.project_id,
            slots.env,
            sum(slots.collected) AS collected,
            sum((1 - slots.collected)) AS missed,
            sum(slots.unreachable) AS unreachable
           FROM ( SELECT metric_samples.slot_at,
                    metric_samples.project_id,
                    metric_samples.env,
                    1 AS collected,
                    0 AS unreachable
                   FROM metric_samples
                UNION ALL
                 SELECT missed_slots.slot_at,
                    missed_slots.project_id,
                    missed_slots.env,
                    0,
                    (is_unreachable(missed_slots.code))::integer AS is_unreachable
                   FROM missed_slots) slots
          GROUP BY (time_bucket('00:01:00'::interval, slots.slot_at)), slots.project_id, slots.env) each
  GROUP BY minute;

CREATE VIEW report.coverage AS
 SELECT time_bucket('1 day'::interval, bucket_at) AS day,
    project_id,
    project,
    env,
    sum(samples) AS samples,
    sum(missed) AS missed,
    ((sum(samples))::double precision / (sum((samples + missed)))::double precision) AS coverage_ratio
   FROM report.samples_1h
  GROUP BY (time_bucket('1 day'::interval, bucket_at)), project_id, project, env;

CREATE VIEW report.deliveries AS
 SELECT d.id AS delivery_id,
    d.project_id,
    p.name AS project,
    d.channel_id,
    c.name AS channel,
    c.kind,
    d.deployment_id,
    s.env,
    d.revision,
    d.status,
    d.attempts,
    d.status_code,
    d.last_error,
    d.created_at,
    d.tried_at,
    d.next_at,
    d.settled_at
   FROM (((deliveries d
     JOIN channels c ON ((c.id = d.channel_id)))
     JOIN projects p ON ((p.id = d.project_id)))
     LEFT JOIN deployments s ON ((s.id = d.deployment_id)));

CREATE VIEW report.deployment_labels AS
 SELECT d.id AS deployment_id,
    COALESCE(f.harmful, true) AS harmful,
        CASE
            WHEN (f.deployment_id IS NULL) THEN 'rollback'::text
            ELSE 'feedback'::text
        END AS source
   FROM ((deployments d
     LEFT JOIN feedback f ON ((f.deployment_id = d.id)))
     LEFT JOIN report.detected_rollbacks r ON ((r.deployment_id = d.id)))
  WHERE ((f.deployment_id IS NOT NULL) OR (r.deployment_id IS NOT NULL));

CREATE VIEW report.deployment_overview AS
 SELECT d.id AS deployment_id,
    p.id AS project_id,
    p.name AS project,
    d.env,
    d.branch,
    d.state,
    d.result,
    d.triggered_at,
    d.finished_at,
    d.analyzed_at,
    d.post_slots,
    v.verdict,
    v.conclusive,
    v.reason_code,
    v.confidence,
    v.coverage_ratio,
    v.policy,
    ( SELECT array_agg(e.metric ORDER BY e.metric) AS array_agg
           FROM evidence e
          WHERE ((e.deployment_id = d.id) AND e.failed)) AS failed_metrics,
    ( SELECT count(*) AS count
           FROM hints h
          WHERE (h.deployment_id = d.id)) AS hint_count,
    v.policy_digest,
    v.quality_ratio,
    v.penalties,
    v.confounders,
    v.decided_at,
    v.profile_until,
    v.as_of,
    d.extended_at,
    v.revision
   FROM ((deployments d
     JOIN projects p ON ((p.id = d.project_id)))
     LEFT JOIN verdicts v ON ((v.deployment_id = d.id)));

CREATE VIEW report.deployment_samples AS
 SELECT s.slot_at,
    s.collected_at,
    s.project_id,
    p.name AS project,
    s.env,
    s.deployment_id,
    s.phase,
    s.sequence_index,
    s.requests_per_sec,
    s.latency_p95,
    s.error_rate,
    s.cpu_usage,
    s.memory_usage
   FROM (metric_samples s
     JOIN projects p ON ((p.id = s.project_id)));

CREATE VIEW report.detected_rollbacks AS
 SELECT deployment_id,
    project_id,
    env,
    branch,
    finished_at,
    next_id AS rollback_id,
    next_branch AS back_to,
    next_at AS rolled_back_at
   FROM ( SELECT deployments.id AS deployment_id,
            deployments.project_id,
            deployments.env,
            deployments.branch,
            deployments.finished_at,
            lag(deployments.branch) OVER service AS previous_branch,
            lead(deployments.id) OVER service AS next_id,
            lead(deployments.branch) OVER service AS next_branch,
            lead(deployments.triggered_at) OVER service AS next_at
           FROM deployments
          WHERE (deployments.finished_at IS NOT NULL)
          WINDOW service AS (PARTITION BY deployments.project_id, deployments.env ORDER BY deployments.triggered_at, deployments.id)) d
  WHERE ((next_branch = previous_branch) AND (next_branch <> branch) AND (next_at <= (finished_at + '02:00:00'::interval)));

CREATE VIEW report.dora AS
 SELECT time_bucket('7 days'::interval, d.finished_at) AS week,
    d.project_id,
    p.name AS project,
    d.env,
    count(*) AS deployments,
    count(*) FILTER (WHERE (d.result = 'failed'::text)) AS failed_pipelines,
    count(*) FILTER (WHERE l.harmful) AS harmful,
    ((count(*) FILTER (WHERE l.harmful))::double precision / (count(*))::double precision) AS change_failure_ratio,
    percentile_cont((0.5)::double precision) WITHIN GROUP (ORDER BY ((EXTRACT(epoch FROM (r.rolled_back_at - d.finished_at)))::double precision)) AS median_restore_seconds,
    percentile_cont((0.5)::double precision) WITHIN GROUP (ORDER BY ((EXTRACT(epoch FROM (d.finished_at - d.triggered_at)))::double precision)) AS median_rollout_seconds
   FROM (((deployments d
     JOIN projects p ON ((p.id = d.project_id)))
     LEFT JOIN report.deployment_labels l ON ((l.deployment_id = d.id)))
     LEFT JOIN report.detected_rollbacks r ON ((r.deployment_id = d.id)))
  WHERE (d.finished_at IS NOT NULL)
  GROUP BY (time_bucket('7 days'::interval, d.finished_at)), d.project_id, p.name, d.env;

CREATE VIEW report.feedback AS
 SELECT f.deployment_id,
    d.project_id,
    p.name AS project,
    d.env,
    d.finished_at,
    f.harmful,
    f.rolled_back_by,
    f.note,
    f.given_by,
    f.given_at,
    f.revision
   FROM ((feedback f
     JOIN deployments d ON ((d.id = f.deployment_id)))
     JOIN projects p ON ((p.id = d.project_id)));

CREATE VIEW report.hints AS
 SELECT h.deployment_id,
    d.project_id,
    p.name AS project,
    d.env,
    d.finished_at,
    h.severity,
    h.rule,
    h."position",
    h.title,
    h.diagnosis,
    h.actions,
    h.metrics
   FROM ((hints h
     JOIN deployments d ON ((d.id = h.deployment_id)))
     JOIN projects p ON ((p.id = d.project_id)));

CREATE VIEW report.jobs AS
 SELECT scheduled_jobs.id,
    scheduled_jobs.kind,
    scheduled_jobs.priority,
    scheduled_jobs.status,
    scheduled_jobs.project_id,
    scheduled_jobs.env,
    scheduled_jobs.deployment_id,
    scheduled_jobs.phase,
    scheduled_jobs.sequence_index,
    scheduled_jobs.slot_at,
    scheduled_jobs.scheduled_at,
    scheduled_jobs.claimed_at,
    NULL::timestamp with time zone AS finished_at,
    scheduled_jobs.attempt,
    scheduled_jobs.owner,
    scheduled_jobs.last_error
   FROM scheduled_jobs
UNION ALL
 SELECT job_runs.id,
    job_runs.kind,
    job_runs.priority,
    job_runs.status,
    job_runs.project_id,
    job_runs.env,
    job_runs.deployment_id,
    job_runs.phase,
    job_runs.sequence_index,
    job_runs.slot_at,
    job_runs.scheduled_at,
    job_runs.claimed_at,
    job_runs.finished_at,
    job_runs.attempt,
    job_runs.owner,
    job_runs.last_error
   FROM job_runs;

CREATE VIEW report.missed_slots AS
 SELECT m.slot_at,
    m.project_id,
    p.name AS project,
    m.env,
    m.deployment_id,
    m.phase,
    m.sequence_index,
    m.code,
    m.detail
   FROM (missed_slots m
     JOIN projects p ON ((p.id = m.project_id)));

CREATE VIEW report.policy_accuracy AS
 SELECT policy,
    policy_digest,
    live,
    project,
    count(*) AS labelled,
    count(*) FILTER (WHERE from_feedback) AS from_feedback,
    count(*) FILTER (WHERE harmful) AS harmful,
    count(*) FILTER (WHERE alarm) AS alarms,
    count(*) FILTER (WHERE (alarm AND harmful)) AS true_alarms,
    count(*) FILTER (WHERE (NOT conclusive)) AS inconclusive,
    ((count(*) FILTER (WHERE (alarm AND harmful)))::double precision / (NULLIF(count(*) FILTER (WHERE alarm), 0))::double precision) AS precision_ratio,
    ((count(*) FILTER (WHERE (alarm AND harmful)))::double precision / (NULLIF(count(*) FILTER (WHERE harmful), 0))::double precision) AS recall_ratio
   FROM ( SELECT v.policy,
            v.policy_digest,
            v.live,
            p.name AS project,
            v.conclusive,
            (v.conclusive AND (v.verdict <> 'ok'::text)) AS alarm,
            l.harmful,
            (l.source = 'feedback'::text) AS from_feedback
           FROM (((( SELECT verdicts.deployment_id,
                    verdicts.policy,
                    verdicts.policy_digest,
                    verdicts.verdict,
                    verdicts.conclusive,
                    true AS live
                   FROM verdicts
                UNION ALL
                 SELECT shadow_verdicts.deployment_id,
                    shadow_verdicts.policy,
                    shadow_verdicts.policy_digest,
                    shadow_verdicts.verdict,
                    shadow_verdicts.conclusive,
                    false
                   FROM shadow_verdicts) v
             JOIN report.deployment_labels l ON ((l.deployment_id = v.deployment_id)))
             JOIN deployments d ON ((d.id = v.deployment_id)))
             JOIN projects p ON ((p.id = d.project_id)))) labelled
  GROUP BY GROUPING SETS ((policy, policy_digest, live, project), (policy, policy_digest, live));

CREATE VIEW report.projects AS
 SELECT id AS project_id,
    name AS project,
    plan,
    post_slots,
    created_at
   FROM projects;

CREATE VIEW report.samples_1h AS
 SELECT b.bucket_at,
    b.project_id,
    p.name AS project,
    b.env,
    b.samples,
    b.missed,
    ((b.samples)::double precision / ((b.samples + b.missed))::double precision) AS coverage_ratio,
    b.requests_per_sec_mean,
    b.requests_per_sec_min,
    b.requests_per_sec_max,
    b.latency_p95_mean,
    b.latency_p95_min,
    b.latency_p95_max,
    b.error_rate_mean,
    b.error_rate_min,
    b.error_rate_max,
    b.cpu_usage_mean,
    b.cpu_usage_min,
    b.cpu_usage_max,
    b.memory_usage_mean,
    b.memory_usage_min,
    b.memory_usage_max,
    b.sketch
   FROM (( SELECT samples_1h.bucket_at,
            samples_1h.project_id,
            samples_1h.env,
            samples_1h.samples,
            samples_1h.missed,
            samples_1h.requests_per_sec_mean,
            samples_1h.requests_per_sec_min,
            samples_1h.requests_per_sec_max,
            samples_1h.latency_p95_mean,
            samples_1h.latency_p95_min,
            samples_1h.latency_p95_max,
            samples_1h.error_rate_mean,
            samples_1h.error_rate_min,
            samples_1h.error_rate_max,
            samples_1h.cpu_usage_mean,
            samples_1h.cpu_usage_min,
            samples_1h.cpu_usage_max,
            samples_1h.memory_usage_mean,
            samples_1h.memory_usage_min,
            samples_1h.memory_usage_max,
            samples_1h.sketch
           FROM samples_1h
          WHERE (samples_1h.bucket_at < ( SELECT history_edges.rolled_1h_until
                   FROM history_edges))
        UNION ALL
         SELECT tail.bucket_at,
            tail.project_id,
            tail.env,
            tail.samples,
            tail.missed,
            tail.requests_per_sec_mean,
            tail.requests_per_sec_min,
            tail.requests_per_sec_max,
            tail.latency_p95_mean,
            tail.latency_p95_min,
            tail.latency_p95_max,
            tail.error_rate_mean,
            tail.error_rate_min,
            tail.error_rate_max,
            tail.cpu_usage_mean,
            tail.cpu_usage_min,
            tail.cpu_usage_max,
            tail.memory_usage_mean,
            tail.memory_usage_min,
            tail.memory_usage_max,
            tail.sketch
           FROM (history_edges e
             CROSS JOIN LATERAL buckets('01:00:00'::interval, e.rolled_1h_until, 'infinity'::timestamp with time zone) tail(bucket_at, project_id, env, samples, missed, requests_per_sec_mean, requests_per_sec_min, requests_per_sec_max, latency_p95_mean, latency_p95_min, latency_p95_max, error_rate_mean, error_rate_min, error_rate_max, cpu_usage_mean, cpu_usage_min, cpu_usage_max, memory_usage_mean, memory_usage_min, memory_usage_max, sketch))) b
     JOIN projects p ON ((p.id = b.project_id)));

CREATE VIEW report.samples_5m AS
 SELECT b.bucket_at,
    b.project_id,
    p.name AS project,
    b.env,
    b.samples,
    b.missed,
    ((b.samples)::double precision / ((b.samples + b.missed))::double precision) AS coverage_ratio,
    b.requests_per_sec_mean,
    b.requests_per_sec_min,
    b.requests_per_sec_max,
    b.latency_p95_mean,
    b.latency_p95_min,
    b.latency_p95_max,
    b.error_rate_mean,
    b.error_rate_min,
    b.error_rate_max,
    b.cpu_usage_mean,
    b.cpu_usage_min,
    b.cpu_usage_max,
    b.memory_usage_mean,
    b.memory_usage_min,
    b.memory_usage_max,
    b.sketch
   FROM (( SELECT samples_5m.bucket_at,
            samples_5m.project_id,
            samples_5m.env,
            samples_5m.samples,
            samples_5m.missed,
            samples_5m.requests_per_sec_mean,
            samples_5m.requests_per_sec_min,
            samples_5m.requests_per_sec_max,
            samples_5m.latency_p95_mean,
            samples_5m.latency_p95_min,
            samples_5m.latency_p95_max,
            samples_5m.error_rate_mean,
            samples_5m.error_rate_min,
            samples_5m.error_rate_max,
            samples_5m.cpu_usage_mean,
            samples_5m.cpu_usage_min,
            samples_5m.cpu_usage_max,
            samples_5m.memory_usage_mean,
            samples_5m.memory_usage_min,
            samples_5m.memory_usage_max,
            samples_5m.sketch
           FROM samples_5m
          WHERE (samples_5m.bucket_at < ( SELECT history_edges.rolled_5m_until
                   FROM history_edges))
        UNION ALL
         SELECT tail.bucket_at,
            tail.project_id,
            tail.env,
            tail.samples,
            tail.missed,
            tail.requests_per_sec_mean,
            tail.requests_per_sec_min,
            tail.requests_per_sec_max,
            tail.latency_p95_mean,
            tail.latency_p95_min,
            tail.latency_p95_max,
            tail.error_rate_mean,
            tail.error_rate_min,
            tail.error_rate_max,
            tail.cpu_usage_mean,
            tail.cpu_usage_min,
            tail.cpu_usage_max,
            tail.memory_usage_mean,
            tail.memory_usage_min,
            tail.memory_usage_max,
            tail.sketch
           FROM (history_edges e
             CROSS JOIN LATERAL buckets('00:05:00'::interval, e.rolled_5m_until, 'infinity'::timestamp with time zone) tail(bucket_at, project_id, env, samples, missed, requests_per_sec_mean, requests_per_sec_min, requests_per_sec_max, latency_p95_mean, latency_p95_min, latency_p95_max, error_rate_mean, error_rate_min, error_rate_max, cpu_usage_mean, cpu_usage_min, cpu_usage_max, memory_usage_mean, memory_usage_min, memory_usage_max, sketch))) b
     JOIN projects p ON ((p.id = b.project_id)));

CREATE VIEW report.samples_fleet_1h AS
 SELECT bucket_at,
    env,
    services,
    samples,
    missed,
    ((samples)::double precision / ((samples + missed))::double precision) AS coverage_ratio,
    sketch
   FROM samples_fleet_1h;

CREATE VIEW report.scheduler_health AS
 SELECT ( SELECT count(*) AS count
           FROM scheduled_jobs
          WHERE (scheduled_jobs.status = 'pending'::text)) AS pending,
    ( SELECT count(*) AS count
           FROM scheduled_jobs
          WHERE (scheduled_jobs.status = 'running'::text)) AS running,
    ( SELECT count(*) AS count
           FROM scheduled_jobs
          WHERE ((scheduled_jobs.status = 'pending'::text) AND (scheduled_jobs.scheduled_at < now()))) AS overdue,
    (( SELECT EXTRACT(epoch FROM (now() - min(scheduled_jobs.scheduled_at))) AS "extract"
           FROM scheduled_jobs
          WHERE ((scheduled_jobs.status = 'pending'::text) AND (scheduled_jobs.scheduled_at < now()))))::double precision AS oldest_overdue_seconds,
    ( SELECT count(*) AS count
           FROM workers) AS workers,
    ( SELECT count(*) AS count
           FROM job_runs
          WHERE ((job_runs.status = 'failed'::text) AND (job_runs.finished_at > (now() - '00:15:00'::interval)))) AS failed_15m,
    ( SELECT count(*) AS count
           FROM scheduled_jobs
          WHERE ((scheduled_jobs.attempt > 3) AND (scheduled_jobs.last_error IS NOT NULL) AND (scheduled_jobs.kind <> 'notify'::text))) AS struggling;

CREATE VIEW report.service_status AS
 SELECT s.project_id,
    p.name AS project,
    s.env,
    t.health,
    last.slot_at AS last_sample_at,
    last.requests_per_sec,
    last.latency_p95,
    last.error_rate,
    last.cpu_usage,
    last.memory_usage,
    d.deployment_id,
    d.branch,
    d.state,
    d.triggered_at,
    d.verdict,
    d.conclusive
   FROM ((((( SELECT targets.project_id,
            targets.env
           FROM targets
        UNION
         SELECT deployments.project_id,
            deployments.env
           FROM deployments) s
     JOIN projects p ON ((p.id = s.project_id)))
     LEFT JOIN report.targets t ON (((t.project_id = s.project_id) AND (t.env = s.env))))
     LEFT JOIN LATERAL ( SELECT m.slot_at,
            m.collected_at,
            m.project_id,
            m.env,
            m.deployment_id,
            m.phase,
            m.sequence_index,
            m.requests_per_sec,
            m.latency_p95,
            m.error_rate,
            m.cpu_usage,
            m.memory_usage,
            m.extra
           FROM metric_samples m
          WHERE ((m.project_id = s.project_id) AND (m.env = s.env))
          ORDER BY m.slot_at DESC
         LIMIT 1) last ON (true))
     LEFT JOIN LATERAL ( SELECT o.id AS deployment_id,
            o.branch,
            o.state,
            o.triggered_at,
            v.verdict,
            v.conclusive
           FROM (deployments o
             LEFT JOIN verdicts v ON ((v.deployment_id = o.id)))
          WHERE ((o.project_id = s.project_id) AND (o.env = s.env))
          ORDER BY o.triggered_at DESC
         LIMIT 1) d ON (true));

CREATE VIEW report.services AS
 SELECT s.project_id,
    p.name AS project,
    s.env,
    p.plan,
    p.post_slots,
    t.source,
    t.health,
    t.failures,
    t.last_code,
    t.rests_until,
    t.updated_at AS target_updated_at
   FROM ((( SELECT targets.project_id,
            targets.env
           FROM targets
        UNION
         SELECT deployments.project_id,
            deployments.env
           FROM deployments) s
     JOIN projects p ON ((p.id = s.project_id)))
     LEFT JOIN report.targets t ON (((t.project_id = s.project_id) AND (t.env = s.env))));

CREATE VIEW report.shadow_verdicts AS
 SELECT s.deployment_id,
    d.project_id,
    p.name AS project,
    d.env,
    d.finished_at,
    s.policy,
    s.policy_digest,
    s.verdict,
    s.conclusive,
    s.reason_code,
    s.confidence,
    s.failed_metrics,
    v.policy AS live_policy,
    v.verdict AS live_verdict
   FROM (((shadow_verdicts s
     JOIN deployments d ON ((d.id = s.deployment_id)))
     JOIN projects p ON ((p.id = d.project_id)))
     LEFT JOIN verdicts v ON ((v.deployment_id = s.deployment_id)));

CREATE VIEW report.slots AS
 SELECT metric_samples.slot_at,
    metric_samples.project_id,
    metric_samples.env,
    true AS present,
    metric_samples.requests_per_sec,
    metric_samples.latency_p95,
    metric_samples.error_rate,
    metric_samples.cpu_usage,
    metric_samples.memory_usage
   FROM metric_samples
  WHERE (metric_samples.slot_at >= '-infinity'::timestamp with time zone)
UNION ALL
 SELECT missed_slots.slot_at,
    missed_slots.project_id,
    missed_slots.env,
    false AS present,
    NULL::double precision AS requests_per_sec,
    NULL::double precision AS latency_p95,
    NULL::double precision AS error_rate,
    NULL::double precision AS cpu_usage,
    NULL::double precision AS memory_usage
   FROM missed_slots
  WHERE (missed_slots.slot_at >= '-infinity'::timestamp with time zone);

CREATE VIEW report.targets AS
 SELECT t.project_id,
    p.name AS project,
    t.env,
    t.source,
    t.created_at,
    t.updated_at,
    t.failures,
    t.last_code,
    t.rests_until,
        CASE
            WHEN (t.rests_until > now()) THEN 'resting'::text
            WHEN (t.failures > 0) THEN 'failing'::text
            ELSE 'fine'::text
        END AS health
   FROM (targets t
     JOIN projects p ON ((p.id = t.project_id)));

CREATE VIEW report.verdict_evidence AS
 SELECT e.deployment_id,
    d.project_id,
    p.name AS project,
    d.env,
    d.finished_at,
    v.verdict,
    e.metric,
    e.baseline_source,
    e.baseline_n,
    e.post_n,
    e.expected,
    e.observed,
    e.threshold,
    e.exceedance_ratio,
    e.tolerance_ratio,
    e.failed,
    e.attribution,
    e.severe,
    e.direction,
    e.pattern,
    e.effect,
    e.effect_low,
    e.effect_high,
    e.minimum_effect,
    e.smallest_detectable_effect,
    e.test,
    e.statistic,
    e.p_value,
    e.contribution,
    e.distance_to_flip,
    e.trend_per_hour
   FROM (((evidence e
     JOIN verdicts v ON ((v.deployment_id = e.deployment_id)))
     JOIN deployments d ON ((d.id = e.deployment_id)))
     JOIN projects p ON ((p.id = d.project_id)));

CREATE VIEW report.verdict_revisions AS
 SELECT r.deployment_id,
    r.revision,
    d.project_id,
    p.name AS project,
    d.env,
    d.branch,
    d.finished_at,
    (r.superseded_at IS NULL) AS newest,
    r.verdict,
    r.conclusive,
    r.reason_code,
    r.confidence,
    r.coverage_ratio,
    r.policy,
    r.policy_digest,
    r.quality_ratio,
    r.penalties,
    r.confounders,
    r.decided_at,
    r.profile_until,
    r.as_of,
    r.created_at,
    r.superseded_at,
    r.evidence,
    r.hints,
    r.shadows
   FROM ((( SELECT v.deployment_id,
            v.revision,
            v.verdict,
            v.conclusive,
            v.reason_code,
            v.confidence,
            v.coverage_ratio,
            v.policy,
            v.policy_digest,
            v.quality_ratio,
            v.penalties,
            v.confounders,
            v.decided_at,
            v.profile_until,
            v.as_of,
            v.created_at,
            NULL::timestamp with time zone AS superseded_at,
            ( SELECT COALESCE(jsonb_agg((to_jsonb(e.*) - 'deployment_id'::text) ORDER BY e.metric), '[]'::jsonb) AS "coalesce"
                   FROM evidence e
                  WHERE (e.deployment_id = v.deployment_id)) AS evidence,
            ( SELECT COALESCE(jsonb_agg((to_jsonb(h.*) - 'deployment_id'::text) ORDER BY h."position"), '[]'::jsonb) AS "coalesce"
                   FROM hints h
                  WHERE (h.deployment_id = v.deployment_id)) AS hints,
            ( SELECT COALESCE(jsonb_agg((to_jsonb(s.*) - 'deployment_id'::text) ORDER BY s.policy), '[]'::jsonb) AS "coalesce"
                   FROM shadow_verdicts s
                  WHERE (s.deployment_id = v.deployment_id)) AS shadows
           FROM verdicts v
        UNION ALL
         SELECT f.deployment_id,
            f.revision,
            f.verdict,
            f.conclusive,
            f.reason_code,
            f.confidence,
            f.coverage_ratio,
            f.policy,
            f.policy_digest,
            f.quality_ratio,
            f.penalties,
            f.confounders,
            f.decided_at,
            f.profile_until,
            f.as_of,
            f.created_at,
            f.superseded_at,
            f.evidence,
            f.hints,
            f.shadows
           FROM former_verdicts f) r
     JOIN deployments d ON ((d.id = r.deployment_id)))
     JOIN projects p ON ((p.id = d.project_id)));

COMMENT ON TABLE api_keys IS 'Keys sp_<id>_<secret>; only a peppered digest of the secret is kept';
COMMENT ON COLUMN api_keys.revoked_at IS 'Since when it is refused; null: it is live';
COMMENT ON COLUMN api_keys.key_id IS 'Master key of the digest; null: the first one';
COMMENT ON COLUMN api_keys.scope IS 'read: look; ci: trigger, finish, push, too; admin: settings, too';
COMMENT ON COLUMN api_keys.label IS 'What it is for, chosen by who made it';
COMMENT ON COLUMN api_keys.expires_at IS 'From when on it is refused; null: never';
COMMENT ON COLUMN api_keys.last_used_at IS 'When it was last used, exact to about a minute';
COMMENT ON TABLE api_traffic IS 'What API processes served lately, a few rows a minute each';
COMMENT ON COLUMN api_traffic.told_at IS 'End of the time the row is about';
COMMENT ON COLUMN api_traffic.errors IS 'Answers with a status of 500 or more';
COMMENT ON COLUMN api_traffic.latencies IS 'Requests per class of latency, see api/traffic.py';
COMMENT ON TABLE archive_identity IS 'Tells the archive of this database from that of another';
COMMENT ON TABLE archived_chunks IS 'Chunks that were dropped after all their rows had been found in the archive';
COMMENT ON COLUMN archived_chunks.archived_at IS 'When the run began that wrote it';
COMMENT ON COLUMN archived_chunks.verified_at IS 'When the chunk was compared and dropped';
COMMENT ON TABLE channels IS 'Who is told of the verdicts of a project, and how';
COMMENT ON COLUMN channels.id IS 'Public id';
COMMENT ON COLUMN channels.project_id IS 'Whose verdicts';
COMMENT ON COLUMN channels.kind IS 'webhook (signed JSON), slack (a message), github (a deployment status)';
COMMENT ON COLUMN channels.name IS 'For people, unique in the project';
COMMENT ON COLUMN channels.shown IS 'What may be shown of where it leads: scheme and host, or owner/repository';
COMMENT ON COLUMN channels.access_encrypted IS 'The URL of a webhook or of Slack, the token for GitHub';
COMMENT ON COLUMN channels.secret_encrypted IS 'Signs what is sent to a webhook';
COMMENT ON COLUMN channels.secret_before_encrypted IS 'The secret before, which signs, too, for a while';
COMMENT ON COLUMN channels.secret_before_until IS 'End of that while';
COMMENT ON COLUMN channels.verdicts IS 'Verdicts it is told of';
COMMENT ON COLUMN channels.conclusive_only IS 'Whether it is told of conclusive verdicts only';
COMMENT ON COLUMN channels.envs IS 'Environments it is told of; none: all';
COMMENT ON COLUMN channels.enabled IS 'Whether it is told of anything';
COMMENT ON COLUMN channels.disabled_reason IS 'Why it was turned off by itself';
COMMENT ON COLUMN channels.created_at IS 'It is told of nothing that was said before';
COMMENT ON COLUMN channels.updated_at IS 'When somebody last changed it';
COMMENT ON TABLE deliveries IS 'One message to one channel: of a verdict, or a test of the channel';
COMMENT ON COLUMN deliveries.id IS 'Time-ordered; what receivers see as webhook-id, in every attempt';
COMMENT ON COLUMN deliveries.project_id IS 'That of the channel';
COMMENT ON COLUMN deliveries.channel_id IS 'Who is told';
COMMENT ON COLUMN deliveries.deployment_id IS 'Of which deployment; null: a test';
COMMENT ON COLUMN deliveries.revision IS 'Of which verdict of it';
COMMENT ON COLUMN deliveries.status IS 'pending, delivered, or failed: nobody tries any more';
COMMENT ON COLUMN deliveries.attempts IS 'How often it was tried, the attempt under way included';
COMMENT ON COLUMN deliveries.status_code IS 'HTTP status of the last answer; null: there was none';
COMMENT ON COLUMN deliveries.last_error IS 'What was wrong with the last attempt';
COMMENT ON COLUMN deliveries.created_at IS 'When the verdict was stored, or the test asked for';
COMMENT ON COLUMN deliveries.tried_at IS 'When the last attempt began';
COMMENT ON COLUMN deliveries.next_at IS 'When it is tried next';
COMMENT ON COLUMN deliveries.settled_at IS 'When it was delivered or given up';
COMMENT ON TABLE deployments IS 'One rollout of a project in one environment';
COMMENT ON COLUMN deployments.result IS 'What CI said of its own pipeline';
COMMENT ON COLUMN deployments.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN deployments.slot_seconds IS 'Distance of two post slots, frozen at finish';
COMMENT ON COLUMN deployments.extended_at IS 'When the post window was extended to twice its slots; null: it was not';
COMMENT ON COLUMN deployments.keep IS 'Held: its samples outlive their retention';
COMMENT ON TABLE evidence IS 'What each metric contributed to a verdict; values in the unit of the metric';
COMMENT ON COLUMN evidence.baseline_source IS 'baseline, pre, previous, history or none';
COMMENT ON COLUMN evidence.expected IS 'Level without the deployment, unit of the metric';
COMMENT ON COLUMN evidence.observed IS 'Level of the post window, unit of the metric';
COMMENT ON COLUMN evidence.threshold IS 'Level a slot must not cross, unit of the metric';
COMMENT ON COLUMN evidence.exceedance_ratio IS 'Share of post slots beyond the threshold, 0..1';
COMMENT ON COLUMN evidence.tolerance_ratio IS 'Share of post slots that may lie beyond it, 0..1';
COMMENT ON COLUMN evidence.failed IS 'Whether the metric contributes to an alarm';
COMMENT ON COLUMN evidence.attribution IS 'introduced, worsened, pre_existing, recovered, unknown; null: no deviation';
COMMENT ON COLUMN evidence.severe IS 'Whether the failure takes part in recommending a rollback';
COMMENT ON COLUMN evidence.direction IS 'worse or better, if the metric surely moved';
COMMENT ON COLUMN evidence.pattern IS 'step, ramp, transient or flapping, if it deviates';
COMMENT ON COLUMN evidence.effect IS 'Size of the change, positive is worse: a difference (error rate) or a share of expected';
COMMENT ON COLUMN evidence.effect_low IS 'Lower end of the 95 % interval of effect';
COMMENT ON COLUMN evidence.effect_high IS 'Upper end of the 95 % interval of effect';
COMMENT ON COLUMN evidence.minimum_effect IS 'Smallest effect that matters under the policy';
COMMENT ON COLUMN evidence.smallest_detectable_effect IS 'Effect found nine times of ten';
COMMENT ON COLUMN evidence.test IS 'Name of the test, see docs/method.md';
COMMENT ON COLUMN evidence.statistic IS 'Value of the test';
COMMENT ON COLUMN evidence.p_value IS 'Probability of such a value without a change, 0..1';
COMMENT ON COLUMN evidence.contribution IS 'Share of this metric in the alarm, 0..1';
COMMENT ON COLUMN evidence.distance_to_flip IS 'Growth of the effect until the metric fails; negative: fall until it does not';
COMMENT ON COLUMN evidence.trend_per_hour IS 'Slope in the post window, unit of the metric per hour';
COMMENT ON TABLE feedback IS 'What people say afterwards: did the deployment hurt? The last word counts';
COMMENT ON COLUMN feedback.harmful IS 'Whether the deployment did harm, whatever the verdict was';
COMMENT ON COLUMN feedback.given_by IS 'Who says so';
COMMENT ON COLUMN feedback.given_at IS 'When it was said last';
COMMENT ON COLUMN feedback.revision IS 'The verdict it was said of; null: there was none';
COMMENT ON COLUMN feedback.rolled_back_by IS 'Who or what rolled it back; null: nobody, or not said';
COMMENT ON COLUMN feedback.note IS 'In their own words';
COMMENT ON TABLE former_verdicts IS 'What was said of a deployment before it was judged again';
COMMENT ON COLUMN former_verdicts.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN former_verdicts.conclusive IS 'False when the data could not have carried a verdict';
COMMENT ON COLUMN former_verdicts.confidence IS '0..1, meaning defined by the policy';
COMMENT ON COLUMN former_verdicts.coverage_ratio IS 'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN former_verdicts.as_of IS 'The moment the judge was told it is';
COMMENT ON COLUMN former_verdicts.policy_digest IS 'Of its content: another one under the same name differs';
COMMENT ON COLUMN former_verdicts.quality_ratio IS 'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN former_verdicts.penalties IS 'What was wrong with the data, see docs/method.md';
COMMENT ON COLUMN former_verdicts.confounders IS 'Other deployments that overlap roll-out or post window';
COMMENT ON COLUMN former_verdicts.decided_at IS 'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN former_verdicts.profile_until IS 'End of the history behind the profile; null: none used';
COMMENT ON COLUMN former_verdicts.revision IS 'Which verdict of its deployment this was, from 1 on';
COMMENT ON COLUMN former_verdicts.evidence IS 'Its rows of evidence, as they were';
COMMENT ON COLUMN former_verdicts.hints IS 'Its hints, as they were, most important first';
COMMENT ON COLUMN former_verdicts.shadows IS 'What shadow policies had said beside it';
COMMENT ON COLUMN former_verdicts.superseded_at IS 'When the next revision took its place';
COMMENT ON TABLE hints IS 'Composite diagnoses (SDH hints) of a deployment, most important first';
COMMENT ON TABLE history_edges IS 'How far history is rolled up and retained; one row';
COMMENT ON COLUMN history_edges.samples_since IS 'Slots before it are not stored any more';
COMMENT ON COLUMN history_edges.chunks_since IS 'Begin of the oldest chunk of samples, when last seen';
COMMENT ON COLUMN history_edges.dropped_until IS 'Samples before it may have been dropped';
COMMENT ON COLUMN history_edges.closed_until IS 'Who writes a slot before it notes a late hour';
COMMENT ON COLUMN history_edges.rolled_5m_until IS 'End of what samples_5m holds';
COMMENT ON COLUMN history_edges.rolled_1h_until IS 'End of what samples_1h holds';
COMMENT ON COLUMN history_edges.rolled_fleet_1h_until IS 'End of what samples_fleet_1h holds';
COMMENT ON TABLE installation IS 'Facts of the installation as a whole; one row';
COMMENT ON COLUMN installation.key_digest IS 'Tells whether a process has the right master key';
COMMENT ON TABLE job_runs IS 'Jobs that are done, append-only; recurring ones leave samples instead';
COMMENT ON COLUMN job_runs.status IS 'completed or failed';
COMMENT ON TABLE kept_answers IS 'What was answered to a call with an Idempotency-Key; kept for a day';
COMMENT ON COLUMN kept_answers.project_id IS 'Who called; null: the operator';
COMMENT ON COLUMN kept_answers.route IS 'Method and template of the path';
COMMENT ON COLUMN kept_answers.key IS 'The Idempotency-Key, chosen by the caller';
COMMENT ON COLUMN kept_answers.request_digest IS 'SHA-256 of path, query and body';
COMMENT ON COLUMN kept_answers.answer_encrypted IS 'Status, headers and body; they may carry secrets';
COMMENT ON COLUMN kept_answers.kept_at IS 'When the call was answered';
COMMENT ON TABLE kept_missed IS 'Copies of the slots that were missed around held deployments';
COMMENT ON COLUMN kept_missed.held_for IS 'The deployment that is held';
COMMENT ON COLUMN kept_missed.code IS 'One of a fixed set, see docs/errors.md';
COMMENT ON TABLE kept_samples IS 'Copies of the samples that held deployments were judged by';
COMMENT ON COLUMN kept_samples.held_for IS 'The deployment that is held';
COMMENT ON COLUMN kept_samples.slot_at IS 'Planned moment of the reading';
COMMENT ON COLUMN kept_samples.collected_at IS 'When the reading was stored';
COMMENT ON COLUMN kept_samples.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN kept_samples.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN kept_samples.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN kept_samples.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN kept_samples.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN kept_samples.memory_usage IS 'Share of memory in use, 0..1';
COMMENT ON TABLE late_hours IS 'Hours that changed after they were rolled up, to be rolled up again';
COMMENT ON TABLE metric_samples IS 'What targets reported, one row per collected slot';
COMMENT ON COLUMN metric_samples.slot_at IS 'Planned moment of the reading';
COMMENT ON COLUMN metric_samples.collected_at IS 'When the reading was stored';
COMMENT ON COLUMN metric_samples.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN metric_samples.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN metric_samples.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN metric_samples.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN metric_samples.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN metric_samples.memory_usage IS 'Share of memory in use, 0..1';
COMMENT ON TABLE missed_slots IS 'Slots that were planned but could not be collected, and why';
COMMENT ON COLUMN missed_slots.code IS 'One of a fixed set, see docs/errors.md';
COMMENT ON TABLE projects IS 'A service whose deployments are verified';
COMMENT ON COLUMN projects.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN projects.hmac_secret_encrypted IS 'Signs reads of the target; null: unsigned';
COMMENT ON VIEW report.collection_health IS 'Minute by minute: how many targets could not be reached at all; filter on minute';
COMMENT ON COLUMN report.collection_health.minute IS 'Begin of the minute';
COMMENT ON COLUMN report.collection_health.targets IS 'Services that had a slot in this minute';
COMMENT ON COLUMN report.collection_health.unreachable_targets IS 'Without a sample in this minute. Many at once: look at our own side, not at theirs';
COMMENT ON COLUMN report.collection_health.collected IS 'Slots with a sample, all services together';
COMMENT ON COLUMN report.collection_health.missed IS 'Slots that were missed, all services together';
COMMENT ON VIEW report.coverage IS 'How much of each day was collected, per service; filter on day';
COMMENT ON COLUMN report.coverage.day IS 'Begin of the day, UTC';
COMMENT ON COLUMN report.coverage.project_id IS 'The project';
COMMENT ON COLUMN report.coverage.project IS 'Name of the project';
COMMENT ON COLUMN report.coverage.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.coverage.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.coverage.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.coverage.coverage_ratio IS 'Share of the planned slots with a sample, 0..1';
COMMENT ON VIEW report.deliveries IS 'What became of every notification, as long as jobs that are done are kept';
COMMENT ON COLUMN report.deliveries.delivery_id IS 'Id of the notification';
COMMENT ON COLUMN report.deliveries.project_id IS 'The project';
COMMENT ON COLUMN report.deliveries.project IS 'Name of the project';
COMMENT ON COLUMN report.deliveries.channel_id IS 'Id of the channel';
COMMENT ON COLUMN report.deliveries.channel IS 'Name of the channel';
COMMENT ON COLUMN report.deliveries.kind IS 'Of the channel: webhook, slack or github';
COMMENT ON COLUMN report.deliveries.deployment_id IS 'Of which deployment; null: a test of the channel';
COMMENT ON COLUMN report.deliveries.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.deliveries.revision IS 'Of the verdict it tells of';
COMMENT ON COLUMN report.deliveries.status IS 'pending, delivered, or failed: nobody tries any more';
COMMENT ON COLUMN report.deliveries.attempts IS 'How often it was tried';
COMMENT ON COLUMN report.deliveries.status_code IS 'HTTP status of the last answer; null: none came';
COMMENT ON COLUMN report.deliveries.last_error IS 'What went wrong last, without secrets; null: nothing';
COMMENT ON COLUMN report.deliveries.created_at IS 'When there was something to tell';
COMMENT ON COLUMN report.deliveries.tried_at IS 'When it was last tried; null: not yet';
COMMENT ON COLUMN report.deliveries.next_at IS 'When it is tried again; null: it is settled';
COMMENT ON COLUMN report.deliveries.settled_at IS 'When it was delivered or given up; null: not yet';
COMMENT ON VIEW report.deployment_labels IS 'Whether a deployment did harm, where that is known: from feedback, else from a rollback';
COMMENT ON COLUMN report.deployment_labels.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.deployment_labels.harmful IS 'Whether the deployment did harm, whatever the verdict was';
COMMENT ON COLUMN report.deployment_labels.source IS 'Where the label is from: feedback or rollback';
COMMENT ON VIEW report.deployment_overview IS 'One row per deployment with its verdict, if any';
COMMENT ON COLUMN report.deployment_overview.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.deployment_overview.project_id IS 'The project';
COMMENT ON COLUMN report.deployment_overview.project IS 'Name of the project';
COMMENT ON COLUMN report.deployment_overview.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.deployment_overview.branch IS 'Branch, tag or version, as the pipeline named it';
COMMENT ON COLUMN report.deployment_overview.state IS 'pending, running, finished (watched) or analyzed (has a verdict)';
COMMENT ON COLUMN report.deployment_overview.result IS 'What the pipeline said of itself: success or failed; null: not finished yet';
COMMENT ON COLUMN report.deployment_overview.triggered_at IS 'When the roll-out began';
COMMENT ON COLUMN report.deployment_overview.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.deployment_overview.analyzed_at IS 'When its verdict was stored; null: there is none yet';
COMMENT ON COLUMN report.deployment_overview.post_slots IS 'Length of the post window, in slots; null: not finished yet';
COMMENT ON COLUMN report.deployment_overview.verdict IS 'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.deployment_overview.conclusive IS 'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON COLUMN report.deployment_overview.reason_code IS 'Why the verdict is what it is: docs/method.md';
COMMENT ON COLUMN report.deployment_overview.confidence IS 'How sure the judge is, 0..1; its meaning is that of the policy';
COMMENT ON COLUMN report.deployment_overview.coverage_ratio IS 'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN report.deployment_overview.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.deployment_overview.failed_metrics IS 'Metrics that contribute to an alarm; null or empty: none';
COMMENT ON COLUMN report.deployment_overview.hint_count IS 'How many hints it has';
COMMENT ON COLUMN report.deployment_overview.policy_digest IS 'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.deployment_overview.quality_ratio IS 'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN report.deployment_overview.penalties IS 'What was wrong with the data: docs/method.md';
COMMENT ON COLUMN report.deployment_overview.confounders IS 'Ids of other deployments that overlap roll-out or post window';
COMMENT ON COLUMN report.deployment_overview.decided_at IS 'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN report.deployment_overview.profile_until IS 'End of the history behind the profile that was used; null: none was';
COMMENT ON COLUMN report.deployment_overview.as_of IS 'The moment the judge was told it is; nothing later counted';
COMMENT ON COLUMN report.deployment_overview.extended_at IS 'When the post window was extended to twice its slots; null: it was not';
COMMENT ON COLUMN report.deployment_overview.revision IS 'Which verdict of the deployment this is, from 1 on; it always is the newest';
COMMENT ON VIEW report.deployment_samples IS 'Every collected slot; filter on slot_at';
COMMENT ON COLUMN report.deployment_samples.slot_at IS 'Planned moment of the reading';
COMMENT ON COLUMN report.deployment_samples.collected_at IS 'When the reading was stored';
COMMENT ON COLUMN report.deployment_samples.project_id IS 'The project';
COMMENT ON COLUMN report.deployment_samples.project IS 'Name of the project';
COMMENT ON COLUMN report.deployment_samples.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.deployment_samples.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.deployment_samples.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN report.deployment_samples.sequence_index IS 'Place of the slot in the post window, 0 is the first; null: not a post slot';
COMMENT ON COLUMN report.deployment_samples.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN report.deployment_samples.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN report.deployment_samples.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN report.deployment_samples.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN report.deployment_samples.memory_usage IS 'Share of memory in use, 0..1';
COMMENT ON VIEW report.detected_rollbacks IS 'Deployments whose predecessor''s branch was deployed again within two hours of their finish';
COMMENT ON COLUMN report.detected_rollbacks.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.detected_rollbacks.project_id IS 'The project';
COMMENT ON COLUMN report.detected_rollbacks.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.detected_rollbacks.branch IS 'Branch, tag or version, as the pipeline named it';
COMMENT ON COLUMN report.detected_rollbacks.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.detected_rollbacks.rollback_id IS 'The deployment that rolled it back';
COMMENT ON COLUMN report.detected_rollbacks.back_to IS 'Branch of the deployment before, which came again';
COMMENT ON COLUMN report.detected_rollbacks.rolled_back_at IS 'When the rollback was triggered';
COMMENT ON VIEW report.dora IS 'Delivery by week and service: how often, how often harmful, how long until rolled back';
COMMENT ON COLUMN report.dora.week IS 'Its Monday';
COMMENT ON COLUMN report.dora.project_id IS 'The project';
COMMENT ON COLUMN report.dora.project IS 'Name of the project';
COMMENT ON COLUMN report.dora.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.dora.deployments IS 'Finished deployments';
COMMENT ON COLUMN report.dora.failed_pipelines IS 'Deployments whose own pipeline said failed';
COMMENT ON COLUMN report.dora.harmful IS 'Labelled harmful by feedback, else by a rollback';
COMMENT ON COLUMN report.dora.change_failure_ratio IS 'harmful / deployments, 0..1; what nobody labelled counts as harmless';
COMMENT ON COLUMN report.dora.median_restore_seconds IS 'From the finish of a deployment that was rolled back to the trigger of the rollback';
COMMENT ON COLUMN report.dora.median_rollout_seconds IS 'From trigger to finish. Lead time needs commits, which are not known here';
COMMENT ON VIEW report.feedback IS 'What people say of deployments afterwards; the last word counts';
COMMENT ON COLUMN report.feedback.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.feedback.project_id IS 'The project';
COMMENT ON COLUMN report.feedback.project IS 'Name of the project';
COMMENT ON COLUMN report.feedback.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.feedback.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.feedback.harmful IS 'Whether the deployment did harm, whatever the verdict was';
COMMENT ON COLUMN report.feedback.rolled_back_by IS 'Who or what rolled it back; null: nobody, or not said';
COMMENT ON COLUMN report.feedback.note IS 'In their own words; null: none';
COMMENT ON COLUMN report.feedback.given_by IS 'Who says so';
COMMENT ON COLUMN report.feedback.given_at IS 'When it was said last';
COMMENT ON COLUMN report.feedback.revision IS 'Revision of the verdict it is about; null: there was none';
COMMENT ON VIEW report.hints IS 'Composite diagnoses (SDH hints) with the actions to take';
COMMENT ON COLUMN report.hints.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.hints.project_id IS 'The project';
COMMENT ON COLUMN report.hints.project IS 'Name of the project';
COMMENT ON COLUMN report.hints.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.hints.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.hints.severity IS 'info, warning or critical';
COMMENT ON COLUMN report.hints.rule IS 'Id of the rule that found it: docs/hints.md';
COMMENT ON COLUMN report.hints."position" IS 'Importance among the hints of its deployment, 0 is first';
COMMENT ON COLUMN report.hints.title IS 'The diagnosis in a few words';
COMMENT ON COLUMN report.hints.diagnosis IS 'What seems to have happened, in words with numbers';
COMMENT ON COLUMN report.hints.actions IS 'What to do, most useful first';
COMMENT ON COLUMN report.hints.metrics IS 'Metrics it was derived from';
COMMENT ON VIEW report.jobs IS 'Every job, live or done; filter on finished_at for history';
COMMENT ON COLUMN report.jobs.id IS 'Number of the job';
COMMENT ON COLUMN report.jobs.kind IS 'What is to be done: collect, judge, notify and others';
COMMENT ON COLUMN report.jobs.priority IS '0 post slots, 1 judge, 2 notify, 3 baseline, 4 upkeep';
COMMENT ON COLUMN report.jobs.status IS 'pending or running (live), completed or failed (done)';
COMMENT ON COLUMN report.jobs.project_id IS 'The project';
COMMENT ON COLUMN report.jobs.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.jobs.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.jobs.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN report.jobs.sequence_index IS 'Place of the slot in the post window, 0 is the first; null: not a post slot';
COMMENT ON COLUMN report.jobs.slot_at IS 'First planned moment; retries move scheduled_at only';
COMMENT ON COLUMN report.jobs.scheduled_at IS 'When it is or was due; retries move it';
COMMENT ON COLUMN report.jobs.claimed_at IS 'When a worker began with it; null: not yet';
COMMENT ON COLUMN report.jobs.finished_at IS 'When it was done; null: it is live';
COMMENT ON COLUMN report.jobs.attempt IS 'How often it was begun';
COMMENT ON COLUMN report.jobs.owner IS 'Key of the worker that holds or held it';
COMMENT ON COLUMN report.jobs.last_error IS 'What went wrong last, without secrets; null: nothing';
COMMENT ON VIEW report.missed_slots IS 'Every slot that could not be collected, and why';
COMMENT ON COLUMN report.missed_slots.slot_at IS 'Planned moment of the reading that was missed';
COMMENT ON COLUMN report.missed_slots.project_id IS 'The project';
COMMENT ON COLUMN report.missed_slots.project IS 'Name of the project';
COMMENT ON COLUMN report.missed_slots.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.missed_slots.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.missed_slots.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN report.missed_slots.sequence_index IS 'Place of the slot in the post window, 0 is the first; null: not a post slot';
COMMENT ON COLUMN report.missed_slots.code IS 'Why it was missed, one of a fixed set: docs/errors.md';
COMMENT ON COLUMN report.missed_slots.detail IS 'Why it was missed, in words, without secrets';
COMMENT ON VIEW report.policy_accuracy IS 'How right each policy was where the truth is known: from feedback, else from a rollback';
COMMENT ON COLUMN report.policy_accuracy.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.policy_accuracy.policy_digest IS 'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.policy_accuracy.live IS 'Whether its verdicts counted; false: it is a shadow';
COMMENT ON COLUMN report.policy_accuracy.project IS 'Null: all projects together';
COMMENT ON COLUMN report.policy_accuracy.labelled IS 'Deployments with a verdict of this policy of which the truth is known';
COMMENT ON COLUMN report.policy_accuracy.from_feedback IS 'Of the labelled ones: those from feedback, not from a rollback';
COMMENT ON COLUMN report.policy_accuracy.harmful IS 'Of the labelled ones: those that did harm';
COMMENT ON COLUMN report.policy_accuracy.alarms IS 'Conclusive verdicts other than ok';
COMMENT ON COLUMN report.policy_accuracy.true_alarms IS 'Alarms on harmful deployments';
COMMENT ON COLUMN report.policy_accuracy.inconclusive IS 'Labelled deployments with an inconclusive verdict, which is no alarm';
COMMENT ON COLUMN report.policy_accuracy.precision_ratio IS 'Share of alarms that were harmful, 0..1; unlabelled alarms are in no count';
COMMENT ON COLUMN report.policy_accuracy.recall_ratio IS 'Share of harmful ones with an alarm, 0..1';
COMMENT ON VIEW report.projects IS 'Every project and its limits';
COMMENT ON COLUMN report.projects.project_id IS 'Id of the project';
COMMENT ON COLUMN report.projects.project IS 'Name of the project';
COMMENT ON COLUMN report.projects.plan IS 'free or pro';
COMMENT ON COLUMN report.projects.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN report.projects.created_at IS 'When it was made';
COMMENT ON VIEW report.samples_1h IS 'An hour of a service per row; filter on bucket_at';
COMMENT ON COLUMN report.samples_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN report.samples_1h.project_id IS 'The project';
COMMENT ON COLUMN report.samples_1h.project IS 'Name of the project';
COMMENT ON COLUMN report.samples_1h.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.samples_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.samples_1h.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.samples_1h.coverage_ratio IS 'Share of the slots with a sample, 0..1';
COMMENT ON COLUMN report.samples_1h.requests_per_sec_mean IS 'Requests per second: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.requests_per_sec_min IS 'Requests per second: least of the samples';
COMMENT ON COLUMN report.samples_1h.requests_per_sec_max IS 'Requests per second: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.latency_p95_mean IS '95th percentile of latency, milliseconds: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.latency_p95_min IS '95th percentile of latency, milliseconds: least of the samples';
COMMENT ON COLUMN report.samples_1h.latency_p95_max IS '95th percentile of latency, milliseconds: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.error_rate_mean IS 'Share of failed requests, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.error_rate_min IS 'Share of failed requests, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_1h.error_rate_max IS 'Share of failed requests, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.cpu_usage_mean IS 'Share of CPU in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.cpu_usage_min IS 'Share of CPU in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_1h.cpu_usage_max IS 'Share of CPU in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.memory_usage_mean IS 'Share of memory in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_1h.memory_usage_min IS 'Share of memory in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_1h.memory_usage_max IS 'Share of memory in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_1h.sketch IS 'Distribution of every metric, for report.quantile_of and report.merge_sketches';
COMMENT ON VIEW report.samples_5m IS 'Five minutes of a service per row; filter on bucket_at';
COMMENT ON COLUMN report.samples_5m.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN report.samples_5m.project_id IS 'The project';
COMMENT ON COLUMN report.samples_5m.project IS 'Name of the project';
COMMENT ON COLUMN report.samples_5m.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.samples_5m.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.samples_5m.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.samples_5m.coverage_ratio IS 'Share of the slots with a sample, 0..1';
COMMENT ON COLUMN report.samples_5m.requests_per_sec_mean IS 'Requests per second: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.requests_per_sec_min IS 'Requests per second: least of the samples';
COMMENT ON COLUMN report.samples_5m.requests_per_sec_max IS 'Requests per second: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.latency_p95_mean IS '95th percentile of latency, milliseconds: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.latency_p95_min IS '95th percentile of latency, milliseconds: least of the samples';
COMMENT ON COLUMN report.samples_5m.latency_p95_max IS '95th percentile of latency, milliseconds: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.error_rate_mean IS 'Share of failed requests, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.error_rate_min IS 'Share of failed requests, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_5m.error_rate_max IS 'Share of failed requests, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.cpu_usage_mean IS 'Share of CPU in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.cpu_usage_min IS 'Share of CPU in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_5m.cpu_usage_max IS 'Share of CPU in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.memory_usage_mean IS 'Share of memory in use, 0..1: mean of the samples; null: no value';
COMMENT ON COLUMN report.samples_5m.memory_usage_min IS 'Share of memory in use, 0..1: least of the samples';
COMMENT ON COLUMN report.samples_5m.memory_usage_max IS 'Share of memory in use, 0..1: greatest of the samples';
COMMENT ON COLUMN report.samples_5m.sketch IS 'Distribution of every metric, for report.quantile_of and report.merge_sketches';
COMMENT ON VIEW report.samples_fleet_1h IS 'An hour of all services of an environment per row, once it is rolled up; filter on bucket_at';
COMMENT ON COLUMN report.samples_fleet_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN report.samples_fleet_1h.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.samples_fleet_1h.services IS 'Services with a sample or a missed slot';
COMMENT ON COLUMN report.samples_fleet_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN report.samples_fleet_1h.missed IS 'Slots that were planned but have no sample';
COMMENT ON COLUMN report.samples_fleet_1h.coverage_ratio IS 'Share of the slots with a sample, 0..1';
COMMENT ON COLUMN report.samples_fleet_1h.sketch IS 'Distribution of every metric, for report.quantile_of and report.merge_sketches';
COMMENT ON VIEW report.scheduler_health IS 'One row: how the scheduler feels right now';
COMMENT ON COLUMN report.scheduler_health.pending IS 'Jobs that wait for their time or for a worker';
COMMENT ON COLUMN report.scheduler_health.running IS 'Jobs a worker is at';
COMMENT ON COLUMN report.scheduler_health.overdue IS 'Pending jobs whose time has come';
COMMENT ON COLUMN report.scheduler_health.oldest_overdue_seconds IS 'How late the latest overdue job is, seconds; null: none is';
COMMENT ON COLUMN report.scheduler_health.workers IS 'Worker processes that are registered';
COMMENT ON COLUMN report.scheduler_health.failed_15m IS 'Jobs that failed for good in the last 15 minutes';
COMMENT ON COLUMN report.scheduler_health.struggling IS 'Live jobs that failed at least three times: one that is never given up wants a look';
COMMENT ON VIEW report.service_status IS 'One row per service: its last sample and its last deployment';
COMMENT ON COLUMN report.service_status.project_id IS 'The project';
COMMENT ON COLUMN report.service_status.project IS 'Name of the project';
COMMENT ON COLUMN report.service_status.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.service_status.health IS 'Of its target; null: it pushes its samples';
COMMENT ON COLUMN report.service_status.last_sample_at IS 'slot_at of its latest sample; null: it has none';
COMMENT ON COLUMN report.service_status.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN report.service_status.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN report.service_status.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN report.service_status.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN report.service_status.memory_usage IS 'Share of memory in use, 0..1';
COMMENT ON COLUMN report.service_status.deployment_id IS 'Its latest deployment; null: it had none';
COMMENT ON COLUMN report.service_status.branch IS 'Of its latest deployment';
COMMENT ON COLUMN report.service_status.state IS 'Of its latest deployment: pending, running, finished or analyzed';
COMMENT ON COLUMN report.service_status.triggered_at IS 'When its latest deployment began';
COMMENT ON COLUMN report.service_status.verdict IS 'On its latest deployment: ok, warning or rollback_recommended; null: none yet';
COMMENT ON COLUMN report.service_status.conclusive IS 'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON VIEW report.services IS 'One row per service: its limits and its target';
COMMENT ON COLUMN report.services.project_id IS 'Id of the project';
COMMENT ON COLUMN report.services.project IS 'Name of the project';
COMMENT ON COLUMN report.services.env IS 'Environment of the service';
COMMENT ON COLUMN report.services.plan IS 'free or pro';
COMMENT ON COLUMN report.services.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN report.services.source IS 'How its target is read; null: it pushes its samples';
COMMENT ON COLUMN report.services.health IS 'fine, failing or resting; null: it pushes its samples';
COMMENT ON COLUMN report.services.failures IS 'Reads of the target that failed in a row';
COMMENT ON COLUMN report.services.last_code IS 'Why the last read failed, see docs/errors.md';
COMMENT ON COLUMN report.services.rests_until IS 'Until when its baseline pauses; null: it does not';
COMMENT ON COLUMN report.services.target_updated_at IS 'When its target was last changed';
COMMENT ON VIEW report.shadow_verdicts IS 'What shadow policies said, beside the live verdict';
COMMENT ON COLUMN report.shadow_verdicts.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.shadow_verdicts.project_id IS 'The project';
COMMENT ON COLUMN report.shadow_verdicts.project IS 'Name of the project';
COMMENT ON COLUMN report.shadow_verdicts.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.shadow_verdicts.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.shadow_verdicts.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.shadow_verdicts.policy_digest IS 'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.shadow_verdicts.verdict IS 'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.shadow_verdicts.conclusive IS 'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON COLUMN report.shadow_verdicts.reason_code IS 'Why the verdict is what it is: docs/method.md';
COMMENT ON COLUMN report.shadow_verdicts.confidence IS 'How sure the judge is, 0..1; its meaning is that of the policy';
COMMENT ON COLUMN report.shadow_verdicts.failed_metrics IS 'Metrics that contribute to an alarm; null or empty: none';
COMMENT ON COLUMN report.shadow_verdicts.live_policy IS 'Policy of the verdict that counts; null: there is none';
COMMENT ON COLUMN report.shadow_verdicts.live_verdict IS 'The verdict that counts: ok, warning or rollback_recommended; null: there is none';
COMMENT ON VIEW report.slots IS 'Every slot there was, collected or missed; filter on slot_at';
COMMENT ON COLUMN report.slots.slot_at IS 'Planned moment of the reading, collected or missed';
COMMENT ON COLUMN report.slots.project_id IS 'The project';
COMMENT ON COLUMN report.slots.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.slots.present IS 'Whether it has a sample';
COMMENT ON COLUMN report.slots.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN report.slots.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN report.slots.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN report.slots.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN report.slots.memory_usage IS 'Share of memory in use, 0..1';
COMMENT ON VIEW report.targets IS 'Every target and how its last slots went';
COMMENT ON COLUMN report.targets.project_id IS 'The project';
COMMENT ON COLUMN report.targets.project IS 'Name of the project';
COMMENT ON COLUMN report.targets.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.targets.source IS 'How it is asked: seqpulse (its SDK) or prometheus';
COMMENT ON COLUMN report.targets.created_at IS 'When it was first configured';
COMMENT ON COLUMN report.targets.updated_at IS 'When it was last configured';
COMMENT ON COLUMN report.targets.failures IS 'Slots missed in a row, of any phase';
COMMENT ON COLUMN report.targets.last_code IS 'Why the last missed slot was missed: docs/errors.md; null: none was';
COMMENT ON COLUMN report.targets.rests_until IS 'The continuous baseline is not read before this moment; null: it is read';
COMMENT ON COLUMN report.targets.health IS 'resting: failed for so long that its baseline pauses';
COMMENT ON VIEW report.verdict_evidence IS 'Five rows per verdict: what each metric contributed';
COMMENT ON COLUMN report.verdict_evidence.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.verdict_evidence.project_id IS 'The project';
COMMENT ON COLUMN report.verdict_evidence.project IS 'Name of the project';
COMMENT ON COLUMN report.verdict_evidence.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.verdict_evidence.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.verdict_evidence.verdict IS 'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.verdict_evidence.metric IS 'requests_per_sec, latency_p95, error_rate, cpu_usage or memory_usage';
COMMENT ON COLUMN report.verdict_evidence.baseline_source IS 'Where the baseline is from: baseline, pre, previous, history or none';
COMMENT ON COLUMN report.verdict_evidence.baseline_n IS 'Slots of the baseline that counted';
COMMENT ON COLUMN report.verdict_evidence.post_n IS 'Post slots that counted';
COMMENT ON COLUMN report.verdict_evidence.expected IS 'Level without the deployment, unit of the metric';
COMMENT ON COLUMN report.verdict_evidence.observed IS 'Level of the post window, unit of the metric';
COMMENT ON COLUMN report.verdict_evidence.threshold IS 'Level a slot must not cross, unit of the metric';
COMMENT ON COLUMN report.verdict_evidence.exceedance_ratio IS 'Share of post slots beyond the threshold, 0..1';
COMMENT ON COLUMN report.verdict_evidence.tolerance_ratio IS 'Share of post slots that may lie beyond the threshold, 0..1';
COMMENT ON COLUMN report.verdict_evidence.failed IS 'Whether the metric contributes to an alarm';
COMMENT ON COLUMN report.verdict_evidence.attribution IS 'introduced, worsened, pre_existing, recovered or unknown; null: no deviation';
COMMENT ON COLUMN report.verdict_evidence.severe IS 'Whether the failure takes part in recommending a rollback';
COMMENT ON COLUMN report.verdict_evidence.direction IS 'worse or better, if the metric surely moved; else null';
COMMENT ON COLUMN report.verdict_evidence.pattern IS 'step, ramp, transient or flapping, if it deviates; else null';
COMMENT ON COLUMN report.verdict_evidence.effect IS 'Size of the change, positive is worse: a difference (error_rate) or a share of expected (others)';
COMMENT ON COLUMN report.verdict_evidence.effect_low IS 'Lower end of the 95 % interval of effect, the same unit';
COMMENT ON COLUMN report.verdict_evidence.effect_high IS 'Upper end of the 95 % interval of effect, the same unit';
COMMENT ON COLUMN report.verdict_evidence.minimum_effect IS 'Smallest effect that matters under the policy, unit of effect';
COMMENT ON COLUMN report.verdict_evidence.smallest_detectable_effect IS 'Effect that would be found nine times of ten, unit of effect';
COMMENT ON COLUMN report.verdict_evidence.test IS 'Name of the test: docs/method.md';
COMMENT ON COLUMN report.verdict_evidence.statistic IS 'Value of the test';
COMMENT ON COLUMN report.verdict_evidence.p_value IS 'Probability of such a value without a change, 0..1';
COMMENT ON COLUMN report.verdict_evidence.contribution IS 'Share of this metric in the alarm, 0..1';
COMMENT ON COLUMN report.verdict_evidence.distance_to_flip IS 'Growth of the effect until the metric fails; negative: fall until it does not';
COMMENT ON COLUMN report.verdict_evidence.trend_per_hour IS 'Slope in the post window, unit of the metric per hour';
COMMENT ON VIEW report.verdict_revisions IS 'Everything that was ever said of deployments, one row per revision; the newest counts';
COMMENT ON COLUMN report.verdict_revisions.deployment_id IS 'The deployment; key to the other views. Null: it belongs to none';
COMMENT ON COLUMN report.verdict_revisions.revision IS 'From 1 on, by deployment';
COMMENT ON COLUMN report.verdict_revisions.project_id IS 'The project';
COMMENT ON COLUMN report.verdict_revisions.project IS 'Name of the project';
COMMENT ON COLUMN report.verdict_revisions.env IS 'Environment, prod for example; project and env together are a service';
COMMENT ON COLUMN report.verdict_revisions.branch IS 'Branch, tag or version, as the pipeline named it';
COMMENT ON COLUMN report.verdict_revisions.finished_at IS 'When the roll-out was over';
COMMENT ON COLUMN report.verdict_revisions.newest IS 'Whether it is the one that counts';
COMMENT ON COLUMN report.verdict_revisions.verdict IS 'ok, warning or rollback_recommended; null: no verdict yet';
COMMENT ON COLUMN report.verdict_revisions.conclusive IS 'Whether the data could carry the verdict; false with warning means: nobody knows. Null: no verdict';
COMMENT ON COLUMN report.verdict_revisions.reason_code IS 'Why the verdict is what it is: docs/method.md';
COMMENT ON COLUMN report.verdict_revisions.confidence IS 'How sure the judge is, 0..1; its meaning is that of the policy';
COMMENT ON COLUMN report.verdict_revisions.coverage_ratio IS 'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN report.verdict_revisions.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN report.verdict_revisions.policy_digest IS 'Of the content of the policy: another one under the same name differs';
COMMENT ON COLUMN report.verdict_revisions.quality_ratio IS 'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN report.verdict_revisions.penalties IS 'What was wrong with the data: docs/method.md';
COMMENT ON COLUMN report.verdict_revisions.confounders IS 'Ids of other deployments that overlap roll-out or post window';
COMMENT ON COLUMN report.verdict_revisions.decided_at IS 'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN report.verdict_revisions.profile_until IS 'End of the history behind the profile that was used; null: none was';
COMMENT ON COLUMN report.verdict_revisions.as_of IS 'The moment the judge was told it is; nothing later counted';
COMMENT ON COLUMN report.verdict_revisions.created_at IS 'When it was stored';
COMMENT ON COLUMN report.verdict_revisions.superseded_at IS 'When the next revision took its place; null: it is the newest';
COMMENT ON COLUMN report.verdict_revisions.evidence IS 'What each metric contributed; columns as in report.verdict_evidence';
COMMENT ON COLUMN report.verdict_revisions.hints IS 'Columns as in report.hints';
COMMENT ON COLUMN report.verdict_revisions.shadows IS 'What shadow policies said beside it';
COMMENT ON TABLE restored_days IS 'Days (UTC) that were brought back from the archive for a while';
COMMENT ON TABLE samples_1h IS 'Samples of an hour each, rolled up';
COMMENT ON COLUMN samples_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN samples_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN samples_1h.missed IS 'Slots that were missed';
COMMENT ON COLUMN samples_1h.sketch IS 'Distribution of every metric, for report.quantile_of';
COMMENT ON TABLE samples_5m IS 'Samples of five minutes each, rolled up';
COMMENT ON COLUMN samples_5m.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN samples_5m.samples IS 'Slots with a sample';
COMMENT ON COLUMN samples_5m.missed IS 'Slots that were missed';
COMMENT ON COLUMN samples_5m.sketch IS 'Distribution of every metric, for report.quantile_of';
COMMENT ON TABLE samples_fleet_1h IS 'Samples of all services of an environment, an hour each';
COMMENT ON COLUMN samples_fleet_1h.bucket_at IS 'Begin of the bucket';
COMMENT ON COLUMN samples_fleet_1h.services IS 'Services with a sample or a missed slot';
COMMENT ON COLUMN samples_fleet_1h.samples IS 'Slots with a sample';
COMMENT ON COLUMN samples_fleet_1h.missed IS 'Slots that were missed';
COMMENT ON COLUMN samples_fleet_1h.sketch IS 'Distribution of every metric, for report.quantile_of';
COMMENT ON TABLE scheduled_jobs IS 'Everything that has to be done, one row each';
COMMENT ON COLUMN scheduled_jobs.priority IS '0 post slots, 1 judge, 2 notify, 3 baseline, 4 upkeep';
COMMENT ON COLUMN scheduled_jobs.slot_at IS 'First planned moment; retries move scheduled_at only';
COMMENT ON COLUMN scheduled_jobs.repeat IS 'Distance to the next occurrence of a recurring job';
COMMENT ON COLUMN scheduled_jobs.awaiting IS 'Post slots that must settle before a judge job is due';
COMMENT ON COLUMN scheduled_jobs.dedupe_key IS 'At most one live job carries it';
COMMENT ON COLUMN scheduled_jobs.attempt IS 'Claims so far: the fencing token of the running claim';
COMMENT ON COLUMN scheduled_jobs.owner IS 'Key of the worker whose advisory lock proves it alive';
COMMENT ON TABLE service_profiles IS 'How much a service moves by itself, from its own history';
COMMENT ON COLUMN service_profiles.until IS 'End of the history it was made of';
COMMENT ON COLUMN service_profiles.built_at IS 'Deployments decided before this do not know it';
COMMENT ON COLUMN service_profiles.packed IS 'Numbers of analytics.profile, packed';
COMMENT ON TABLE shadow_verdicts IS 'What other policies would have said, at the same moment';
COMMENT ON COLUMN shadow_verdicts.failed_metrics IS 'Metrics that contribute to an alarm';
COMMENT ON COLUMN shadow_verdicts.as_of IS 'The moment the judge was told it is';
COMMENT ON TABLE targets IS 'Where a project is read in one environment, and how it fares';
COMMENT ON COLUMN targets.endpoint IS 'Of an SDK, or the base URL of a Prometheus; may hold secrets';
COMMENT ON COLUMN targets.source IS 'How it is asked';
COMMENT ON COLUMN targets.queries IS 'One PromQL expression per metric, for a Prometheus';
COMMENT ON COLUMN targets.header_encrypted IS 'A header that proves who we are: name: value';
COMMENT ON COLUMN targets.failures IS 'Slots missed in a row, of any phase';
COMMENT ON COLUMN targets.last_code IS 'Why the last of them was missed';
COMMENT ON COLUMN targets.rests_until IS 'The continuous baseline is not read before this moment';
COMMENT ON TABLE team_projects IS 'Which projects the role seqpulse_team_<team> sees in schema team';
COMMENT ON TABLE turns IS 'When each target was last read by any worker, latest first';
COMMENT ON TABLE used_nonces IS 'Signed reads of /ds-metrics; each nonce counts once';
COMMENT ON VIEW verdict_revisions IS 'Everything that was ever said, to find what was known when';
COMMENT ON TABLE verdicts IS 'What the judge says of a deployment: its newest revision (see former_verdicts)';
COMMENT ON COLUMN verdicts.policy IS 'Name of the policy that judged';
COMMENT ON COLUMN verdicts.conclusive IS 'False when the data could not have carried a verdict';
COMMENT ON COLUMN verdicts.confidence IS '0..1, meaning defined by the policy';
COMMENT ON COLUMN verdicts.coverage_ratio IS 'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN verdicts.as_of IS 'The moment the judge was told it is';
COMMENT ON COLUMN verdicts.policy_digest IS 'Of its content: another one under the same name differs';
COMMENT ON COLUMN verdicts.quality_ratio IS 'How sound the data was, 0..1; what the penalties leave';
COMMENT ON COLUMN verdicts.penalties IS 'What was wrong with the data, see docs/method.md';
COMMENT ON COLUMN verdicts.confounders IS 'Other deployments that overlap roll-out or post window';
COMMENT ON COLUMN verdicts.decided_at IS 'sequence_index of the slot from which the verdict was final; null: the last one or unknown';
COMMENT ON COLUMN verdicts.profile_until IS 'End of the history behind the profile; null: none used';
COMMENT ON COLUMN verdicts.revision IS 'From 1 on; one more each time it is judged again';
COMMENT ON TABLE workers IS 'Worker processes; one without its advisory lock is dead';
COMMENT ON COLUMN workers.pid IS 'Process id on its host';
