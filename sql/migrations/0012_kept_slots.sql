-- Of a held deployment the slots that were missed are kept, too: they are part of what is said of it.
CREATE TABLE kept_missed (
    held_for uuid NOT NULL REFERENCES deployments ON DELETE CASCADE,
    LIKE missed_slots INCLUDING COMMENTS,
    PRIMARY KEY (held_for, slot_at)
);
COMMENT ON TABLE kept_missed IS 'Copies of the slots that were missed around held deployments';
COMMENT ON COLUMN kept_missed.held_for IS 'The deployment that is held';
