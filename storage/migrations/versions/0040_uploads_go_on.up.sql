-- What the server of an imported file said to tell it from another: a strong ETag or a Last-Modified, word for word.
ALTER TABLE uploads ADD COLUMN validator text;
-- Of two equal files of one person the one taken in first is no duplicate.
ALTER TABLE videos ADD COLUMN source_at timestamptz;
UPDATE videos SET source_at = created_at WHERE source_sha256 IS NOT NULL;
-- Deleted videos count against the quota until their bytes are gone.
CREATE INDEX videos_quota_idx ON videos (owner_id);
