ALTER TABLE videos DROP COLUMN likes;
DROP TABLE video_likes;
