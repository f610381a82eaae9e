-- `videos.likes` is counted in the transaction that changes a like.
CREATE TABLE video_likes (
    video_id   uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (video_id, user_id)
);
CREATE INDEX video_likes_user_idx ON video_likes (user_id, created_at DESC);
ALTER TABLE videos ADD COLUMN likes integer NOT NULL DEFAULT 0 CHECK (likes >= 0);
