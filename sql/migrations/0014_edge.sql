-- API keys with a scope and an end, and answers that are given again to who repeats a call.

CREATE TABLE kept_answers (
    project_id       uuid REFERENCES projects ON DELETE CASCADE,
    route            text NOT NULL,
    key              text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_digest   bytea NOT NULL,
    answer_encrypted text NOT NULL,
    kept_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (project_id, route, key)
);
COMMENT ON TABLE kept_answers IS 'What was answered to a call with an Idempotency-Key; kept for a day';
COMMENT ON COLUMN kept_answers.project_id IS 'Who called; null: the operator';
COMMENT ON COLUMN kept_answers.route IS 'Method and template of the path';
COMMENT ON COLUMN kept_answers.key IS 'The Idempotency-Key, chosen by the caller';
COMMENT ON COLUMN kept_answers.request_digest IS 'SHA-256 of path, query and body';
COMMENT ON COLUMN kept_answers.answer_encrypted IS 'Status, headers and body; they may carry secrets';
COMMENT ON COLUMN kept_answers.kept_at IS 'When the call was answered';
CREATE INDEX kept_answers_kept_at ON kept_answers (kept_at);

-- Keys there are can do what they could: all that CI does.
ALTER TABLE api_keys
    ADD COLUMN scope text NOT NULL DEFAULT 'ci' CHECK (scope IN ('read', 'ci', 'admin')),
    ADD COLUMN label text NOT NULL DEFAULT '' CHECK (length(label) <= 100),
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN last_used_at timestamptz;
COMMENT ON COLUMN api_keys.scope IS 'read: look; ci: trigger, finish, push, too; admin: settings, too';
COMMENT ON COLUMN api_keys.label IS 'What it is for, chosen by who made it';
COMMENT ON COLUMN api_keys.expires_at IS 'From when on it is refused; null: never';
COMMENT ON COLUMN api_keys.last_used_at IS 'When it was last used, exact to about a minute';
COMMENT ON COLUMN api_keys.revoked_at IS 'Since when it is refused; null: it is live';
