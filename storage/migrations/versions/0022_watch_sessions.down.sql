ALTER TABLE videos DROP COLUMN views;
DROP TABLE video_days, watch_sessions;
