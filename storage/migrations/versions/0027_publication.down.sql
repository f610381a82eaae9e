DROP INDEX videos_channel_idx;
DROP INDEX videos_listed_idx;
CREATE INDEX videos_ready_idx ON videos (id DESC) WHERE status = 'ready' AND visibility = 'public' AND deleted_at IS NULL;
ALTER TABLE videos DROP COLUMN publish_as, DROP COLUMN publish_at, DROP COLUMN published_at;
