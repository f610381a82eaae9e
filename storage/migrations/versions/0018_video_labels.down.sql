DROP INDEX videos_tags_idx;
ALTER TABLE videos DROP COLUMN chapters, DROP COLUMN language, DROP COLUMN category, DROP COLUMN tags;
