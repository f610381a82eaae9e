ALTER TABLE videos DROP COLUMN source_at;
ALTER TABLE uploads DROP COLUMN validator;
