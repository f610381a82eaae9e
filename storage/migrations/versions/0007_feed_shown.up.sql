-- What readers of feeds were shown, written by the host of their ranker; the newest 100 rows each.
CREATE TABLE feed_shown (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seq        bigint NOT NULL,
    id         uuid NOT NULL,
    posts      uuid[] NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, seq)
);
