ALTER TABLE video_chunks DROP COLUMN losses, DROP COLUMN steps;
