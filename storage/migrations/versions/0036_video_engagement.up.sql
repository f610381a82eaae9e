-- One row per day and whoever shared a video on it: `viewer` is the keyed hash of watch_sessions, another one
-- every day. Summed up into video_days, kept for three days.
CREATE TABLE video_shares (
    video_id uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    day      date NOT NULL,
    viewer   bytea NOT NULL,
    PRIMARY KEY (video_id, day, viewer)
);
CREATE INDEX video_shares_day_idx ON video_shares (day);
CREATE INDEX video_likes_video_idx ON video_likes (video_id, created_at);
-- What was given on a day and stands; counted again from its rows.
ALTER TABLE video_days
    ADD COLUMN likes    bigint NOT NULL DEFAULT 0,
    ADD COLUMN comments bigint NOT NULL DEFAULT 0,
    ADD COLUMN shares   bigint NOT NULL DEFAULT 0;
INSERT INTO video_days AS d (video_id, day, views, sessions, watched_ms, retention, sources, devices,
                             starts, start_ms, stalls, stalled_ms, switches, likes, comments)
SELECT video_id, day, 0, 0, 0, array_fill(0::bigint, ARRAY[100]), '{}', '{}', 0, 0, 0, 0, 0, sum(likes), sum(comments)
  FROM (SELECT video_id, (created_at AT TIME ZONE 'UTC')::date AS day, 1 AS likes, 0 AS comments FROM video_likes
        UNION ALL
        SELECT video_id, (created_at AT TIME ZONE 'UTC')::date, 0, 1 FROM comments
         WHERE video_id IS NOT NULL AND deleted_at IS NULL) given
 GROUP BY video_id, day
ON CONFLICT (video_id, day) DO UPDATE SET likes = excluded.likes, comments = excluded.comments;
