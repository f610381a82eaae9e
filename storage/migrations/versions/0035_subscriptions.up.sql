-- Who subscribes to whose channel, until when (NULL: without an end) and by what: one row each, so that
-- neither a gift nor a payment ends the other. A row whose time is over counts no more; a job removes it.
CREATE TABLE subscriptions (
    id            uuid PRIMARY KEY,
    channel_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    subscriber_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    source        text NOT NULL CHECK (source IN ('gift', 'payment')),
    since         timestamptz NOT NULL,
    until         timestamptz CHECK (until > since),
    UNIQUE (subscriber_id, channel_id, source),
    CHECK (channel_id <> subscriber_id)
);
CREATE INDEX subscriptions_channel_idx ON subscriptions (channel_id, id DESC);

-- Whose subscription ends is asked again about everything they have open, as who stops following is.
-- What was given to them to play ends, too: addresses carry the version.
CREATE FUNCTION note_subscriber_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE version integer;
BEGIN
    UPDATE users SET access_version = access_version + 1, access_changed_at = clock_timestamp()
    WHERE id = OLD.subscriber_id RETURNING access_version INTO version;
    IF version IS NOT NULL THEN
        PERFORM pg_notify('access_changes', 'user:' || OLD.subscriber_id || ' ' || version);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER subscriptions_end AFTER DELETE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION note_subscriber_change();
CREATE TRIGGER subscriptions_shorten AFTER UPDATE OF until ON subscriptions
    FOR EACH ROW WHEN (NEW.until <= now()) EXECUTE FUNCTION note_subscriber_change();

ALTER TABLE videos
    DROP CONSTRAINT videos_visibility_check,
    ADD CONSTRAINT videos_visibility_check
        CHECK (visibility IN ('public', 'unlisted', 'followers', 'subscribers', 'private')),
    DROP CONSTRAINT videos_publish_as_check,
    ADD CONSTRAINT videos_publish_as_check
        CHECK (publish_as IN ('public', 'unlisted', 'followers', 'subscribers'));
ALTER TABLE lives
    DROP CONSTRAINT lives_visibility_check,
    ADD CONSTRAINT lives_visibility_check
        CHECK (visibility IN ('public', 'unlisted', 'followers', 'subscribers', 'private'));
ALTER TABLE posts
    DROP CONSTRAINT posts_visibility_check,
    ADD CONSTRAINT posts_visibility_check
        CHECK (visibility IN ('public', 'followers', 'subscribers', 'private'));
