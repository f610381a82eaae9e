ALTER TABLE videos DROP COLUMN withdraw_at;
