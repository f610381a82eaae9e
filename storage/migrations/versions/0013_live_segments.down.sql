DROP TABLE recordings;
DROP TABLE live_segments;
DROP TABLE live_origins;
ALTER TABLE lives DROP COLUMN is_recorded;
