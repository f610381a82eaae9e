-- One row per time that a player played a video; written by its beacons, summed up into video_days, kept
-- for three days. `viewer` is a keyed hash that is another one every day: nobody is followed over days.
CREATE TABLE watch_sessions (
    id         uuid NOT NULL,
    video_id   uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    day        date NOT NULL,
    viewer     bytea NOT NULL,
    started_at timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    counted_at timestamptz,
    watched_ms bigint NOT NULL,
    -- Which hundredths of the video were played.
    parts      bit(100) NOT NULL,
    source     text NOT NULL,
    device     text NOT NULL,
    start_ms   integer,
    stalls     integer NOT NULL,
    stalled_ms bigint NOT NULL,
    switches   integer NOT NULL,
    PRIMARY KEY (video_id, id)
);
CREATE INDEX watch_sessions_viewer_idx ON watch_sessions (video_id, viewer) WHERE counted_at IS NOT NULL;
CREATE INDEX watch_sessions_day_idx ON watch_sessions (day);

-- The same by video and day, counted again from the sessions while they last.
CREATE TABLE video_days (
    video_id   uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    day        date NOT NULL,
    views      bigint NOT NULL,
    sessions   bigint NOT NULL,
    watched_ms bigint NOT NULL,
    retention  bigint[] NOT NULL,
    sources    jsonb NOT NULL,
    devices    jsonb NOT NULL,
    starts     bigint NOT NULL,
    start_ms   bigint NOT NULL,
    stalls     bigint NOT NULL,
    stalled_ms bigint NOT NULL,
    switches   bigint NOT NULL,
    PRIMARY KEY (video_id, day)
);
ALTER TABLE videos ADD COLUMN views bigint NOT NULL DEFAULT 0;
