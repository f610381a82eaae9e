-- What a video is about: free words, one of the site's categories, the language spoken, and its parts.
ALTER TABLE videos
    ADD COLUMN tags     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN category text,
    ADD COLUMN language text,
    -- [{start_ms, title}] in order; NULL: as the description says, if it does.
    ADD COLUMN chapters jsonb;
CREATE INDEX videos_tags_idx ON videos USING gin (tags) WHERE status = 'ready' AND visibility = 'public' AND deleted_at IS NULL;
