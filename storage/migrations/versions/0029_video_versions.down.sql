DROP TABLE video_versions;
ALTER TABLE videos DROP COLUMN recipe, DROP COLUMN versions_made, DROP COLUMN version;
