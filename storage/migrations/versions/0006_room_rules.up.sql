-- The durable channel of a room carries what its moderators do, too.
ALTER TABLE room_messages DROP CONSTRAINT room_messages_kind_check;
ALTER TABLE room_messages ADD CONSTRAINT room_messages_kind_check CHECK (kind IN (
    'chat_message', 'state', 'message_deleted', 'message_held', 'held_refused', 'rules_changed',
    'member_changed', 'pins_changed', 'announcement', 'raid', 'raided'));

-- Lines that wait for a moderator; once decided, their text is gone.
CREATE INDEX room_messages_held_idx ON room_messages (room_id, seq)
    WHERE kind = 'message_held' AND body ? 'text';

-- Written by the room's host in the statement that writes the entries which tell of it.
CREATE TABLE room_rules (
    room_id uuid PRIMARY KEY REFERENCES lives (id) ON DELETE CASCADE,
    rules   jsonb NOT NULL
);
CREATE TABLE room_pins (
    room_id uuid PRIMARY KEY REFERENCES lives (id) ON DELETE CASCADE,
    pins    jsonb NOT NULL
);
CREATE TABLE room_members (
    room_id         uuid NOT NULL REFERENCES lives (id) ON DELETE CASCADE,
    user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role            text NOT NULL CHECK (role IN ('guest', 'moderator')),
    is_banned       boolean NOT NULL,
    timed_out_until timestamptz,
    reason          text NOT NULL DEFAULT '',
    changed_at      timestamptz NOT NULL,
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX room_members_user_idx ON room_members (user_id);
