DROP TRIGGER recordings_rungs ON recordings;
ALTER TABLE recordings DROP COLUMN rungs;
