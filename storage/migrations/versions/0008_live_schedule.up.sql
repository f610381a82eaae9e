-- A live that has not begun and has a time is scheduled; the time stays when it begins.
ALTER TABLE lives ADD COLUMN scheduled_at timestamptz;
CREATE INDEX lives_upcoming_idx ON lives (scheduled_at, id)
    WHERE status = 'created' AND scheduled_at IS NOT NULL AND deleted_at IS NULL;
