-- What people watched and how far they came; a person's newest rows are kept (storage/history.py).
CREATE TABLE history (
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    video_id    uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    position_ms bigint NOT NULL CHECK (position_ms >= 0),
    is_finished boolean NOT NULL,
    watched_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, video_id)
);
CREATE INDEX history_newest_idx ON history (user_id, watched_at DESC, video_id DESC);
CREATE INDEX history_video_idx ON history (video_id);
-- Since when nothing new is remembered; NULL: everything is.
ALTER TABLE users ADD COLUMN history_paused_at timestamptz;
