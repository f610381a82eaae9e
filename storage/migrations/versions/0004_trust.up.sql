-- A banned person keeps what they made; they cannot log in, and no session of theirs lives.
ALTER TABLE users ADD COLUMN banned_at timestamptz, ADD COLUMN ban_reason text NOT NULL DEFAULT '';

-- Who did what with a right that others lack. Rows are never changed.
CREATE TABLE audit_entries (
    id         uuid PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor_id   uuid REFERENCES users (id) ON DELETE SET NULL,
    action     text NOT NULL,
    subject    text NOT NULL,
    details    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_entries_at_idx ON audit_entries (at DESC, id DESC);
CREATE INDEX audit_entries_actor_idx ON audit_entries (actor_id);
