-- What people say of a deployment afterwards, in more words.

ALTER TABLE feedback
    ADD COLUMN revision       integer,
    ADD COLUMN rolled_back_by text CHECK (length(rolled_back_by) BETWEEN 1 AND 255),
    ADD COLUMN note           text CHECK (length(note) BETWEEN 1 AND 2000);
COMMENT ON COLUMN feedback.given_by IS 'Who says so';
COMMENT ON COLUMN feedback.given_at IS 'When it was said last';
COMMENT ON COLUMN feedback.revision IS 'The verdict it was said of; null: there was none';
COMMENT ON COLUMN feedback.rolled_back_by IS 'Who or what rolled it back; null: nobody, or not said';
COMMENT ON COLUMN feedback.note IS 'In their own words';

CREATE VIEW report.feedback AS
SELECT f.deployment_id, d.project_id, p.name AS project, d.env, d.finished_at, f.harmful,
       f.rolled_back_by, f.note, f.given_by, f.given_at, f.revision
  FROM feedback f
  JOIN deployments d ON d.id = f.deployment_id
  JOIN projects p ON p.id = d.project_id;
COMMENT ON VIEW report.feedback IS 'What people say of deployments afterwards; the last word counts';
