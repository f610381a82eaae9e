ALTER TABLE users DROP COLUMN history_paused_at;
DROP TABLE history;
