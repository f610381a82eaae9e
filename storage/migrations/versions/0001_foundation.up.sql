-- People, their sessions and whom they follow.
CREATE TABLE users (
    id            uuid PRIMARY KEY,
    username      text NOT NULL CHECK (username = lower(username)),
    email         text NOT NULL CHECK (email = lower(email)),
    password_hash text NOT NULL,
    display_name  text NOT NULL DEFAULT '',
    bio           text NOT NULL DEFAULT '',
    role          text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'creator', 'moderator', 'admin')),
    plan          text NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'basic', 'pro', 'enterprise')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz
);
CREATE UNIQUE INDEX users_username_key ON users (username) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_email_key ON users (email) WHERE deleted_at IS NULL;

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_agent   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    revoked_why  text
);
CREATE INDEX sessions_user_idx ON sessions (user_id, created_at DESC);

-- One row per refresh token ever given; a used one that comes back revokes its session.
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_session_idx ON refresh_tokens (session_id);

CREATE TABLE follows (
    follower_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    followee_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (follower_id, followee_id),
    CHECK (follower_id <> followee_id)
);
CREATE INDEX follows_followee_idx ON follows (followee_id, follower_id);

CREATE TABLE user_counters (
    user_id   uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    followers bigint NOT NULL DEFAULT 0,
    following bigint NOT NULL DEFAULT 0,
    posts     bigint NOT NULL DEFAULT 0
);

-- Videos, their uploads and the state of their transcoding.
CREATE TABLE videos (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title          text NOT NULL,
    description    text NOT NULL DEFAULT '',
    status         text NOT NULL CHECK (status IN ('uploading', 'queued', 'processing', 'ready', 'failed')),
    progress       real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    error_code     text,
    error_message  text,
    visibility     text NOT NULL DEFAULT 'public' CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    access_version integer NOT NULL DEFAULT 1,
    duration_ms    bigint,
    width          integer,
    height         integer,
    source_key     text,
    source_sha256  bytea,
    source_bytes   bigint,
    thumbnail_key  text,
    plan           jsonb,
    playable_at    timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    deleted_at     timestamptz
);
CREATE INDEX videos_owner_idx ON videos (owner_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX videos_ready_idx ON videos (id DESC) WHERE status = 'ready' AND visibility = 'public' AND deleted_at IS NULL;

CREATE TABLE uploads (
    id            uuid PRIMARY KEY,
    video_id      uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    owner_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    filename      text NOT NULL,
    size_bytes    bigint NOT NULL CHECK (size_bytes > 0),
    state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'finished', 'terminated')),
    lock_owner    uuid,
    lock_until    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX uploads_video_key ON uploads (video_id);
CREATE INDEX uploads_owner_idx ON uploads (owner_id) WHERE state = 'open';

CREATE TABLE upload_parts (
    upload_id    uuid NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    offset_bytes bigint NOT NULL,
    size_bytes   bigint NOT NULL CHECK (size_bytes > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (upload_id, offset_bytes)
);

-- One row per piece of transcoding work; `result` is what the task returned.
CREATE TABLE video_chunks (
    video_id   uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    name       text NOT NULL,
    position   integer NOT NULL,
    state      text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'failed')),
    attempts   integer NOT NULL DEFAULT 0,
    job        jsonb NOT NULL,
    result     jsonb,
    error      text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (video_id, name)
);

-- Posts and what people do with them.
CREATE TABLE posts (
    id         uuid PRIMARY KEY,
    author_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text       text NOT NULL DEFAULT '',
    visibility text NOT NULL DEFAULT 'public' CHECK (visibility IN ('public', 'followers', 'private')),
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at  timestamptz,
    deleted_at timestamptz
);
CREATE INDEX posts_author_idx ON posts (author_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX posts_public_idx ON posts (created_at DESC, id DESC) WHERE deleted_at IS NULL AND visibility = 'public';

CREATE TABLE post_videos (
    post_id  uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    video_id uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    position integer NOT NULL,
    PRIMARY KEY (post_id, position),
    UNIQUE (post_id, video_id)
);
CREATE INDEX post_videos_video_idx ON post_videos (video_id);

CREATE TABLE post_counters (
    post_id  uuid PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    likes    bigint NOT NULL DEFAULT 0,
    comments bigint NOT NULL DEFAULT 0
);

CREATE TABLE likes (
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (post_id, user_id)
);
CREATE INDEX likes_user_idx ON likes (user_id, created_at DESC);

CREATE TABLE comments (
    id         uuid PRIMARY KEY,
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    author_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX comments_post_idx ON comments (post_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

-- Home timelines, filled when a post is written (fan-out on write).
CREATE TABLE timelines (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    author_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, post_id)
);
CREATE INDEX timelines_read_idx ON timelines (user_id, created_at DESC, post_id DESC);
CREATE INDEX timelines_author_idx ON timelines (user_id, author_id);

-- Lives: the broadcast. Its running actor, the room, has the same id.
CREATE TABLE lives (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title          text NOT NULL,
    status         text NOT NULL DEFAULT 'created' CHECK (status IN ('created', 'live', 'interrupted', 'ended')),
    visibility     text NOT NULL DEFAULT 'public' CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    access_version integer NOT NULL DEFAULT 1,
    key_hash       bytea NOT NULL,
    key_hint       text NOT NULL,
    epoch          uuid NOT NULL,
    origin_gen     bigint NOT NULL DEFAULT 0,
    origin         jsonb,
    viewers_peak   integer NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    ended_at       timestamptz,
    deleted_at     timestamptz
);
CREATE UNIQUE INDEX lives_key_hash_key ON lives (key_hash);
CREATE INDEX lives_owner_idx ON lives (owner_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX lives_running_idx ON lives (started_at DESC) WHERE status IN ('live', 'interrupted') AND deleted_at IS NULL;

-- The durable channel of a room: chat lines and state changes share one sequence.
CREATE TABLE room_messages (
    room_id    uuid NOT NULL REFERENCES lives (id) ON DELETE CASCADE,
    seq        bigint NOT NULL CHECK (seq > 0),
    id         uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('chat_message', 'state')),
    user_id    uuid REFERENCES users (id) ON DELETE SET NULL,
    client_id  text,
    body       jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (room_id, seq),
    UNIQUE (room_id, user_id, client_id)
);
CREATE UNIQUE INDEX room_messages_id_key ON room_messages (id);

-- Who owns what: hosts hold leases, objects are placed on hosts, edges announce themselves.
CREATE TABLE hosts (
    id          text PRIMARY KEY,
    incarnation bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('live', 'draining', 'fenced')),
    node        text NOT NULL,
    address     text NOT NULL,
    expires_at  timestamptz NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now()
);
CREATE SEQUENCE incarnations;

CREATE TABLE placements (
    kind        text NOT NULL,
    object_id   uuid NOT NULL,
    host_id     text NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    incarnation bigint NOT NULL,
    placed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, object_id)
);
CREATE INDEX placements_host_idx ON placements (host_id);

CREATE TABLE edges (
    node        text NOT NULL,
    slot        integer NOT NULL,
    incarnation bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('live', 'draining', 'gone')),
    url         text NOT NULL,
    candidates  jsonb NOT NULL DEFAULT '[]',
    load        real NOT NULL DEFAULT 0,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (node, slot)
);

-- The outbox: written in the transaction of the change, one delivery row per listener.
CREATE TABLE events (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    subject_id uuid NOT NULL,
    actor_id   uuid,
    data       jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_created_idx ON events (created_at);

CREATE TABLE event_listeners (
    name  text NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (name, event)
);

CREATE TABLE event_deliveries (
    event_id     uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    listener     text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    not_before   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    held_at      timestamptz,
    error        text,
    PRIMARY KEY (event_id, listener)
);
CREATE INDEX event_deliveries_due_idx ON event_deliveries (listener, not_before)
    WHERE delivered_at IS NULL AND held_at IS NULL;

CREATE FUNCTION deliver_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_deliveries (event_id, listener)
    SELECT NEW.id, l.name FROM event_listeners l WHERE l.event = NEW.name;
    PERFORM pg_notify('events', '');
    RETURN NULL;
END $$;
CREATE TRIGGER events_deliver AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION deliver_event();

-- Answers of requests that carried an Idempotency-Key.
CREATE TABLE idempotency_keys (
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    status       integer,
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
