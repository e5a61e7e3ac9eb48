-- Notifications: who is told of verdicts, and what became of each message (docs/notifications.md).

CREATE TABLE channels (
    id                        uuid PRIMARY KEY,
    project_id                uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    kind                      text NOT NULL CHECK (kind IN ('webhook', 'slack', 'github')),
    name                      text NOT NULL,
    shown                     text NOT NULL,
    access_encrypted          text NOT NULL,
    secret_encrypted          text,
    secret_before_encrypted   text,
    secret_before_until       timestamptz,
    verdicts                  text[] NOT NULL,
    conclusive_only           boolean NOT NULL,
    envs                      text[] NOT NULL DEFAULT '{}',
    enabled                   boolean NOT NULL DEFAULT true,
    disabled_reason           text,
    created_at                timestamptz NOT NULL DEFAULT now(),
    updated_at                timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project_id, name),
    CHECK ((kind = 'webhook') = (secret_encrypted IS NOT NULL))
);
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

CREATE TABLE deliveries (
    id            uuid PRIMARY KEY,
    project_id    uuid NOT NULL,
    channel_id    uuid NOT NULL REFERENCES channels ON DELETE CASCADE,
    deployment_id uuid REFERENCES deployments ON DELETE CASCADE,
    revision      integer,
    status        text NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts      integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    status_code   smallint,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    tried_at      timestamptz,
    next_at       timestamptz DEFAULT now(),
    settled_at    timestamptz,
    UNIQUE (deployment_id, revision, channel_id),
    CHECK ((deployment_id IS NULL) = (revision IS NULL)),
    CHECK ((status = 'pending') = (settled_at IS NULL)),
    CHECK (status = 'pending' OR next_at IS NULL)
);
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
CREATE INDEX deliveries_project ON deliveries (project_id, id);
CREATE INDEX deliveries_channel ON deliveries (channel_id);

CREATE VIEW report.deliveries AS
SELECT d.id AS delivery_id, d.project_id, p.name AS project, d.channel_id, c.name AS channel,
       c.kind, d.deployment_id, s.env, d.revision, d.status, d.attempts, d.status_code,
       d.last_error, d.created_at, d.tried_at, d.next_at, d.settled_at
  FROM deliveries d
  JOIN channels c ON c.id = d.channel_id
  JOIN projects p ON p.id = d.project_id
  LEFT JOIN deployments s ON s.id = d.deployment_id;
COMMENT ON VIEW report.deliveries IS 'What became of every notification, as long as jobs that are done are kept';
COMMENT ON COLUMN report.deliveries.status IS 'pending, delivered, or failed: nobody tries any more';
COMMENT ON COLUMN report.deliveries.deployment_id IS 'Of which deployment; null: a test of the channel';

-- A receiver that does not answer is no trouble of ours: its deliveries tell of it.
CREATE OR REPLACE VIEW report.scheduler_health AS
SELECT (SELECT count(*) FROM scheduled_jobs WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM scheduled_jobs WHERE status = 'running') AS running,
       (SELECT count(*) FROM scheduled_jobs
         WHERE status = 'pending' AND scheduled_at < now()) AS overdue,
       (SELECT extract(epoch FROM now() - min(scheduled_at)) FROM scheduled_jobs
         WHERE status = 'pending' AND scheduled_at < now())::float8 AS oldest_overdue_seconds,
       (SELECT count(*) FROM workers) AS workers,
       (SELECT count(*) FROM job_runs
         WHERE status = 'failed' AND finished_at > now() - interval '15 minutes') AS failed_15m,
       (SELECT count(*) FROM scheduled_jobs
         WHERE attempt > 3 AND last_error IS NOT NULL AND kind <> 'notify') AS struggling;
