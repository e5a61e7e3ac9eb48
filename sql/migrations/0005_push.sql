-- What the API says of itself at /ds-metrics, and who was told.

-- Lost in a crash of the server, which loses a minute's worth of it anyway; so it costs no WAL.
CREATE UNLOGGED TABLE api_traffic (
    told_at   timestamptz NOT NULL DEFAULT now(),
    requests  integer NOT NULL,
    errors    integer NOT NULL,
    latencies integer[] NOT NULL
);
COMMENT ON TABLE api_traffic IS 'What API processes served lately, a few rows a minute each';
COMMENT ON COLUMN api_traffic.told_at IS 'End of the time the row is about';
COMMENT ON COLUMN api_traffic.errors IS 'Answers with a status of 500 or more';
COMMENT ON COLUMN api_traffic.latencies IS 'Requests per class of latency, see api/traffic.py';
CREATE INDEX api_traffic_told ON api_traffic (told_at);

CREATE TABLE used_nonces (
    digest  bytea PRIMARY KEY,
    used_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE used_nonces IS 'Signed reads of /ds-metrics; each nonce counts once';
CREATE INDEX used_nonces_used ON used_nonces (used_at);
