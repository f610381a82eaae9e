ALTER TABLE videos DROP COLUMN left_out;
