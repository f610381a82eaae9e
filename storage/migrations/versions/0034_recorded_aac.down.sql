ALTER TABLE recordings DROP COLUMN aac;
