DROP INDEX lives_upcoming_idx;
ALTER TABLE lives DROP COLUMN scheduled_at;
