DROP INDEX videos_quota_idx;
ALTER TABLE videos DROP COLUMN source_at;
ALTER TABLE uploads DROP COLUMN validator;
