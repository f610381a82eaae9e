-- Of two equal files of one person the one taken in first is no duplicate.
ALTER TABLE videos ADD COLUMN source_at timestamptz;
UPDATE videos SET source_at = created_at WHERE source_sha256 IS NOT NULL;
