-- The version that plays is the video's own row; versions in the making and replaced ones are here.
-- `recipe` of a video is what its owner asked for; NULL is the site's.
ALTER TABLE videos
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN versions_made integer NOT NULL DEFAULT 1,
    ADD COLUMN recipe jsonb;
CREATE TABLE video_versions (
    video_id      uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    version       integer NOT NULL,
    state         text NOT NULL CHECK (state IN ('queued', 'processing', 'failed', 'cancelled', 'replaced')),
    recipe        jsonb NOT NULL,
    plan          jsonb,
    progress      real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    error_code    text,
    error_message text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (video_id, version)
);
CREATE UNIQUE INDEX video_versions_making_key ON video_versions (video_id) WHERE state IN ('queued', 'processing');
