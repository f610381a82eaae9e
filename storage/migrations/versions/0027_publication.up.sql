-- A video that waits for its time is private; `publish_as` is what it becomes. `published_at` is when
-- lists first showed it and never changes again: lists are ordered by it, by the upload without one.
ALTER TABLE videos
    ADD COLUMN published_at timestamptz,
    ADD COLUMN publish_at   timestamptz,
    ADD COLUMN publish_as   text CHECK (publish_as IN ('public', 'unlisted', 'followers')),
    ADD CONSTRAINT videos_publication_check CHECK (
        (publish_at IS NULL) = (publish_as IS NULL) AND (publish_at IS NULL OR visibility = 'private'));
UPDATE videos SET published_at = created_at WHERE status = 'ready' AND visibility IN ('public', 'followers');

DROP INDEX videos_ready_idx;
CREATE INDEX videos_listed_idx ON videos ((coalesce(published_at, created_at)) DESC, id DESC)
    WHERE status = 'ready' AND visibility = 'public' AND deleted_at IS NULL;
CREATE INDEX videos_channel_idx ON videos (owner_id, (coalesce(published_at, created_at)) DESC, id DESC)
    WHERE status = 'ready' AND deleted_at IS NULL;
