ALTER TABLE video_days DROP COLUMN likes, DROP COLUMN comments, DROP COLUMN shares;
DROP INDEX video_likes_video_idx;
DROP TABLE video_shares;
