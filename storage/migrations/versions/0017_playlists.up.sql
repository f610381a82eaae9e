-- Lists of videos in an order of somebody's own. Everybody has at most one to watch later.
CREATE TABLE playlists (
    id          uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('made', 'watch_later')),
    title       text NOT NULL,
    description text NOT NULL DEFAULT '',
    visibility  text NOT NULL CHECK (visibility IN ('public', 'unlisted', 'private')),
    created_at  timestamptz NOT NULL,
    CHECK (kind = 'made' OR visibility = 'private')
);
CREATE INDEX playlists_owner_idx ON playlists (owner_id, id DESC);
CREATE UNIQUE INDEX playlists_later_key ON playlists (owner_id) WHERE kind = 'watch_later';

CREATE TABLE playlist_videos (
    playlist_id uuid NOT NULL REFERENCES playlists (id) ON DELETE CASCADE,
    video_id    uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    position    integer NOT NULL,
    PRIMARY KEY (playlist_id, video_id)
);
CREATE INDEX playlist_videos_order_idx ON playlist_videos (playlist_id, position);
CREATE INDEX playlist_videos_video_idx ON playlist_videos (video_id);
