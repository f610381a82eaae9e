ALTER TABLE videos DROP COLUMN has_preview;
