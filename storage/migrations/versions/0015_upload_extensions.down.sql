DROP INDEX videos_source_idx;
ALTER TABLE videos DROP COLUMN duplicate_of;
ALTER TABLE upload_parts DROP COLUMN object_key;
DELETE FROM uploads WHERE video_id IS NULL OR size_bytes IS NULL;
UPDATE uploads SET state = 'terminated' WHERE state = 'joined';
ALTER TABLE uploads
    DROP CONSTRAINT uploads_state_check,
    ADD CONSTRAINT uploads_state_check CHECK (state IN ('open', 'finished', 'terminated')),
    DROP COLUMN concat,
    DROP COLUMN metadata,
    ALTER COLUMN size_bytes SET NOT NULL,
    ALTER COLUMN video_id SET NOT NULL;
