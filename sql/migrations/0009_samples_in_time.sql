-- migrate: no transaction
-- Samples of all services in the last minutes are found without reading the whole chunk; it costs an
-- insert next to nothing. Chunk by chunk, so that nobody waits for more than one.
CREATE INDEX IF NOT EXISTS metric_samples_slot_at ON metric_samples USING brin (slot_at)
    WITH (autosummarize, timescaledb.transaction_per_chunk)
