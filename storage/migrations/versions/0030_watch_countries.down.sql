ALTER TABLE video_days DROP COLUMN countries;
ALTER TABLE watch_sessions DROP COLUMN country;
