-- Each person has a durable channel. Its epoch names the sequence of offsets; the newest entry is
-- never purged, so that numbers are not given twice. What the person has seen of it ends at seen_seq.
ALTER TABLE users
    ADD COLUMN channel_epoch uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN presence_audience text NOT NULL DEFAULT 'everyone'
        CHECK (presence_audience IN ('everyone', 'followers', 'nobody')),
    ADD COLUMN seen_seq bigint NOT NULL DEFAULT 0 CHECK (seen_seq >= 0);

CREATE TABLE user_entries (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seq        bigint NOT NULL CHECK (seq > 0),
    id         uuid NOT NULL,
    kind       text NOT NULL,
    event_id   uuid NOT NULL,
    body       jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, seq),
    UNIQUE (user_id, event_id)
);
CREATE INDEX user_entries_created_idx ON user_entries (created_at);
