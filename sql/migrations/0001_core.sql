-- Schema v1: projects and their targets, deployments, samples, jobs, verdicts.
-- Comments on tables and columns are the source of docs/sql.md: keep units and meaning in them.

CREATE TABLE installation (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key_digest bytea NOT NULL
);
COMMENT ON TABLE installation IS 'Facts of the installation as a whole; one row';
COMMENT ON COLUMN installation.key_digest IS 'Tells whether a process has the right master key';

CREATE TABLE projects (
    id                    uuid PRIMARY KEY,
    name                  text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    plan                  text NOT NULL CHECK (plan IN ('free', 'pro')),
    post_slots            smallint NOT NULL CHECK (post_slots IN (5, 15)),
    hmac_secret_encrypted text,
    created_at            timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE projects IS 'A service whose deployments are verified';
COMMENT ON COLUMN projects.post_slots IS 'Length of the post window, in slots';
COMMENT ON COLUMN projects.hmac_secret_encrypted IS 'Signs reads of the target; null: unsigned';

CREATE TABLE api_keys (
    id         text PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    digest     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
COMMENT ON TABLE api_keys IS 'Keys sp_<id>_<secret>; only a peppered digest of the secret is kept';
CREATE INDEX api_keys_project ON api_keys (project_id);

CREATE TABLE targets (
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    env        text NOT NULL CHECK (length(env) BETWEEN 1 AND 64),
    endpoint   text NOT NULL CHECK (length(endpoint) <= 2048),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, env)
);
COMMENT ON TABLE targets IS 'The metrics endpoint of a project in one environment';

CREATE TABLE deployments (
    id              uuid PRIMARY KEY,
    project_id      uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    env             text NOT NULL CHECK (length(env) BETWEEN 1 AND 64),
    branch          text NOT NULL CHECK (length(branch) <= 255),
    idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    state           text NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'running', 'finished', 'analyzed')),
    result          text CHECK (result IN ('success', 'failed')),
    triggered_at    timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    analyzed_at     timestamptz,
    post_slots      smallint,
    slot_seconds    double precision,
    CHECK ((state IN ('finished', 'analyzed')) = (finished_at IS NOT NULL)),
    CHECK ((finished_at IS NULL) = (post_slots IS NULL)),
    CHECK ((finished_at IS NULL) = (slot_seconds IS NULL))
);
COMMENT ON TABLE deployments IS 'One rollout of a project in one environment';
COMMENT ON COLUMN deployments.result IS 'What CI said of its own pipeline';
COMMENT ON COLUMN deployments.slot_seconds IS 'Distance of two post slots, frozen at finish';

-- One live rollout per project and environment; a repeated trigger finds this row.
CREATE UNIQUE INDEX deployments_one_live ON deployments (project_id, env)
    WHERE state IN ('pending', 'running');
-- A pipeline that deploys to two environments uses one key for both, hence env in the key.
CREATE UNIQUE INDEX deployments_idempotency ON deployments (project_id, env, idempotency_key);
CREATE INDEX deployments_recent ON deployments (project_id, triggered_at DESC);

CREATE TABLE metric_samples (
    slot_at          timestamptz NOT NULL,
    collected_at     timestamptz NOT NULL DEFAULT now(),
    project_id       uuid NOT NULL,
    env              text NOT NULL,
    deployment_id    uuid,
    phase            text CHECK (phase IN ('pre', 'post')),
    sequence_index   smallint,
    requests_per_sec double precision,
    latency_p95      double precision,
    error_rate       double precision,
    cpu_usage        double precision,
    memory_usage     double precision,
    extra            jsonb,
    UNIQUE (project_id, env, slot_at)
);
SELECT create_hypertable('metric_samples', 'slot_at',
                         chunk_time_interval => interval '7 days', create_default_indexes => false);
COMMENT ON TABLE metric_samples IS 'What targets reported, one row per collected slot';
COMMENT ON COLUMN metric_samples.slot_at IS 'Planned moment of the reading';
COMMENT ON COLUMN metric_samples.collected_at IS 'When the reading was stored';
COMMENT ON COLUMN metric_samples.phase IS 'pre or post of a deployment; null: continuous baseline';
COMMENT ON COLUMN metric_samples.requests_per_sec IS 'Requests per second';
COMMENT ON COLUMN metric_samples.latency_p95 IS '95th percentile of latency, milliseconds';
COMMENT ON COLUMN metric_samples.error_rate IS 'Share of failed requests, 0..1';
COMMENT ON COLUMN metric_samples.cpu_usage IS 'Share of CPU in use, 0..1';
COMMENT ON COLUMN metric_samples.memory_usage IS 'Share of memory in use, 0..1';
CREATE INDEX metric_samples_deployment ON metric_samples (deployment_id, slot_at)
    WHERE deployment_id IS NOT NULL;

CREATE TABLE missed_slots (
    slot_at        timestamptz NOT NULL,
    missed_at      timestamptz NOT NULL DEFAULT now(),
    project_id     uuid NOT NULL,
    env            text NOT NULL,
    deployment_id  uuid,
    phase          text CHECK (phase IN ('pre', 'post')),
    sequence_index smallint,
    code           text NOT NULL,
    detail         text NOT NULL,
    UNIQUE (project_id, env, slot_at)
);
SELECT create_hypertable('missed_slots', 'slot_at',
                         chunk_time_interval => interval '7 days', create_default_indexes => false);
COMMENT ON TABLE missed_slots IS 'Slots that were planned but could not be collected, and why';
COMMENT ON COLUMN missed_slots.code IS 'One of a fixed set, see docs/errors.md';
CREATE INDEX missed_slots_deployment ON missed_slots (deployment_id, slot_at)
    WHERE deployment_id IS NOT NULL;

-- Each worker process holds the advisory lock (worker namespace, its key) while it lives.
CREATE SEQUENCE worker_keys AS integer CYCLE;

CREATE TABLE workers (
    key        integer PRIMARY KEY,
    host       text NOT NULL,
    pid        integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE workers IS 'Worker processes; one without its advisory lock is dead';
COMMENT ON COLUMN workers.pid IS 'Process id on its host';

-- Live jobs only: what is finished moves to job_runs, so the hot path never grows.
-- The claim changes no indexed column and the pages have room, so it is a HOT update.
CREATE TABLE scheduled_jobs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL,
    priority       smallint NOT NULL CHECK (priority BETWEEN 0 AND 4),
    project_id     uuid NOT NULL,
    env            text NOT NULL,
    deployment_id  uuid,
    phase          text CHECK (phase IN ('pre', 'post')),
    sequence_index smallint,
    payload        jsonb,
    slot_at        timestamptz NOT NULL,
    scheduled_at   timestamptz NOT NULL,
    deadline_at    timestamptz,
    repeat         interval CHECK (repeat > interval '0'),
    awaiting       smallint NOT NULL DEFAULT 0,
    dedupe_key     text,
    status         text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running')),
    attempt        integer NOT NULL DEFAULT 0,
    owner          integer,
    claimed_at     timestamptz,
    last_error     text,
    CHECK ((status = 'running') = (owner IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE scheduled_jobs IS 'Everything that has to be done, one row each';
COMMENT ON COLUMN scheduled_jobs.priority IS '0 post slots, 1 judge, 2 notify, 3 baseline, 4 upkeep';
COMMENT ON COLUMN scheduled_jobs.slot_at IS 'First planned moment; retries move scheduled_at only';
COMMENT ON COLUMN scheduled_jobs.repeat IS 'Distance to the next occurrence of a recurring job';
COMMENT ON COLUMN scheduled_jobs.awaiting IS 'Post slots that must settle before a judge job is due';
COMMENT ON COLUMN scheduled_jobs.dedupe_key IS 'At most one live job carries it';
COMMENT ON COLUMN scheduled_jobs.attempt IS 'Claims so far: the fencing token of the running claim';
COMMENT ON COLUMN scheduled_jobs.owner IS 'Key of the worker whose advisory lock proves it alive';
CREATE INDEX scheduled_jobs_due ON scheduled_jobs (priority, scheduled_at, id);
CREATE INDEX scheduled_jobs_project ON scheduled_jobs (project_id, scheduled_at);
CREATE INDEX scheduled_jobs_deployment ON scheduled_jobs (deployment_id)
    WHERE deployment_id IS NOT NULL;
CREATE UNIQUE INDEX scheduled_jobs_dedupe ON scheduled_jobs (dedupe_key)
    WHERE dedupe_key IS NOT NULL;

CREATE TABLE job_runs (
    finished_at    timestamptz NOT NULL,
    id             bigint NOT NULL,
    kind           text NOT NULL,
    priority       smallint NOT NULL,
    project_id     uuid NOT NULL,
    env            text NOT NULL,
    deployment_id  uuid,
    phase          text,
    sequence_index smallint,
    payload        jsonb,
    slot_at        timestamptz NOT NULL,
    scheduled_at   timestamptz NOT NULL,
    claimed_at     timestamptz,
    status         text NOT NULL CHECK (status IN ('completed', 'failed')),
    attempt        integer NOT NULL,
    owner          integer,
    last_error     text
);
SELECT create_hypertable('job_runs', 'finished_at',
                         chunk_time_interval => interval '1 day', create_default_indexes => false);
COMMENT ON TABLE job_runs IS 'Jobs that are done, append-only; recurring ones leave samples instead';
COMMENT ON COLUMN job_runs.status IS 'completed or failed';
CREATE INDEX job_runs_deployment ON job_runs (deployment_id, finished_at)
    WHERE deployment_id IS NOT NULL;

CREATE TABLE verdicts (
    deployment_id  uuid PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
    policy         text NOT NULL,
    verdict        text NOT NULL CHECK (verdict IN ('ok', 'warning', 'rollback_recommended')),
    conclusive     boolean NOT NULL,
    reason_code    text NOT NULL,
    confidence     double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    coverage_ratio double precision NOT NULL CHECK (coverage_ratio BETWEEN 0 AND 1),
    as_of          timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE verdicts IS 'What the judge said of a deployment';
COMMENT ON COLUMN verdicts.conclusive IS 'False when the data could not have carried a verdict';
COMMENT ON COLUMN verdicts.coverage_ratio IS 'Share of planned post slots with a sample, 0..1';
COMMENT ON COLUMN verdicts.as_of IS 'The moment the judge was told it is';

CREATE TABLE evidence (
    deployment_id    uuid NOT NULL REFERENCES verdicts ON DELETE CASCADE,
    metric           text NOT NULL,
    baseline_source  text NOT NULL,
    baseline_n       integer NOT NULL,
    post_n           integer NOT NULL,
    expected         double precision,
    observed         double precision,
    threshold        double precision,
    exceedance_ratio double precision,
    tolerance_ratio  double precision NOT NULL,
    failed           boolean NOT NULL,
    attribution      text,
    PRIMARY KEY (deployment_id, metric)
);
COMMENT ON TABLE evidence IS 'What each metric contributed to a verdict; values in the unit of the metric';

CREATE TABLE hints (
    deployment_id uuid NOT NULL REFERENCES verdicts ON DELETE CASCADE,
    rule          text NOT NULL,
    position      smallint NOT NULL,
    severity      text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    title         text NOT NULL,
    diagnosis     text NOT NULL,
    actions       text[] NOT NULL,
    metrics       text[] NOT NULL,
    PRIMARY KEY (deployment_id, rule)
);
COMMENT ON TABLE hints IS 'Composite diagnoses (SDH hints) of a deployment, most important first';
