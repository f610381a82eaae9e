-- Comments stand below posts and below videos; a reply stands below a comment that is none itself.
-- `likes` and `replies` are counted in the transaction that changes them.
ALTER TABLE comments
    ALTER COLUMN post_id DROP NOT NULL,
    ADD COLUMN video_id  uuid REFERENCES videos (id) ON DELETE CASCADE,
    ADD COLUMN parent_id uuid REFERENCES comments (id) ON DELETE CASCADE,
    ADD COLUMN edited_at timestamptz,
    ADD COLUMN pinned_at timestamptz,
    ADD COLUMN likes     integer NOT NULL DEFAULT 0 CHECK (likes >= 0),
    ADD COLUMN replies   integer NOT NULL DEFAULT 0 CHECK (replies >= 0),
    ADD CONSTRAINT comments_place_check CHECK (num_nonnulls(post_id, video_id) = 1);
CREATE INDEX comments_video_idx ON comments (video_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX comments_parent_idx ON comments (parent_id, created_at, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX comments_pinned_key ON comments (coalesce(post_id, video_id)) WHERE pinned_at IS NOT NULL;

CREATE TABLE comment_likes (
    comment_id uuid NOT NULL REFERENCES comments (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (comment_id, user_id)
);
CREATE INDEX comment_likes_user_idx ON comment_likes (user_id);

-- Who may see a video may follow its channel: changes of that are heard at commit, as for posts.
ALTER TABLE videos ADD COLUMN access_changed_at timestamptz;
CREATE INDEX videos_access_changed_idx ON videos (access_changed_at) WHERE access_changed_at IS NOT NULL;
CREATE TRIGGER videos_access BEFORE UPDATE OF visibility, deleted_at ON videos
    FOR EACH ROW EXECUTE FUNCTION note_access_change('video');
