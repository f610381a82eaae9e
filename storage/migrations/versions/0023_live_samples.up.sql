-- How lives went: a row per ten seconds on air. Of sums the sum, of counts the count at its end.
CREATE TABLE live_samples (
    live_id uuid NOT NULL REFERENCES lives (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    span_ms integer NOT NULL,
    viewers integer NOT NULL,
    webrtc integer NOT NULL,
    hls integer NOT NULL,
    chat integer NOT NULL,
    watched_webrtc_ms bigint NOT NULL,
    watched_hls_ms bigint NOT NULL,
    lines integer NOT NULL,
    players integer NOT NULL,
    suffering integer NOT NULL,
    freezes integer NOT NULL,
    stalled_ms bigint NOT NULL,
    played_ms bigint NOT NULL,
    lost bigint NOT NULL,
    received bigint NOT NULL,
    latency_ms integer,
    latency_p95_ms integer,
    join_p95_ms integer,
    bitrate_bps integer,
    frames_per_s real,
    keyframe_ms integer,
    packets_lost bigint,
    packets_received bigint,
    PRIMARY KEY (live_id, at)
);
-- Who came, as marks or, of many, as a sketch that nobody can be read from: one row per host that ran the room.
CREATE TABLE live_visitors (
    live_id uuid NOT NULL REFERENCES lives (id) ON DELETE CASCADE,
    part uuid NOT NULL,
    marks bytea NOT NULL,
    PRIMARY KEY (live_id, part)
);
