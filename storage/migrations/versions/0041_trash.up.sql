-- Who deleted a video, until when its bytes stay, and whether its owner wants no way back. Of one that was
-- deleted before this nobody knows: it is in nobody's trash, and goes when its job says so.
ALTER TABLE videos
    ADD COLUMN deleted_by uuid,
    ADD COLUMN purge_at timestamptz,
    ADD COLUMN is_final boolean NOT NULL DEFAULT false;
CREATE INDEX videos_trash_idx ON videos (owner_id, deleted_at DESC, id DESC) WHERE deleted_at IS NOT NULL;
