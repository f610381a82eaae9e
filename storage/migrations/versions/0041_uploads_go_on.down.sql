ALTER TABLE videos DROP COLUMN source_at;
