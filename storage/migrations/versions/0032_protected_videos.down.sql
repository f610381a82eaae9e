ALTER TABLE videos DROP COLUMN is_protected;
