DROP TRIGGER lives_access ON lives;
DROP FUNCTION note_live_access();
ALTER TABLE lives DROP COLUMN access_changed_at;
