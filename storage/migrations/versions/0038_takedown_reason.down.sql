ALTER TABLE lives DROP COLUMN takedown_reason;
