-- Whether the live becomes a video when it ends.
ALTER TABLE lives ADD COLUMN is_recorded boolean NOT NULL DEFAULT true;

-- Publishers that the room granted; an open one alone may list segments. A later one closes it.
CREATE TABLE live_origins (
    live_id    uuid NOT NULL REFERENCES lives (id) ON DELETE CASCADE,
    origin_gen bigint NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz,
    PRIMARY KEY (live_id, origin_gen)
);

-- Segments whose bytes are stored; what is not here does not exist. `tracks` says of each track
-- where it begins, how long and large it is and how it is decoded; a gap has no tracks.
CREATE TABLE live_segments (
    live_id          uuid NOT NULL,
    number           integer NOT NULL CHECK (number >= 0),
    origin_gen       bigint NOT NULL,
    started_at       timestamptz NOT NULL,
    duration_ms      integer NOT NULL CHECK (duration_ms >= 0),
    is_discontinuous boolean NOT NULL,
    tracks           jsonb NOT NULL,
    PRIMARY KEY (live_id, number),
    FOREIGN KEY (live_id, origin_gen) REFERENCES live_origins (live_id, origin_gen) ON DELETE CASCADE
);

-- Videos that are segments of a live: all of them (`is_whole`) or a clip.
CREATE TABLE recordings (
    video_id     uuid PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    live_id      uuid NOT NULL REFERENCES lives (id) ON DELETE CASCADE,
    first_number integer NOT NULL CHECK (first_number >= 0),
    last_number  integer NOT NULL CHECK (last_number >= first_number),
    is_whole     boolean NOT NULL
);
CREATE INDEX recordings_live_idx ON recordings (live_id);
CREATE UNIQUE INDEX recordings_whole_key ON recordings (live_id) WHERE is_whole;
