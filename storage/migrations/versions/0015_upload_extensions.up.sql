-- tus: a length that is told later (size_bytes NULL), parts of a file sent side by side (video_id NULL until
-- they are 'joined' to one), and what the client said about the file, word for word.
ALTER TABLE uploads
    ALTER COLUMN video_id DROP NOT NULL,
    ALTER COLUMN size_bytes DROP NOT NULL,
    ADD COLUMN metadata text NOT NULL DEFAULT '',
    ADD COLUMN concat text NOT NULL DEFAULT '',
    DROP CONSTRAINT uploads_state_check,
    ADD CONSTRAINT uploads_state_check CHECK (state IN ('open', 'finished', 'joined', 'terminated'));
-- Bytes of a joined upload stay where they were stored.
ALTER TABLE upload_parts ADD COLUMN object_key text;
-- The same file by the same person: the first one's id.
ALTER TABLE videos ADD COLUMN duplicate_of uuid REFERENCES videos (id) ON DELETE SET NULL;
CREATE INDEX videos_duplicate_idx ON videos (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX videos_source_idx ON videos (owner_id, source_sha256) WHERE source_sha256 IS NOT NULL AND deleted_at IS NULL;
